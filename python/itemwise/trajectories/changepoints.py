"""Change points of level and slope, their number by a stated penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ruptures

from itemwise.trajectories.gather import NORMAL

FEWEST_BETWEEN = 3
"""Checkpoints of a segment: two would fit any line."""
FALSE_ALARM = 0.05
"""Share of trajectories without a break that may get one."""
DISTINCT = NORMAL
"""Standard errors from which on a jump or a change of slope is named."""


@dataclass(frozen=True)
class Change:
    """One change point, between checkpoints `before` and `after` (numbers of points).

    `jump` and `slope_change` (per unit of the positions) with standard errors; `evidence`
    is how much the weighted sum of squares grows without this break.
    """

    before: int
    after: int
    kind: str
    jump: float
    jump_se: float
    slope_before: float
    slope_after: float
    slope_change_se: float
    evidence: float


class LineCost(ruptures.base.BaseCost):
    """Weighted residual sum of squares of a straight line over a segment, from running sums."""

    model = "weighted line"
    min_size = FEWEST_BETWEEN

    def __init__(self, x: np.ndarray, y: np.ndarray, se: np.ndarray):
        weight = se**-2
        # Centred, so that differences of sums keep their digits.
        x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
        terms = np.stack([np.ones(len(x)), x, x * x, y, x * y, y * y]) * weight
        self._sums = np.concatenate([np.zeros((6, 1)), terms.cumsum(axis=1)], axis=1)

    def fit(self, signal) -> LineCost:
        """Keep what ruptures asks for; the sums are there already."""
        self.signal = signal
        return self

    def error(self, start: int, end: int) -> float:
        """Return the cost of points `start` to `end` (exclusive)."""
        w, wx, wxx, wy, wxy, wyy = self._sums[:, end] - self._sums[:, start]
        sxx, sxy, syy = wxx - wx * wx / w, wxy - wx * wy / w, wyy - wy * wy / w
        explained = sxy * sxy / sxx if sxx > 1e-12 * wxx else 0.0
        return float(max(syy - explained, 0.0))


def penalty(n: int) -> float:
    """Return what a further break must gain in the weighted sum of squares.

    A break adds a level and a slope, so at a place without one the gain is chi-squared
    with 2 degrees of freedom, which exceeds c with probability exp(-c / 2). Over n places
    c = 2 log(n / FALSE_ALARM) bounds the share of false breaks (Bonferroni).
    """
    return 2 * float(np.log(n / FALSE_ALARM))


def find_changes(x: np.ndarray, y: np.ndarray, se: np.ndarray) -> list[Change]:
    """Find where a trajectory leaves its straight line (PELT, Killick et al. 2012, JASA 107).

    Parameters
    ----------
    x, y, se : array, shape (n,)
        Positions in ascending order, values, standard errors (positive).

    Returns
    -------
    list of Change
        In the order of x; none where there are fewer than 2 * `FEWEST_BETWEEN` points.
    """
    n = len(x)
    if n < 2 * FEWEST_BETWEEN:
        return []
    cost = LineCost(x, y, se)
    search = ruptures.Pelt(custom_cost=cost, min_size=FEWEST_BETWEEN, jump=1)
    ends = search.fit(np.arange(n)).predict(pen=penalty(n))
    starts = [0, *ends[:-1]]
    return [
        _describe(x, y, se, cost, left, middle, right)
        for left, middle, right in zip(starts, ends[:-1], ends[1:], strict=False)
    ]


def _describe(x, y, se, cost: LineCost, left: int, middle: int, right: int) -> Change:
    """Describe a break between the segments [left, middle) and [middle, right)."""
    place = (x[middle - 1] + x[middle]) / 2
    before, before_cov = _line(x[left:middle] - place, y[left:middle], se[left:middle])
    after, after_cov = _line(x[middle:right] - place, y[middle:right], se[middle:right])
    change, variance = after - before, np.diag(before_cov + after_cov)
    jump, slope = np.abs(change) > DISTINCT * np.sqrt(variance)
    kind = "both" if jump and slope else "level" if jump else "slope"
    evidence = cost.error(left, right) - cost.error(left, middle) - cost.error(middle, right)
    return Change(
        middle - 1, middle, kind, float(change[0]), float(np.sqrt(variance[0])),
        float(before[1]), float(after[1]), float(np.sqrt(variance[1])), evidence,
    )  # fmt: skip


def _line(x: np.ndarray, y: np.ndarray, se: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return level at 0 and slope of the weighted line, and their covariance."""
    rows = np.column_stack([np.ones(len(x)), x]) / se[:, None]
    inverse = np.linalg.pinv(rows.T @ rows)
    return inverse @ rows.T @ (y / se), inverse
