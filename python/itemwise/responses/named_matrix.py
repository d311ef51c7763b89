"""A matrix whose rows and columns are named, and come as they are read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

GROWTH = 1.5
"""Room is made for so many times the rows or columns there are, so that copies are few."""


class NamedMatrix:
    """An int8 matrix with named rows and columns that grows by new names.

    Parameters
    ----------
    blank : int
        Value of cells that nothing was written to.
    """

    def __init__(self, blank: int):
        self._blank = blank
        self._cells = np.empty((0, 0), dtype=np.int8)
        self._names: tuple[dict[str, int], dict[str, int]] = {}, {}

    @property
    def rows(self) -> np.ndarray:
        """Names of the rows, in the order in which they came."""
        return np.array(list(self._names[0]), dtype=object)

    @property
    def columns(self) -> np.ndarray:
        """Names of the columns, in the order in which they came."""
        return np.array(list(self._names[1]), dtype=object)

    def row_numbers(self, names: Iterable[str]) -> np.ndarray:
        """Return the number of each row; new names get new rows."""
        return _numbers(self._names[0], names)

    def column_numbers(self, names: Iterable[str]) -> np.ndarray:
        """Return the number of each column; new names get new columns."""
        return _numbers(self._names[1], names)

    @property
    def matrix(self) -> np.ndarray:
        """The matrix; writing to it writes to the cells, until a name is added."""
        used = tuple(map(len, self._names))
        room = self._cells.shape
        if any(need > have for need, have in zip(used, room, strict=True)):
            larger = [
                have if need <= have else max(need, int(GROWTH * have))
                for need, have in zip(used, room, strict=True)
            ]
            cells = np.full(larger, self._blank, dtype=np.int8)
            cells[: room[0], : room[1]] = self._cells
            self._cells = cells
        return self._cells[: used[0], : used[1]]


def _numbers(known: dict[str, int], names: Iterable[str]) -> np.ndarray:
    """Return the number of each name, numbering new ones on."""
    return np.fromiter((known.setdefault(name, len(known)) for name in names), dtype=np.int64)
