"""From a few items to full scores: fits, tables of fitted read-outs, and their errors."""
