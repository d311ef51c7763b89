"""How far apart must two models be for a short form to tell?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm


def minimum_detectable_difference(
    reconstructions: pd.DataFrame, alpha: float = 0.05, power: float = 0.8
) -> dict[str, float]:
    """Return the smallest difference of full scores that is found with the given power.

    (z_{1 - alpha/2} + z_power) s, with s the standard deviation of e_i - e_j, the
    difference of the reconstruction errors of two models of like ability (neighbours in
    the order of true scores): errors that both share cancel, as they do when two models
    answer the same items.

    Parameters
    ----------
    reconstructions : data frame
        Rows of one form and read-out, subjects that took no part in fitting.
    alpha : float
        Two-sided level of the test.
    power : float

    Returns
    -------
    dict
        difference and standard_deviation (points), alpha, power, pairs.
    """
    ordered = reconstructions.sort_values("full_score")
    error = (ordered["predicted"] - ordered["full_score"]).to_numpy()
    gap = np.diff(error)
    spread = float(np.sqrt(np.mean(gap**2))) if len(gap) else float("nan")
    factor = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    return {
        "difference": float(factor * spread),
        "standard_deviation": spread,
        "alpha": alpha,
        "power": power,
        "pairs": len(gap),
    }
