"""Which items come next: one chooser for simulated and live tests, for single items and batches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.adaptive import criteria
from itemwise.adaptive.posterior import Posterior
from itemwise.adaptive.rules import Rule
from itemwise.responses.matrix import MISSING


class Chooser:
    """Chooses items by a rule, within exposure limits and shares of sub-domains.

    Of equally good items the first counts. The items of a batch are chosen one after the
    other, each discounted by what the ones before it will tell, so that batches obey the
    criterion, the limits and the shares as single items do.

    Parameters
    ----------
    rule : Rule
    posterior : Posterior
        Of all subjects; what was asked is read from it.
    domains : array, shape (n_items,), optional
        Sub-domains whose shares in the bank every test keeps to.
    rng : Generator
        For what is drawn.
    """

    def __init__(
        self,
        rule: Rule,
        posterior: Posterior,
        domains: np.ndarray | None,
        rng: np.random.Generator,
    ):
        self.rule, self.posterior, self.rng = rule, posterior, rng
        self.member = None
        if domains is not None:
            codes, _ = pd.factorize(domains)
            self.member = np.eye(codes.max() + 1, dtype=bool)[codes]
        n_subjects = len(posterior.matrix)
        self.room = np.full(len(posterior.items), max(1, int(rule.max_exposure * n_subjects)))

    def choose(self, subjects: np.ndarray, free: np.ndarray, done: int, size: int) -> np.ndarray:
        """Return the next items of some subjects.

        Parameters
        ----------
        subjects : array of int
        free : array of bool, shape (n_subjects, n_items)
            What can still be asked of them.
        done : int
            Items asked so far.
        size : int

        Returns
        -------
        array of int, shape (n_subjects, size)
            -1 where no item is left.
        """
        free = free.copy()
        if done == 0 and self.rule.spread is not None:
            wanted = criteria.first_values(self.rule, self.posterior, subjects)
        else:
            same = criteria.values(self.rule, self.posterior, subjects, done, self.rng)
            wanted = [same] * size
        told = None
        if size > 1 and self.rule.joint(done):
            told = criteria.BatchInformation(self.posterior, subjects)
        used = None
        if self.member is not None:
            used = (self.posterior.matrix[subjects] != MISSING).astype(int) @ self.member
        chosen = np.full((len(subjects), size), -1)
        for place in range(size):
            values = np.where(self._allowed(free, used), wanted[place], -np.inf)
            if place and told is not None:
                values = told.discounted(values, self._looked_at(values.shape[1]))
            picked = self._pick(values)
            rows = np.flatnonzero(picked >= 0)
            items = picked[rows]
            chosen[:, place] = picked
            free[rows, items] = False
            if told is not None:
                told.add(rows, items)
            if used is not None:
                used[rows] += self.member[items]
        return chosen

    def _looked_at(self, n_items: int) -> int:
        """Return among how many of a subject's best items the next one is."""
        return self.rule.randomesque if self.rule.max_exposure == 1 else n_items

    def _allowed(self, free: np.ndarray, used: np.ndarray | None) -> np.ndarray:
        """Return which items may be asked: free, with room left, of the domain in want."""
        allowed = free & (self.room > 0)
        # Rather an overexposed item than none.
        none = ~allowed.any(axis=1)
        allowed[none] = free[none]
        if used is None:
            return allowed
        behind = self.member.mean(axis=0) - used / np.maximum(used.sum(axis=1, keepdims=True), 1)
        open_domains = (allowed.astype(int) @ self.member) > 0
        wanted = np.where(open_domains, behind, -np.inf).argmax(axis=1)
        return allowed & self.member.T[wanted]

    def _pick(self, wanted: np.ndarray) -> np.ndarray:
        """Return the best item of each row, or one of the best, within exposure limits."""
        chosen = np.full(len(wanted), -1)
        left = np.isfinite(wanted).any(axis=1)
        if self.rule.max_exposure == 1:
            chosen[left] = self._best(wanted[left])
            return chosen
        order = self.rng.permutation(len(wanted))
        for row in order[left[order]]:
            open_items = np.where(self.room > 0, wanted[row], -np.inf)
            if not np.isfinite(open_items).any():
                open_items = wanted[row]
            chosen[row] = self._best(open_items[None])[0]
            self.room[chosen[row]] -= 1
        return chosen

    def _best(self, wanted: np.ndarray) -> np.ndarray:
        """Return the first of the best items of each row, or one of the `randomesque` best."""
        k = self.rule.randomesque
        if k == 1:
            return wanted.argmax(axis=1)
        ranked = np.argsort(-wanted, axis=1, kind="stable")[:, :k]
        finite = np.isfinite(np.take_along_axis(wanted, ranked, axis=1)).sum(axis=1)
        place = (self.rng.random(len(wanted)) * finite).astype(int)
        return ranked[np.arange(len(wanted)), place]
