"""Booklets: groups of models that answered different items, and what ties them together."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from itemwise.responses.matrix import Responses

ALIKE = 0.5
"""Models belong to one booklet whose items overlap by this share of both together (Jaccard)."""
SMALLEST = 0.05
"""Share of the models that makes a booklet; fewer move no scale."""
MOST = 20
"""Booklets that are looked for; where every model has items of its own there are none."""
ENOUGH_ITEMS = 0.2
"""Share of the smaller booklet that two have in common so that their scales are tied (Kolen &
Brennan 2014, Test equating, section 8.1)."""
ENOUGH_SUBJECTS = 50
"""Models that answered both, which tie two scales as well."""

BITS = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)
"""Number of bits that are set in a byte."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tie:
    """What two booklets, or two groups of them, have in common at best.

    Attributes
    ----------
    subjects : list of int
        Models of either booklet.
    items : list of int
        Items of either booklet.
    common_items, common_subjects : int
        Items of both; models that answered most of what each has for itself.
    """

    subjects: list[int]
    items: list[int]
    common_items: int
    common_subjects: int

    @property
    def strength(self) -> float:
        """How well the scales are tied: 1 is enough."""
        share = self.common_items / min(self.items)
        return max(share / ENOUGH_ITEMS, self.common_subjects / ENOUGH_SUBJECTS)


def weak_ties(responses: Responses) -> list[Tie]:
    """Return the ties between booklets that are too weak to put them on one scale.

    Booklets that a third one ties together are tied.
    """
    booklets = find_booklets(responses.administered)
    groups = list(range(len(booklets)))
    weak = []
    for first, second, tie in _ties(responses.administered, booklets):
        if groups[first] == groups[second]:
            continue
        groups = [groups[first] if group == groups[second] else group for group in groups]
        if tie.strength < 1:
            weak.append(tie)
    return weak


def find_booklets(administered: np.ndarray) -> list[np.ndarray]:
    """Return the models of each booklet, as boolean arrays: those that answered much the same.

    Parameters
    ----------
    administered : boolean array, shape (n_subjects, n_items)
    """
    packed = np.packbits(administered, axis=1)
    rows = [row.tobytes() for row in packed]
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    sizes = BITS[packed].sum(axis=1, dtype=int)
    free = sizes > 0
    booklets = []
    for row, _ in Counter(rows).most_common():
        leader = first[row]
        if len(booklets) == MOST:
            break
        if not free[leader]:
            continue
        common = _answered(packed, packed[leader])
        alike = free & (common >= ALIKE * (sizes + sizes[leader] - common))
        free &= ~alike
        booklets.append(alike)
    least = max(2, SMALLEST * len(administered))
    return [booklet for booklet in booklets if booklet.sum() >= least]


def _answered(packed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return how many of the items in a mask each model answered, both packed into bits."""
    return BITS[packed & mask].sum(axis=1, dtype=int)


def _ties(administered: np.ndarray, booklets: list[np.ndarray]) -> list[tuple[int, int, Tie]]:
    """Return every pair of booklets with what ties it, the strongest first."""
    items = [administered[booklet].mean(axis=0) >= 0.5 for booklet in booklets]
    packed = np.packbits(administered, axis=1)
    pairs = []
    for second in range(len(booklets)):
        for first in range(second):
            one, two = items[first], items[second]
            own = [one & ~two, two & ~one]
            both = [_answered(packed, np.packbits(mask)) > mask.sum() / 2 for mask in own]
            tie = Tie(
                [int(booklets[first].sum()), int(booklets[second].sum())],
                [int(one.sum()), int(two.sum())],
                int((one & two).sum()),
                int((both[0] & both[1]).sum()),
            )
            pairs.append((first, second, tie))
    return sorted(pairs, key=lambda pair: -pair[2].strength)


def warn_of_weak_ties(responses: Responses, source: str) -> list[dict]:
    """Print a notice of booklets that hardly anything ties together, and return their ties."""
    ties = weak_ties(responses)
    for tie in ties:
        LOG.warning(
            "%s: %d models answered %d items and %d others %d, with %d items in common and %d "
            "models that answered both: the calibration takes all models for draws from one "
            "population and what they did not answer for missing at random. If one group is "
            "abler, its items come out too easy: calibrate each group by itself and link the two "
            "(itemwise.irt.linking), or add common items",
            source,
            tie.subjects[0],
            tie.items[0],
            tie.subjects[1],
            tie.items[1],
            tie.common_items,
            tie.common_subjects,
        )
    return [asdict(tie) for tie in ties]
