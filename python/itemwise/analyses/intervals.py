"""Estimates with their uncertainty: proportions, means, and anything by the bootstrap.

All intervals are 95 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binomtest, norm

LEVEL = 0.95
Z = float(norm.ppf(0.5 + LEVEL / 2))
REPEATS = 1000
"""Bootstrap samples."""


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and 95 % interval, and the units that it rests on."""

    value: float
    se: float
    lower: float
    upper: float
    n: int

    def within(self, lower: float, upper: float) -> Estimate:
        """Return the estimate with its interval cut to the values that are possible."""
        return replace(self, lower=max(self.lower, lower), upper=min(self.upper, upper))

    def row(self, metric: str, group: str = "", seed: int | None = None) -> dict:
        """Return the estimate as a row of the table `measures`, without its checkpoint."""
        return {"metric": metric, "group": group, "value": self.value, "se": self.se,
                "lower": self.lower, "upper": self.upper, "n": self.n, "seed": seed}  # fmt: skip


def proportion(successes: float, n: int) -> Estimate:
    """Return a share with Wilson's interval (Wilson 1927) and the SE sqrt(p (1 - p) / n).

    Raises
    ------
    ValueError
        More successes than trials.
    """
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    p = successes / n
    interval = binomtest(round(successes), n).proportion_ci(LEVEL, method="wilson")
    return Estimate(p, float(np.sqrt(p * (1 - p) / n)), interval.low, interval.high, n)


def mean(values: Sequence[float]) -> Estimate:
    """Return a mean with SE sd / sqrt(n) and the normal interval."""
    values = np.asarray(values, float)
    n = len(values)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    value = float(values.mean())
    se = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return normal(value, se, n)


def normal(value: float, se: float, n: int) -> Estimate:
    """Return an estimate of known standard error with the normal interval."""
    return Estimate(value, se, value - Z * se, value + Z * se, n)


def average(parts: Sequence[Estimate]) -> Estimate:
    """Return the unweighted mean of independent estimates: SE = sqrt(sum se^2) / K."""
    value = float(np.mean([part.value for part in parts]))
    se = float(np.sqrt(np.sum([part.se**2 for part in parts])) / len(parts))
    return normal(value, se, sum(part.n for part in parts))


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    n: int,
    seed: int,
    strata: np.ndarray | None = None,
    repeats: int = REPEATS,
) -> Estimate:
    """Return a statistic with the bootstrap's SE and bias-corrected percentile interval.

    Efron 1981 (BC): statistics such as a largest difference are larger in samples of samples,
    and plain percentiles would lie above them. The interval always holds the value.

    Parameters
    ----------
    statistic : callable
        From indices of units to the value. What belongs to one unit (the repeats of a
        prompt) stays together, so this is the cluster bootstrap where units are clusters.
    n : int
        Number of units.
    seed : int
    strata : array, shape (n,), optional
        Units are drawn anew within each.
    repeats : int
    """
    everything = np.arange(n)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    parts = [everything]
    if strata is not None:
        strata = np.asarray(strata)
        parts = [np.flatnonzero(strata == name) for name in np.unique(strata)]
    rng = np.random.default_rng(seed)
    draws = np.array([
        statistic(np.concatenate([part[rng.integers(len(part), size=len(part))] for part in parts]))
        for _ in range(repeats)
    ])  # fmt: skip
    draws = draws[np.isfinite(draws)]
    value = float(statistic(everything))
    if len(draws) < 2:
        return Estimate(value, np.nan, np.nan, np.nan, n)
    below = ((draws < value).mean() + (draws <= value).mean()) / 2
    bias = norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    lower, upper = np.quantile(draws, norm.cdf([2 * bias - Z, 2 * bias + Z]))
    se = float(draws.std(ddof=1))
    return Estimate(value, se, min(float(lower), value), max(float(upper), value), n)
