"""Which items make a short form: selectors, their balance, and the search over settings."""
