"""The command line: its commands, and options and messages that several of them share."""
