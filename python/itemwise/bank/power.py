"""How far apart must two models be for a form to tell, and how many items does it take?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.errors import UserError


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
    factor = ndtri(1 - alpha / 2) + ndtri(power)
    return {
        "difference": float(factor * spread),
        "standard_deviation": spread,
        "alpha": alpha,
        "power": power,
        "pairs": len(gap),
    }


def items_needed(
    difference: float, discordance: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return how many common items McNemar's test needs to find a difference.

    n = ((z_{1-alpha/2} sqrt(p) + z_power sqrt(p - d^2)) / d)^2 with p the share of items
    that exactly one of the two models gets right and d the difference of their shares of
    right answers (Connor 1987, Biometrics 43:207).

    Parameters
    ----------
    difference : float
        Points, 0 to 100.
    discordance : float
        Share of items, at least the difference / 100.
    alpha, power : float

    Raises
    ------
    UserError
        Values that contradict each other or lie outside their range.
    """
    d = abs(difference) / 100
    if not 0 < d <= 1:
        raise UserError(f"--difference {difference:g}: must lie between 0 and 100 points")
    if not d <= discordance <= 1:
        raise UserError(
            f"--discordance {discordance:g}: models that differ by {difference:g} points disagree "
            f"on at least {d:g} of the items; give a share from there to 1"
        )
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise UserError(f"--{name} {value:g}: must lie between 0 and 1")
    z = ndtri(1 - alpha / 2) * math.sqrt(discordance)
    z += ndtri(power) * math.sqrt(discordance - d**2)
    return math.ceil((z / d) ** 2)
