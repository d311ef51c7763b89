"""How far off may abilities be because item parameters are estimates?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import expit

from itemwise.irt.model import PARAMETER_NAMES, TINY
from itemwise.responses.matrix import MISSING, Responses

CELLS = 2_000_000
"""Subjects times items worked on at once."""


def calibration_error(
    responses: Responses, parameters: pd.DataFrame, abilities: pd.DataFrame
) -> np.ndarray | None:
    """Return the standard error of theta that the estimation of the items causes.

    By the delta method. The posterior mode has d theta / d xi = s^2 d2 l / (d theta d xi)
    with xi the parameters of an item, l its log-likelihood and s the standard error of
    theta with known parameters (to first order the posterior mean has the same), so

        Var(theta) = s^4 sum_i m_i' C_i m_i,   m_i = d2 l / (d theta d xi_i),

    with C_i the covariance of the parameters of item i. Between items nothing is counted:
    what they share is the location and scale of theta, which move all models alike and
    are none of the read-out's concern, since it is fitted on the same scale (Cheng & Yuan
    2010, Psychometrika 75:280, with all covariances).

    Parameters
    ----------
    responses : Responses
        To the items of `parameters`, in that order.
    parameters : data frame
        Table `parameters` with `se_*` and `cov_*`. A parameter without a standard error
        (held, or run off) counts as known.
    abilities : data frame
        `theta` and `se`, along the responses; where they are null, so is the result.

    Returns
    -------
    array, shape (n_subjects,), or None
        None where the parameters came without covariances.
    """
    if "se_a" not in parameters or "cov_ad" not in parameters:
        return None
    covariances = item_covariances(parameters)
    theta = abilities["theta"].to_numpy(float)
    rows = max(1, CELLS // len(parameters))
    variances = [
        _explained(responses.matrix[i : i + rows], parameters, covariances, theta[i : i + rows])
        for i in range(0, len(theta), rows)
    ]
    return abilities["se"].to_numpy(float) ** 2 * np.sqrt(np.concatenate(variances))


def item_covariances(parameters: pd.DataFrame) -> np.ndarray:
    """Return each item's covariance matrix of a, d, g, u; 0 where there is no error."""
    covariances = np.zeros((len(parameters), 4, 4))
    for i, name in enumerate(PARAMETER_NAMES):
        covariances[:, i, i] = parameters[f"se_{name}"].fillna(0) ** 2
    for i, j in combinations(range(4), 2):
        column = f"cov_{PARAMETER_NAMES[i]}{PARAMETER_NAMES[j]}"
        if column in parameters:
            covariances[:, i, j] = covariances[:, j, i] = parameters[column].fillna(0)
    return covariances


def _explained(matrix, parameters, covariances, theta) -> np.ndarray:
    """Return sum_i m_i' C_i m_i over the items that each subject answered."""
    a, d, g, u = parameters[list(PARAMETER_NAMES)].to_numpy(float).T
    at = theta[:, None]
    rise, fall = expit(a * at + d), expit(-(a * at + d))
    bump = rise * fall
    right = np.maximum(g + (u - g) * rise, TINY)
    wrong = np.maximum(1 - u + (u - g) * fall, TINY)
    slope = (u - g) * bump
    bend = slope * a * (fall - rise)
    by_parameter = np.stack([slope * at, slope, fall, rise])  # dP / dxi
    mixed = np.stack([slope + at * bend, bend, -a * bump, a * bump])  # d2P / (dtheta dxi)
    correct = matrix == 1
    first = np.where(correct, 1 / right, -1 / wrong)
    second = np.where(correct, 1 / right**2, 1 / wrong**2)
    moved = first * mixed - second * a * slope * by_parameter
    moved[:, matrix == MISSING] = 0
    return np.einsum("kji,ikl,lji->j", moved, covariances, moved, optimize=True)
