"""Response matrices: read from tables of every kind, joined, and described."""
