"""Identity of items: by content, never by row number.

Rows are in an order of their own in every file, and the column `example` changed its
meaning, so an item is named by a hash of benchmark, task, question and choices.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from itemwise.errors import listed

LETTERED = re.compile(r"^\s*\(?([A-Z])[.):]\s*(.*)$")
HASH_LENGTH = 16


@dataclass(frozen=True)
class Item:
    """What an item says; `native` is the id that the source data set gives it, if any."""

    question: str
    choices: tuple[str, ...] = ()
    gold: str = ""
    native: str | None = None


def normalise(question: str, choices: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return question and choices without what layouts differ in.

    Unicode form, white space, the words `Question:` and `Answer:` around the text, and
    lettered choices within it, which some layouts repeat and others replace by letters.
    """
    text = unicodedata.normalize("NFKC", question).strip()
    text = re.sub(r"^Question:\s*", "", text)
    text = re.sub(r"\s*Answer:\s*$", "", text)
    plain = tuple(_one_line(c) for c in choices)
    lines = text.split("\n")
    lettered: list[str] = []
    while len(lines) > 1 and (found := LETTERED.match(lines[-1])):
        lettered.insert(0, found[2])
        lines.pop()
    if lettered and len(lettered) == len(plain):
        letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(plain)])
        inside = tuple(map(_one_line, lettered))
        if plain in (letters, inside):
            return _one_line("\n".join(lines)), inside
    return _one_line(text), plain


def content_hash(benchmark: str, task: str, question: str, choices: Sequence[str]) -> str:
    """Return the hash that names an item; question and choices as `normalise` returns them."""
    content = json.dumps([benchmark, task, question, list(choices)], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:HASH_LENGTH]


def number_duplicates(names: Sequence[str], golds: Sequence[str]) -> list[str]:
    """Return ids in which items of equal content are numbered, by gold answer, then row.

    Such duplicates cannot be told apart across files, except by a different gold answer.
    """
    counts = Counter(names)
    turn: Counter = Counter()
    numbered = list(names)
    twice = [row for row, name in enumerate(names) if counts[name] > 1]
    for row in sorted(twice, key=lambda row: (names[row], golds[row], row)):
        turn[names[row]] += 1
        if turn[names[row]] > 1:
            numbered[row] += f"-{turn[names[row]]}"
    return numbered


def reference_set(sets: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the items of a task: those that most models were given.

    Of equally frequent sets the larger, then the first by name: the result does not
    depend on the order of collecting.
    """
    counts = Counter(sets)
    return min(counts, key=lambda s: (-counts[s], -len(s), sorted(s)))


def compare_with_reference(
    items: frozenset[str], reference: frozenset[str]
) -> tuple[str, str] | None:
    """Return state and reason where a model's items are not exactly the reference's."""
    if items == reference:
        return None
    lacking, foreign = sorted(reference - items), sorted(items - reference)
    if not foreign:
        return "incomplete", f"{len(items)} of {len(reference)} items; lacks {listed(lacking, 3)}"
    return (
        "bad_schema",
        f"items are not those of most models: {len(foreign)} unmatched here "
        f"({listed(foreign, 3)}), {len(lacking)} unmatched there ({listed(lacking, 3)})",
    )


def duplicated(items: pd.DataFrame) -> pd.Series:
    """Return for each item the first of the same content, null where it is the only one."""
    first = items["item"].str.replace(r"-\d+$", "", regex=True)
    return first.where(first.duplicated(keep=False) & (first != items["item"]))


def _one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", str(text)).split())
