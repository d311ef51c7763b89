"""Correlations between analyses over the checkpoints of a run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.adaptive.checkpoints import rank_distance

FEWEST_CHECKPOINTS = 6
"""Common checkpoints below which a correlation says nothing."""
RESAMPLES = 1000
TAILS = (0.025, 0.975)


def block_length(n: int) -> int:
    """Return the length of blocks, n^(1/3) (Hall, Horowitz & Jing 1995, Biometrika 82:561)."""
    return max(1, round(n ** (1 / 3)))


def correlate(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return Spearman's correlation of two dependent series and its interval.

    Checkpoints that follow each other are alike, so blocks of them are drawn (moving
    blocks; Künsch 1989, Annals of Statistics 17:1217). Percentile interval; null where a
    series is constant.

    Parameters
    ----------
    first, second : array, shape (n,)
        In the order of training.
    rng : generator
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    none = (float("nan"),) * 3
    if len(first) < FEWEST_CHECKPOINTS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return none
    n, length = len(first), block_length(len(first))
    starts = rng.integers(0, n - length + 1, (RESAMPLES, -(-n // length)))
    rows = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :n]
    drawn = spearman(first[rows], second[rows])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return none
    value = float(spearman(first[None], second[None])[0])
    lower, upper = np.quantile(drawn, TAILS)
    return value, float(lower), float(upper)


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each row, null where one is constant."""
    from scipy.stats import rankdata  # takes half a second to import

    a, b = rankdata(first, axis=1), rankdata(second, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (a * b).sum(axis=1) / scale, np.nan)


def correlations(wide: pd.DataFrame, rng: np.random.Generator) -> list[dict]:
    """Correlate every two analyses of one run, in levels and in first differences.

    Levels share the trend of training; differences say what moves together from one
    checkpoint to the next.

    Parameters
    ----------
    wide : data frame
        One row a checkpoint in the order of training, one column an analysis.

    Returns
    -------
    list of dict
        `first`, `second`, `kind`, `spearman`, `lower`, `upper`, `rank_distance`, `n`.
    """
    rows = []
    names = list(wide)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            both = wide[[one, other]].dropna().to_numpy(float)
            for kind, values in (("levels", both), ("differences", np.diff(both, axis=0))):
                if len(values) < FEWEST_CHECKPOINTS:
                    continue
                value, lower, upper = correlate(*values.T, rng)
                rows.append(
                    {"first": one, "second": other, "kind": kind, "spearman": value,
                     "lower": lower, "upper": upper, "rank_distance": rank_distance(*values.T),
                     "n": len(values)}
                )  # fmt: skip
    return rows
