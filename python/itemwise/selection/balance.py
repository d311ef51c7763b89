"""Sub-domains kept in proportion, and parallel forms."""

from __future__ import annotations

import numpy as np
import pandas as pd


class Balance:
    """Quotas of sub-domains, in proportion to the pool (largest remainders).

    Parameters
    ----------
    domains : array, shape (n_items,)
        Sub-domain of every item of the pool; one value where there is no balance.
    size : int
        Items to select.
    """

    def __init__(self, domains: np.ndarray, size: int):
        self.codes, names = pd.factorize(domains)
        counts = np.bincount(self.codes, minlength=len(names))
        share = size * counts / counts.sum()
        self.quota = np.floor(share).astype(int)
        most_wanting = np.argsort(self.quota - share, kind="stable")
        self.quota[most_wanting[: size - self.quota.sum()]] += 1

    def first_of(self, order: np.ndarray) -> np.ndarray:
        """Return the items of an order that the quotas admit, first come first served."""
        codes = self.codes[order]
        place = pd.Series(codes).groupby(codes).cumcount().to_numpy()
        return order[place < self.quota[codes]]

    def open_items(self, taken: list[int]) -> np.ndarray:
        """Return which items may be taken next, boolean of shape (n_items,)."""
        used = np.bincount(self.codes[taken], minlength=len(self.quota))
        allowed = (used < self.quota)[self.codes]
        allowed[taken] = False
        return allowed


def assign_parallel_forms(
    positions: np.ndarray, domains: np.ndarray, n_forms: int
) -> list[np.ndarray]:
    """Deal ranked items to parallel forms, A B B A A B ..., sub-domain by sub-domain.

    The first item is the best, so turning the order round after every round gives no
    form all the better ones. Forms are disjoint; sizes differ by at most one.
    """
    by_domain = np.argsort(pd.factorize(domains[positions])[0], kind="stable")
    turn = np.concatenate([np.arange(n_forms), np.arange(n_forms)[::-1]])
    owner = np.empty(len(positions), dtype=int)
    owner[by_domain] = np.resize(turn, len(positions))
    return [positions[owner == form] for form in range(n_forms)]
