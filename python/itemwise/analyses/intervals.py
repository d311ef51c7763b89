"""Estimates with their uncertainty: proportions, means, distances, and the bootstrap.

All intervals are 95 %, and hold what is true at the edges too: a rate without an event is not
known to be 0, and a distance or a range that is 0 must not be excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

LEVEL = 0.95
Z = float(ndtri(0.5 + LEVEL / 2))
REPEATS = 1000
"""Bootstrap samples."""
ROUNDING = 1e-9
"""Spread, relative to the value (at least 1), below which samples do not differ."""


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and 95 % interval, and the units that it rests on.

    `trials` are the independent trials that a share is worth; null for anything else.
    """

    value: float
    se: float
    lower: float
    upper: float
    n: int
    trials: float = np.nan

    def within(self, lower: float, upper: float) -> Estimate:
        """Return the estimate with its interval cut to the values that are possible."""
        return replace(self, lower=max(self.lower, lower), upper=min(self.upper, upper))

    def row(self, metric: str, group: str = "", seed: int | None = None) -> dict:
        """Return the estimate as a row of the table `measures`, without its checkpoint."""
        return {"metric": metric, "group": group, "value": self.value, "se": self.se,
                "lower": self.lower, "upper": self.upper, "n": self.n, "seed": seed}  # fmt: skip


UNKNOWN = Estimate(np.nan, np.nan, np.nan, np.nan, 0)
"""Of nothing."""


def proportion(successes: float, n: int) -> Estimate:
    """Return a share with Wilson's interval (Wilson 1927) and the SE sqrt(p (1 - p) / n).

    Raises
    ------
    ValueError
        More successes than trials.
    """
    if n == 0:
        return UNKNOWN
    if not 0 <= successes <= n:
        raise ValueError(f"k = {successes} successes in n = {n} trials")
    p = float(successes / n)
    return Estimate(p, float(np.sqrt(p * (1 - p) / n)), *_wilson(p, n), n, float(n))


def share(flags: np.ndarray) -> Estimate:
    """Return the share of repeats of which something is true, clustered by unit.

    Wilson's interval of P R / D trials, with D the design effect (Kish 1965): R times the
    variance of the units' shares over p (1 - p), between 1 and R. It is taken with one more
    unit all true and one all false, so that it is R, its worst, where no event says whether
    the repeats of a unit are alike.

    Parameters
    ----------
    flags : array of bool, shape (P, R)
        Units and their repeats.

    Returns
    -------
    Estimate
        SE: that of the mean over units; `n` is P R.
    """
    flags = np.asarray(flags, float)
    units, repeats = flags.shape
    if repeats == 1 or not units:
        return proportion(flags.sum(), flags.size)
    each = flags.mean(axis=1)
    more = np.append(each, [0, 1])
    effect = repeats * more.var() / (more.mean() * (1 - more.mean()))
    trials = flags.size / np.clip(effect, 1, repeats)
    interval = _wilson(each.mean(), trials)
    over = mean(each)
    return Estimate(over.value, over.se, *interval, flags.size, float(trials))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first minus second of two independent shares.

    Newcombe 1998 (Statist. Med. 17:873, method 10), from the intervals of both.
    """
    value = first.value - second.value
    lower = np.hypot(first.value - first.lower, second.upper - second.value)
    upper = np.hypot(first.upper - first.value, second.value - second.lower)
    return Estimate(value, float(np.hypot(first.se, second.se)), value - float(lower),
                    value + float(upper), first.n + second.n)  # fmt: skip


def distance(found: Estimate, centre: float) -> Estimate:
    """Return |value - centre|: the distances of what the interval holds, 0 if it holds it."""
    ends = abs(found.lower - centre), abs(found.upper - centre)
    lower = 0.0 if found.lower <= centre <= found.upper else min(ends)
    return Estimate(abs(found.value - centre), found.se, lower, max(ends), found.n)


def mean(values: Sequence[float]) -> Estimate:
    """Return a mean with SE sd / sqrt(n) and the normal interval."""
    values = np.asarray(values, float)
    n = len(values)
    if n == 0:
        return UNKNOWN
    value = float(values.mean())
    se = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return normal(value, se, n)


def normal(value: float, se: float, n: int) -> Estimate:
    """Return an estimate of known standard error with the normal interval."""
    return Estimate(value, se, value - Z * se, value + Z * se, n)


def average(parts: Sequence[Estimate], weights: Sequence[float] | None = None) -> Estimate:
    """Return the mean of independent estimates: SE = sqrt(sum (w se)^2).

    Of shares the interval is that of the score test, which is Wilson's of a single one: it
    lives where no part had an event. Of other estimates it is normal.

    Parameters
    ----------
    parts : list of Estimate
    weights : list of float, optional
        With sum 1; default: all alike.
    """
    share_of = np.full(len(parts), 1 / len(parts)) if weights is None else np.asarray(weights)
    values, errors = (np.array([getattr(e, name) for e in parts]) for name in ("value", "se"))
    value, n = float(share_of @ values), sum(part.n for part in parts)
    se = float(np.sqrt(np.sum((share_of * errors) ** 2)))
    trials = np.array([part.trials for part in parts])
    if np.isfinite(trials).all():
        return Estimate(value, se, *_score_interval(values, trials, share_of), n)
    return normal(value, se, n)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of n trials, which need not be a whole number."""
    centre = p + Z**2 / (2 * n)
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    lower, upper = (centre + np.array([-half, half])) / (1 + Z**2 / n)
    return (0.0 if p == 0 else float(lower)), (1.0 if p == 1 else float(upper))


def _score_interval(
    shares: Sequence[float], trials: Sequence[float], weights: Sequence[float]
) -> tuple[float, float]:
    """Return the values L of sum w p that the score test does not reject.

    (sum w p^ - L)^2 = z^2 sum w^2 p (1 - p) / n, with p the most likely shares under L: they
    fulfil p^ - p = m p (1 - p) with m = t w / n, and t runs from 0 upwards to the lower end
    and downwards to the upper one (Miettinen and Nurminen 1985, Statist. Med. 4:213).
    """
    p, n, w = (np.asarray(values, float) for values in (shares, trials, weights))
    value = float(w @ p)

    def held(log_t: float, sign: int) -> tuple[float, bool]:
        m = sign * np.exp(log_t) * w / n
        root = np.sqrt(np.maximum((1 + m) ** 2 - 4 * m * p, 0))
        # The same root of m q^2 - (1 + m) q + p = 0, written without cancellation.
        q = np.where(1 + m >= 0, 2 * p / np.maximum(1 + m + root, 1e-300), (1 + m - root) / (2 * m))
        q = np.clip(q, 0, 1)
        at = float(w @ q)
        return at, abs(value - at) <= Z * np.sqrt(float((w**2 / n) @ (q * (1 - q))))

    ends = []
    for sign in (1, -1):
        low, high = np.log((n / w).min()) - 15, np.log((n / w).max()) + 35
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if held(middle, sign)[1] else (low, middle)
        ends.append(held(low, sign)[0])
    return ends[0], ends[1]


def size(
    norm_of: Callable[[np.ndarray], np.ndarray], values: np.ndarray, group: np.ndarray, seed: int
) -> Estimate:
    """Return how far the means of groups differ: a norm of them, such as their range.

    With m the means and mu the true ones, |norm(m) - norm(mu)| <= norm(m - mu), whose
    quantile the bootstrap within groups gives: value +- that quantile holds at least 95 %,
    a true 0 included, which percentiles of a statistic that is never below 0 do not.

    Parameters
    ----------
    norm_of : callable
        From means of groups (last axis, in the order of their names) to norms: 0 where all
        means are alike, convex, and in proportion to their differences.
    values : array, shape (N,)
    group : array, shape (N,)
    seed : int
    """
    rng = np.random.default_rng(seed)
    means, errors = [], []
    for name in np.unique(group):
        mine = values[group == name]
        drawn = mine[rng.integers(len(mine), size=(REPEATS, len(mine)))].mean(axis=1)
        means.append(mine.mean())
        # Samples of a sample vary less than samples, by (n - 1) / n.
        errors.append((drawn - mine.mean()) * np.sqrt(len(mine) / max(len(mine) - 1, 1)))
    means, errors = np.array(means), np.column_stack(errors)
    value, reach = float(norm_of(means)), float(np.quantile(norm_of(errors), LEVEL))
    se = float(np.std(norm_of(means + errors), ddof=1))
    return Estimate(value, se, max(value - reach, 0.0), value + reach, len(values))


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
        return UNKNOWN
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
    if len(draws) < 2 or np.ptp(draws) <= ROUNDING * max(abs(value), 1):
        return Estimate(value, np.nan, np.nan, np.nan, n)
    below = ((draws < value).mean() + (draws <= value).mean()) / 2
    bias = ndtri(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    lower, upper = np.quantile(draws, ndtr([2 * bias - Z, 2 * bias + Z]))
    se = float(draws.std(ddof=1))
    return Estimate(value, se, min(float(lower), value), max(float(upper), value), n)
