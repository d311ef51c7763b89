"""Adaptive testing: ask only items that still carry information.

`rules` says how a test starts, chooses, estimates and stops; `posterior` holds what is known
of all subjects; `criteria` rank the items; `simulate` runs tests on response rows.
"""
