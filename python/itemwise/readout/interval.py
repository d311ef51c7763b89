"""Intervals of reconstructed scores: cut to the scale last, and open where nothing bounds them.

A table of scores carries the half widths below and above each score before they are cut at 0
and 100 (`half_lower`, `half_upper`): other levels, standard errors and means are made of these.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.irt.model import parameters_beta, probabilities

NODES = np.linspace(-8, 8, 321)
"""Abilities among which the likelihood's bounds are sought."""


def with_ends(scores: pd.DataFrame) -> pd.DataFrame:
    """Return `scores` with `lower` and `upper`, cut to 0 and 100."""
    return scores.assign(
        lower=np.maximum(scores["predicted"] - scores["half_lower"], 0),
        upper=np.minimum(scores["predicted"] + scores["half_upper"], 100),
    )


def at_level(scores: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return `se`, `lower` and `upper` of scores at another level, as if normal on each side.

    Parameters
    ----------
    scores : data frame
        Table `scores`, with the level of its own intervals.
    level : float

    Returns
    -------
    data frame
        Points, along the rows of `scores`; the SE is that of the wider side.
    """
    z = ndtri(0.5 + scores["level"] / 2)
    halves = scores[["half_lower", "half_upper"]]
    other = halves.mul(ndtri(0.5 + level / 2) / z, axis=0)
    ends = with_ends(other.assign(predicted=scores["predicted"]))
    return ends[["lower", "upper"]].assign(se=halves.max(axis=1) / z)


def open_sides(
    matrix: np.ndarray,
    asked: pd.DataFrame,
    pool: pd.DataFrame,
    theta: np.ndarray,
    span: tuple[float, float],
    level: float,
) -> pd.DataFrame:
    """Say how far scores may lie beyond what the calibration's models can tell.

    Of a model that is abler than all of training the read-out gives the score of the
    nearest. What bounds its score from above is then its own responses: theta_U, the largest
    ability whose log-likelihood is within z^2 / 2 of the largest. The wrong answers that are
    left to the score shrink as those expected on the pool do: by
    1 - (1 - T(theta_U)) / (1 - T(theta_0)), with T the expected share right and theta_0 the
    ability held within the range. All answers right bound nothing: the share is 1. Downwards
    alike, with right answers for wrong ones.

    Parameters
    ----------
    matrix : array of int8, shape (n_subjects, n_asked)
        Responses, -1 where not administered.
    asked, pool : data frame
        Tables `parameters` of the columns, and of all calibrated items.
    theta : array, shape (n_subjects,)
    span : tuple of float
        Range of theta in training.
    level : float
        Of the two-sided interval.

    Returns
    -------
    data frame
        `open_lower`, `open_upper`: shares of the distance from the score to 0 and to 100;
        0 where that side is not open.
    """
    right, wrong = matrix == 1, matrix == 0
    log_right, log_wrong = map(np.log, probabilities(parameters_beta(asked), NODES))
    likelihood = right @ log_right + wrong @ log_wrong
    near = likelihood >= likelihood.max(axis=1, keepdims=True) - ndtri(0.5 + level / 2) ** 2 / 2
    low, high = NODES[near.argmax(axis=1)], NODES[::-1][near[:, ::-1].argmax(axis=1)]
    beta = parameters_beta(pool)

    def expected(at: np.ndarray, kind: int) -> np.ndarray:
        """Return the share of right (0) or wrong (1) answers to the pool."""
        return probabilities(beta, at)[kind].mean(axis=0)

    held = np.clip(theta, *span)
    sides = {}
    for number, (name, answers, outside, bound) in enumerate((
        ("open_lower", right, theta < span[0], np.minimum(low, held)),
        ("open_upper", wrong, theta > span[1], np.maximum(high, held)),
    )):  # fmt: skip
        gone = 1 - expected(bound, number) / expected(held, number)
        sides[name] = np.where(~answers.any(axis=1), 1.0, np.where(outside, gone, 0.0))
    return pd.DataFrame(sides)


def opened(scores: pd.DataFrame, open_lower: np.ndarray, open_upper: np.ndarray) -> pd.DataFrame:
    """Widen intervals towards their open side, and flag them as extrapolated.

    half' = sqrt(half^2 + (open share x distance to the end of the scale)^2).

    Parameters
    ----------
    scores : data frame
        `predicted`, `half_lower`, `half_upper`, `extrapolated`.
    open_lower, open_upper : array, shape (n,)
        Of `open_sides`.
    """
    down, up = open_lower * scores["predicted"], open_upper * (100 - scores["predicted"])
    return with_ends(
        scores.assign(
            half_lower=np.hypot(scores["half_lower"], down),
            half_upper=np.hypot(scores["half_upper"], up),
            extrapolated=scores["extrapolated"].astype(bool) | (open_lower > 0) | (open_upper > 0),
        )
    )
