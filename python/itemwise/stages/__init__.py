"""Stage commands: parse options, read, make one call, write."""
