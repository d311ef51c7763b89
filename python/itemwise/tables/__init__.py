"""Tables on disk: their contract, checked on read and on write, and whole files or none."""
