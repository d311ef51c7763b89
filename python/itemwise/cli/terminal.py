"""What people see on a terminal: colour where it shows, and warnings."""

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


def warn(messages: Iterable[str]) -> None:
    """Print what makes results less certain than they look."""
    for message in messages:
        print(f"warning: {message}", file=sys.stderr)
