"""How well full scores are predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd


def rmse(predicted: pd.Series, true: pd.Series) -> float:
    """Return the root mean squared error."""
    return float(np.sqrt(((predicted - true) ** 2).mean()))


def accuracy(reconstructions: pd.DataFrame) -> dict[str, float]:
    """Return RMSE, MAE (points) and the share of intervals that cover the true score.

    Parameters
    ----------
    reconstructions : data frame
        Rows of the table `reconstructions`.
    """
    error = reconstructions["predicted"] - reconstructions["full_score"]
    covered = reconstructions["full_score"].between(
        reconstructions["lower"], reconstructions["upper"]
    )
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(error.abs().mean()),
        "coverage": float(covered.mean()),
    }


def clustered_se(error: pd.Series, cluster: pd.Series) -> float:
    """Return the standard error of the RMSE when models of a cluster err alike.

    With m the mean squared error of n models in G clusters, by the delta method
    se = sqrt(V) / (2 sqrt(m)), V = G / (G - 1) sum_g (sum_{i in g} (e_i^2 - m))^2 / n^2.

    Parameters
    ----------
    error : series, shape (n,)
        Errors in points.
    cluster : series, shape (n,)
        What each model belongs to, such as its training run.

    Returns
    -------
    float
        Points; not a number with fewer than two clusters.

    References
    ----------
    Liang K.-Y. & Zeger S. L. (1986). Longitudinal data analysis using generalized linear
    models. Biometrika 73, 13-22.
    """
    square = error.to_numpy(float) ** 2
    mean = square.mean()
    if mean == 0:
        return float("nan")
    return mean_se(square, cluster) / (2 * float(np.sqrt(mean)))


def mean_se(values: np.ndarray, cluster: pd.Series) -> float:
    """Return the clustered standard error of a mean; not a number with fewer than two clusters."""
    sums = pd.Series(values - values.mean()).groupby(cluster.to_numpy()).sum()
    n = len(sums)
    if n < 2:
        return float("nan")
    return float(np.sqrt(n / (n - 1) * (sums**2).sum()) / len(values))


def gain(error: pd.Series, others: pd.DataFrame, cluster: pd.Series) -> tuple[float, float]:
    """Return by how much an RMSE is below that of other forms, and its standard error.

    The gain R - r, with r the RMSE of `error` and R that of all `others` together, both over
    the same models. Which models these are is chance: by the delta method the standard error is
    the clustered one of the mean of s_i / (2 R) - e_i^2 / (2 r), with s_i the mean squared
    error of model i over the others.

    Parameters
    ----------
    error : series, shape (n,)
        Errors in points.
    others : data frame, shape (n, n_forms)
        Errors of the same models by other forms; missing where one has none.
    cluster : series, shape (n,)
        What each model belongs to.

    Returns
    -------
    float, float
        Points.
    """
    own = error.to_numpy(float) ** 2
    theirs = (others**2).mean(axis=1).to_numpy()
    low, high = np.sqrt(own.mean()), np.sqrt(theirs.mean())
    if low == 0 or high == 0:
        return float(high - low), float("nan")
    return float(high - low), mean_se(theirs / (2 * high) - own / (2 * low), cluster)


def calibration_share(abilities: pd.DataFrame, form: str = "A") -> float | None:
    """Return the part of the variance of theta from a form that item parameters cause.

    None where the parameters came without covariances, so that intervals do not hold it.
    """
    rows = abilities[abilities["form"] == form]
    if "se_calibration" not in rows:
        return None
    caused = float((rows["se_calibration"] ** 2).mean())
    return caused / (caused + float((rows["se"] ** 2).mean()))
