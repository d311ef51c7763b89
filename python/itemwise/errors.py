"""Errors that are the user's to mend, and how they are worded."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in an input, option or configuration.

    The message names the file, column, row or key concerned and the remedy.
    Commands print it without a traceback and exit with status 2.
    """


def listed(values, limit: int = 5) -> str:
    """Join values for a message, naming at most `limit` of them."""
    values = list(values)
    text = ", ".join(str(v) for v in values[:limit])
    more = len(values) - limit
    return text if more <= 0 else f"{text} and {more} more"
