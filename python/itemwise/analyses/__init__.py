"""The analyses of a checkpoint: one module an analysis, one table of all that can be run."""
