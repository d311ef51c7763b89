"""How far apart must two models be for a form to tell, and how many items does it take?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.errors import UserError

MOST_MODELS = 1000
"""Models whose pairs are compared, evenly over the order of scores: half a million pairs."""


def minimum_detectable_difference(
    reconstructions: pd.DataFrame, alpha: float = 0.05, power: float = 0.8, optimism: float = 1.0
) -> dict[str, float | int | None]:
    """Return the smallest difference of full scores that is found with the given power.

    The test finds a difference of two models where their predictions differ by more than
    z_{1 - alpha/2} s, with s the standard deviation of the difference of the predictions of
    two models of the same full score: models next to each other in the order of full
    scores, less the slope of prediction on full score times their distance. Of all pairs of
    models the share that is found, the better one predicted to be better, rises with the
    difference of their full scores; isotonic regression makes it monotone, and the difference
    where it reaches the power is returned. A prediction that shrinks towards the mean hardly
    varies, but hardly tells models apart either: both count here.

    Parameters
    ----------
    reconstructions : data frame
        Rows of one form and read-out, each model predicted by models other than itself.
    alpha : float
        Two-sided level of the test.
    power : float
    optimism : float
        Factor by which errors of these models are too small, since they chose the items.

    Returns
    -------
    dict
        difference (points; None where no difference is found with that power, of those that
        are as large or larger in at least as many pairs as there are models),
        standard_deviation (points), alpha, power, pairs.
    """
    ordered = reconstructions.sort_values("full_score", kind="stable")
    full, predicted = (ordered[name].to_numpy(float) for name in ("full_score", "predicted"))
    from scipy.optimize import isotonic_regression

    told = {"difference": None, "standard_deviation": None, "alpha": alpha, "power": power,
            "pairs": 0}  # fmt: skip
    if len(full) < 2 or np.ptp(full) == 0:
        return told
    slope, _ = np.polyfit(full, predicted, 1)
    line = slope * (full - full.mean())
    error = predicted - predicted.mean() - line
    # Calibrated predictions have cov(predicted, full) = var(predicted): their slope is 1 less
    # the share of var(full) that errors have, and var(error) = slope (1 - slope) var(full).
    honest = max(0.0, 1 - optimism**2 * (1 - slope)) / slope if slope > 0 else 0.0
    error *= optimism * np.sqrt(honest)
    predicted = honest * line + error
    spread = float(np.sqrt(np.mean(np.diff(error) ** 2)))
    few = np.linspace(0, len(full) - 1, min(len(full), MOST_MODELS)).round().astype(int)
    lower, higher = np.triu_indices(len(few), 1)
    apart = full[few][higher] - full[few][lower]
    found = predicted[few][higher] - predicted[few][lower] > ndtri(1 - alpha / 2) * spread
    by_size = np.argsort(apart, kind="stable")
    share = isotonic_regression(found[by_size].astype(float)).x
    reached = int(np.searchsorted(share, power))
    if len(share) - reached >= len(few):
        told["difference"] = float(apart[by_size][reached])
    return told | {"standard_deviation": spread, "pairs": len(apart)}


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
