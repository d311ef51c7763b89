"""What a file says, whatever leaderboard it comes from."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from itemwise.collect.hub import HubFile

READER = 1
"""Version of the readers: a new one opens files again that an old one could not read."""


@dataclass(frozen=True)
class Selection:
    """The files that serve a benchmark, and what was published of them.

    Attributes
    ----------
    run, why : str
        The run and why it was chosen.
    files : dict
        File of each task.
    published : dict
        Published score of each task by metric (0-1), None where there is none.
    revision, precision : str, optional
        Of the model, as the run states them.
    """

    run: str
    why: str
    files: dict[str, HubFile]
    published: dict[str, dict[str, float | None]] = field(default_factory=dict)
    revision: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class ItemList:
    """Items of a file in the order of its rows; most models share it.

    Attributes
    ----------
    items : list of dict
        `item`, `doc_id`, `doc_hash`, `text`, `choices` (JSON), `gold`, `native`.
    """

    items: list[dict]

    @property
    def names(self) -> list[str]:
        """Ids of the items."""
        return [item["item"] for item in self.items]

    @cached_property
    def _content(self) -> bytes:
        return json.dumps(self.items, ensure_ascii=False, sort_keys=True).encode("utf-8")

    @cached_property
    def key(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(self._content).hexdigest()

    def pack(self) -> bytes:
        """Return the compressed content."""
        return zlib.compress(self._content, 6)

    @staticmethod
    def unpack(blob: bytes) -> ItemList:
        """Return the list of a compressed content."""
        return ItemList(json.loads(zlib.decompress(blob)))


@dataclass(frozen=True)
class TaskResponses:
    """One model's responses to one task.

    Attributes
    ----------
    layout, metric : str
    item_list : ItemList
    responses : int8 array (n_items,)
    scores : dict
        Means by metric (0-1), to hold against what was published.
    """

    layout: str
    metric: str
    item_list: ItemList
    responses: np.ndarray
    scores: dict[str, float]


ROUNDING = 1e-4
"""Largest difference to a published score (0-1) that rounding explains."""


def disagreement(answers: TaskResponses, published: dict[str, float | None]) -> str | None:
    """Say where the items' mean is not the published score; None where it is or none is."""
    for metric, stated in published.items():
        mean = answers.scores.get(metric)
        if stated is None or mean is None or np.isnan(mean):
            continue
        if abs(mean - stated) > ROUNDING:
            return f"mean {metric} of the items {100 * mean:.3f}, published {100 * stated:.3f}"
    return None
