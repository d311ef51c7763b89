"""lm-evaluation-harness, driven as a library and read from its logs.

`names` and `samples` need no harness installed; the others import it when they are called.
"""
