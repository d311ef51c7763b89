"""Paired differences of two models, with clustered standard errors."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest, t


def clustered_error(values: np.ndarray, clusters: np.ndarray | None = None) -> tuple[float, int]:
    """Return the standard error of a mean whose values come in clusters, and their number.

    SE^2 = G / (G - 1) n^-2 sum_c (sum_{i in c} (x_i - mean))^2 with G clusters of n values
    together: the sandwich estimator (Liang & Zeger 1986, Biometrika 73:13) with the usual
    correction for few clusters (Cameron & Miller 2015, J. Human Resources 50:317). Miller
    (2024, arXiv 2411.00640) states it for evaluations, without the correction on products
    within clusters. Clusters of one value each give s / sqrt(n), the error of independent
    values.

    Parameters
    ----------
    values : array, shape (n,)
    clusters : array, shape (n,), optional
        Names; by default every value is a cluster of its own.

    Returns
    -------
    float
        Null (NaN) with fewer than two clusters.
    int
    """
    _, codes = np.unique(np.arange(len(values)) if clusters is None else clusters,
                         return_inverse=True)  # fmt: skip
    sums = np.bincount(codes, values - values.mean())
    n = len(sums)
    if n < 2:
        return np.nan, n
    return float(np.sqrt(n / (n - 1) * (sums**2).sum()) / len(values)), n


def paired(
    first: np.ndarray, second: np.ndarray, level: float, clusters: np.ndarray | None = None
) -> dict[str, float]:
    """Compare two rows of responses to the same items, or of their means over runs.

    The interval is mean +- t SE with G - 1 degrees of freedom. McNemar's exact test, the
    binomial test of the items that exactly one model got right, holds for independent 0/1
    responses alone, and is left out otherwise.

    Parameters
    ----------
    first, second : array, shape (n_items,)
    level : float
        Of the interval.
    clusters : array, shape (n_items,), optional
        Names of the items' clusters.
    """
    gap = first - second
    error, n_clusters = clustered_error(gap, clusters)
    known = n_clusters > 1
    half = t.ppf((1 + level) / 2, n_clusters - 1) * error if known else np.nan
    only_first, only_second = int((gap > 0).sum()), int((gap < 0).sum())
    exact = clusters is None and bool(np.isin([first, second], (0, 1)).all())
    return {
        "n_items": len(first),
        "n_clusters": n_clusters,
        "score_first": 100 * first.mean(),
        "score_second": 100 * second.mean(),
        "difference": 100 * gap.mean(),
        "standard_error": 100 * error,
        "lower": 100 * (gap.mean() - half) if known else -100.0,
        "upper": 100 * (gap.mean() + half) if known else 100.0,
        "level": level,
        "p_value": 2 * t.sf(abs(gap.mean()) / error, n_clusters - 1) if error > 0 else np.nan,
        "only_first": only_first,
        "only_second": only_second,
        "p_mcnemar": _mcnemar(only_first, only_second) if exact else np.nan,
    }


def _mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p value of McNemar's test."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def error_of_runs(counts: np.ndarray, variances: np.ndarray) -> float:
    """Return the part of a mean's standard error that drawing the answers anew makes.

    SE^2 = mean_i(s_i^2 / K_i) / n with s_i^2 the variance of item i's K_i answers, over items
    with K_i > 1: the conditional variance of Miller (2024, arXiv 2411.00640), which more runs
    lower. The standard error of the items' means holds it already.

    Parameters
    ----------
    counts, variances : array, shape (n_items,)
        Answers of each item, and their variance (NaN for one answer).

    Returns
    -------
    float
        Null (NaN) where no item was answered twice.
    """
    several = counts > 1
    if not several.any():
        return np.nan
    return float(np.sqrt((variances[several] / counts[several]).mean() / len(counts)))
