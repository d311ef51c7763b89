"""How well full scores are rebuilt."""

from __future__ import annotations

import numpy as np
import pandas as pd


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
