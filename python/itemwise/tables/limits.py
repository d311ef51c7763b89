"""Numbers that stand in both languages: the smallest amounts of data."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

LIMITS_FILE = Path(__file__).with_name("limits.csv")


@cache
def limit_of(name: str) -> int:
    """Return a number of `limits.csv`, which R reads too.

    Raises
    ------
    KeyError
        No such name.
    """
    with LIMITS_FILE.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: int(row["limit"]) for row in csv.DictReader(lines)}[name]
