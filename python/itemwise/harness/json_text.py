"""JSON as logs hold it: one value a line, a list of values, or one value over many lines.

Whatever parses comes back as plain values that can be hashed and written; what does not
comes back as `UNREADABLE`, so that one torn line costs no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

UNREADABLE = object()
"""Stands for what is no JSON, or none that can be kept."""
DEEPEST = 100
"""Levels of nesting of a value; deeper ones exhaust the interpreter's stack."""
DECODER = json.JSONDecoder()


def parse(text: str) -> object:
    """Return the value of a JSON text, `UNREADABLE` where it is none."""
    try:
        return _kept(json.loads(text), text)
    except (ValueError, RecursionError):
        return UNREADABLE


def read_json(path: Path) -> object:
    """Return the value that a file holds, `UNREADABLE` where it holds none."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return UNREADABLE


def read_records(path: Path) -> Iterator[tuple[str, object]]:
    """Yield place and value of each record of a log."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from records_in(file)


def records_in(file: TextIO) -> Iterator[tuple[str, object]]:
    """Yield place and value of each record of an open log, which can be read twice."""
    first = file.readline()
    while first.isspace():
        first = file.readline()
    # A list, not lines of which the first is one.
    listed = first.startswith("[") and (parse(first) is UNREADABLE or not file.readline())
    file.seek(0)
    if listed:
        yield from _of_list(file.read())
    elif first.strip() == "{":
        yield "", parse(file.read())
    else:
        yield from _of_lines(file)


def _of_lines(lines: Iterable[str]) -> Iterator[tuple[str, object]]:
    """Yield place and value of each line."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"line {number}", parse(line)


def _of_list(text: str) -> Iterator[tuple[str, object]]:
    """Yield place and value of each entry of a JSON list, up to where it is cut off."""
    at, number = text.index("[") + 1, 0
    while True:
        while text[at : at + 1].isspace() or text[at : at + 1] == ",":
            at += 1
        if text[at : at + 1] == "]":
            break
        number += 1
        try:
            value, end = DECODER.raw_decode(text, at)
            value = _kept(value, text[at:end])
        except (ValueError, RecursionError):
            yield f"record {number}", UNREADABLE
            return
        yield f"record {number}", value
        at = end
    if text[at + 1 :].strip():
        yield f"after record {number}", UNREADABLE


def _kept(value: object, text: str) -> object:
    """Return a value that can be written: not too deep, no half of a surrogate pair."""
    if text.count("[") + text.count("{") > DEEPEST and _depth_exceeds(value, DEEPEST):
        return UNREADABLE
    if "\\ud" in text.lower():
        plain = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(plain)
    return value


def _depth_exceeds(value: object, limit: int) -> bool:
    """Return whether a value is nested deeper than `limit`."""
    level = [value]
    for _ in range(limit):
        inner = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        ]
        level = [entry for entries in inner for entry in entries]
        if not level:
            return False
    return True
