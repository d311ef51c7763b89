"""What people see on a terminal: colour where it shows, warnings, numbers in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

CODES = {"bold": "1", "green": "32", "yellow": "33", "red": "31", "dim": "2"}


def styled(text: str, *styles: str, stream=None) -> str:
    """Return the text in these styles where the stream is a terminal that shows them.

    Parameters
    ----------
    text : str
    *styles : str
        Names in `CODES`.
    stream : file, optional
        Where the text will be printed; default standard output.

    Notes
    -----
    The variable `NO_COLOR`, if not empty, turns colour off (https://no-color.org).
    """
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\033[{';'.join(CODES[style] for style in styles)}m{text}\033[0m"


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun: `1 item`, `2 items`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: `3 s`, `1:41`, `1:02:03`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole > 0 else "< 1 s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def warn(messages: Iterable[str]) -> None:
    """Print what makes results less certain than they look."""
    for message in messages:
        print(f"warning: {message}", file=sys.stderr)
