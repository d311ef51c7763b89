"""Compare two runs along their training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemwise.trajectories.smooth import Curve

GRID = 60
"""Positions at which two runs are compared."""


@dataclass(frozen=True)
class Difference:
    """First minus second along the common range.

    Attributes
    ----------
    at : array, shape (GRID,)
        Positions.
    value, lower, upper : array, shape (GRID,)
    area : tuple of float
        Integral of the difference over the positions, with its interval: difference
        times tenfolds of training.
    parted : float or None
        Position from which on the interval excludes zero to the end.
    """

    at: np.ndarray
    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    area: tuple[float, float, float]
    parted: float | None


def compare(first: Curve, second: Curve) -> Difference | None:
    """Compare two curves where both are known; None where their ranges do not overlap.

    The errors of the two count as independent. Runs that answered the same items share a
    part of them, so that the intervals are rather too wide.

    That two equal runs are said to part has the probability at which the last interval
    misses zero, one minus the level, for they must stay apart to the end.
    """
    low, high = max(first.low, second.low), min(first.high, second.high)
    if not low < high:
        return None
    at = np.linspace(low, high, GRID)
    value = first.mean(at) - second.mean(at)
    covariance = first.covariance(at) + second.covariance(at)
    quantile = max(first.quantile(), second.quantile())
    half = quantile * np.sqrt(np.diag(covariance))
    lower, upper = value - half, value + half
    apart = (lower > 0) | (upper < 0)
    together = np.flatnonzero(~apart | (np.sign(value) != np.sign(value[-1])))
    start = together[-1] + 1 if len(together) else 0
    weights = np.full(GRID, (high - low) / (GRID - 1))
    weights[[0, -1]] /= 2
    area = float(weights @ value)
    reach = quantile * float(np.sqrt(weights @ covariance @ weights))
    parted = float(at[start]) if start < GRID else None
    return Difference(at, value, lower, upper, (area, area - reach, area + reach), parted)
