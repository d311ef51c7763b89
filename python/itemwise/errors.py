"""Errors that the user can fix, and how they are worded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in an input, option or configuration.

    The message names the file, column, row or key concerned and the remedy.
    Commands print it without a traceback and exit with status 2.
    """


class Unreachable(UserError):
    """The hub cannot be reached: what else is asked of it cannot be, either."""


CONNECTION = {"ConnectError", "ConnectionError", "ConnectTimeout", "MaxRetryError",
              "LocalEntryNotFoundError", "OfflineModeIsEnabled"}  # fmt: skip
"""Errors of the libraries between us and the hub that say that there is no connection."""


def no_connection(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, says that there is no connection."""
    while error is not None:
        if isinstance(error, ConnectionError) or type(error).__name__ in CONNECTION:
            return True
        error = error.__cause__ or error.__context__
    return False


def listed(values, limit: int = 5) -> str:
    """Join values for a message, naming at most `limit` of them."""
    values = list(values)
    text = ", ".join(str(v) for v in values[:limit])
    more = len(values) - limit
    return text if more <= 0 else f"{text} and {more} more"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most like `name`, None where none is like it."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def suggestion(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean '...'? ` for the known name most like `name`, else nothing."""
    near = nearest(name, known, cutoff)
    return "" if near is None else f"did you mean '{near}'? "


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return `; did you mean '...'?`, whatever the case of the letters, else nothing."""
    names = [str(value) for value in known]
    alike = next((value for value in names if value.lower() == str(name).lower()), None)
    near = alike or nearest(str(name), names, cutoff=0.4)
    return "" if near is None else f"; did you mean '{near}'?"
