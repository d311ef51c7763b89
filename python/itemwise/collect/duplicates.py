"""Models that are nearly the same: re-uploads, copies in another precision, merges.

Two models are near-duplicates when their responses agree far beyond chance: Cohen's kappa
over all items that both answered (Cohen, 1960, Educational and Psychological Measurement
20). Plain agreement would not do: two good models agree on easy items without being copies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST_ITEMS = 50
"""Common items below which agreement says nothing."""
BLOCK = 512
"""Models that are compared with all others at once: bounds the memory."""


@dataclass(frozen=True)
class Group:
    """Near-duplicates, named by the first of them."""

    name: str
    subjects: tuple[str, ...]
    lowest_kappa: float


def near_duplicates(
    parts: Sequence[tuple[Sequence[str], np.ndarray]],
    kappa: float,
    fewest: int = FEWEST_ITEMS,
) -> list[Group]:
    """Return groups of near-duplicates, sorted by name.

    Parameters
    ----------
    parts : sequence of (subjects, matrix)
        Complete 0/1 responses (n_subjects, n_items) to each benchmark.
    kappa : float
        Agreement from which two models are put together.
    fewest : int
        Items that two models must have in common.
    """
    subjects = sorted({name for names, _ in parts for name in names})
    index = pd.Index(subjects)
    links: dict[int, dict[int, float]] = defaultdict(dict)
    # (rows, 0/1 as float32 for the matrix product, sums) of each benchmark
    known = []
    for names, matrix in parts:
        rows = np.full(len(subjects), -1)
        rows[index.get_indexer(list(names))] = np.arange(len(names))
        known.append((rows, matrix, matrix.sum(axis=1, dtype=np.float64)))
    for start in range(0, len(subjects), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(subjects)))
        values = _kappa(block, len(subjects), known, fewest)
        for i, j in np.argwhere(values >= kappa):
            first, second = int(block[i]), int(j)
            if first < second:
                links[first][second] = float(values[i, j])
    return _groups(subjects, links)


def _kappa(block: np.ndarray, n_subjects: int, known: list, fewest: int) -> np.ndarray:
    """Return Cohen's kappa of some models with all."""
    shape = (len(block), n_subjects)
    both, common = np.zeros(shape), np.zeros(shape)
    mine, theirs = np.zeros(shape), np.zeros(shape)
    for rows, matrix, sums in known:
        left = np.flatnonzero(rows[block] >= 0)
        right = np.flatnonzero(rows >= 0)
        if not len(left):
            continue
        here = np.ix_(left, right)
        wanted = matrix[rows[block[left]]].astype(np.float32)
        for first in range(0, len(right), BLOCK):
            part = right[first : first + BLOCK]
            product = wanted @ matrix[rows[part]].astype(np.float32).T
            both[np.ix_(left, part)] += product
        common[here] += matrix.shape[1]
        mine[here] += sums[rows[block[left]]][:, None]
        theirs[here] += sums[rows[right]][None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = (common - mine - theirs + 2 * both) / common
        p, q = mine / common, theirs / common
        chance = p * q + (1 - p) * (1 - q)
        values = (agreement - chance) / (1 - chance)
    # Two models that answer everything alike have no chance-corrected agreement.
    values[common < fewest] = np.nan
    return np.nan_to_num(values, nan=-1.0)


def _groups(subjects: list[str], links: dict[int, dict[int, float]]) -> list[Group]:
    """Return the connected components."""
    parent = list(range(len(subjects)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    lowest: dict[int, float] = {}
    for first, others in links.items():
        for second in others:
            parent[root(second)] = root(first)
    members = defaultdict(list)
    for number in {n for first, others in links.items() for n in (first, *others)}:
        members[root(number)].append(number)
    for first, others in links.items():
        top = root(first)
        lowest[top] = min(lowest.get(top, 1.0), *others.values())
    groups = [
        Group(
            min(subjects[n] for n in found),
            tuple(sorted(subjects[n] for n in found)),
            lowest[top],
        )
        for top, found in members.items()
    ]
    return sorted(groups, key=lambda group: group.name)
