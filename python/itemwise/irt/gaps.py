"""Cells that were not administered: each pattern of them once.

Models lack whole forms of a benchmark, not cells at random: thousands of rows have a handful of
patterns. Sums over the missing cells are taken by pattern, then handed to the rows.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from itemwise.responses.matrix import MISSING

SPARSE_SHARE = 0.1
"""Up to this share of missing cells patterns are held as a sparse matrix."""


def gap_patterns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the patterns of missing cells and which one each row has.

    Parameters
    ----------
    matrix : array of int8, shape (n_subjects, n_items)

    Returns
    -------
    patterns : array of bool, shape (n_patterns, n_items)
        True where not administered.
    which : array of int, shape (n_subjects,)
    """
    packed = np.packbits(matrix == MISSING, axis=1)
    rows = packed.view(f"V{packed.shape[1]}")[:, 0]
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    return matrix[first] == MISSING, which.ravel()


class Gaps:
    """The missing cells of some rows.

    Parameters
    ----------
    patterns, which : arrays
        From `gap_patterns`, `which` of these rows alone.
    """

    def __init__(self, patterns: np.ndarray, which: np.ndarray):
        seen, self.place = np.unique(which, return_inverse=True)
        own = patterns[seen]
        self.patterns = own.astype(float)
        if own.mean() <= SPARSE_SHARE:
            self.patterns = sparse.csr_array(self.patterns)
        n = len(which)
        self.members = sparse.csr_array(
            (np.ones(n), (self.place, np.arange(n))), shape=(len(seen), n)
        )

    def sums(self, table: np.ndarray) -> np.ndarray:
        """Return the sums of a table of the items, (n_items, n_nodes), over each row's cells."""
        return (self.patterns @ table)[self.place]

    def counts(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights of the rows, (n_rows, n_nodes), summed over those lacking an item."""
        return self.patterns.T @ (self.members @ weights)
