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
    sums = pd.Series(square - mean).groupby(cluster.to_numpy()).sum()
    n_clusters = len(sums)
    if n_clusters < 2 or mean == 0:
        return float("nan")
    variance = n_clusters / (n_clusters - 1) * (sums**2).sum() / len(square) ** 2
    return float(np.sqrt(variance) / (2 * np.sqrt(mean)))


def calibration_share(abilities: pd.DataFrame, form: str = "A") -> float | None:
    """Return the part of the variance of theta from a form that item parameters cause.

    None where the parameters came without covariances, so that intervals do not hold it.
    """
    rows = abilities[abilities["form"] == form]
    if "se_calibration" not in rows:
        return None
    caused = float((rows["se_calibration"] ** 2).mean())
    return caused / (caused + float((rows["se"] ** 2).mean()))
