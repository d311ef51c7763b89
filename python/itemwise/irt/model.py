"""Item response models: curves, derivatives and information.

Every model is a case of the four-parameter logistic in slope-intercept form,

    P(x = 1 | theta) = g + (u - g) / (1 + exp(-(a * theta + d))),   theta ~ N(0, 1).

Estimation works on beta = (a, d, logit g, logit u), cut to the columns that the
model leaves free. Curves are computed without subtracting close numbers, so that
steep items and asymptotes at their bounds keep their precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

MODELS = ("1PL", "2PL", "3PL", "4PL")
PARAMETER_NAMES = ("a", "d", "g", "u")
TINY = 1e-150
"""Smallest probability; keeps its logarithm and the inverse of its square finite."""

LOGIT_BOUND = 35.0
"""Largest |logit| of an asymptote; beyond it the asymptote is 0 or 1 in double precision."""


def free_columns(model: str) -> int:
    """Return the number of columns of beta: 2 for 1PL and 2PL, 3 for 3PL, 4 for 4PL."""
    return max(2, int(model[0]))


@dataclass(frozen=True)
class Curves:
    """Item response curves on a grid of abilities.

    Attributes
    ----------
    right, wrong : array, shape (n_items, n_nodes)
        P and 1 - P.
    derivatives : array, shape (n_items, k, n_nodes)
        Derivatives of P with respect to the free columns of beta.
    """

    right: np.ndarray
    wrong: np.ndarray
    derivatives: np.ndarray


def asymptotes(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return g, u and 1 - u of each row of beta (the last computed without cancellation)."""
    n_items, k = beta.shape
    lower = expit(beta[:, 2]) if k > 2 else np.zeros(n_items)
    upper = expit(beta[:, 3]) if k > 3 else np.ones(n_items)
    slip = expit(-beta[:, 3]) if k > 3 else np.zeros(n_items)
    return lower, upper, slip


def probabilities(beta: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P and 1 - P, each of shape (n_items, n_nodes)."""
    z = beta[:, :1] * theta + beta[:, 1:2]
    rise, fall = expit(z), expit(-z)
    if beta.shape[1] == 2:
        return np.maximum(rise, TINY), np.maximum(fall, TINY)
    lower, upper, slip = (v[:, None] for v in asymptotes(beta))
    right = lower * fall + upper * rise
    wrong = (1 - lower) * fall + slip * rise
    return np.maximum(right, TINY), np.maximum(wrong, TINY)


def curves(beta: np.ndarray, theta: np.ndarray) -> Curves:
    """Return P, 1 - P and the derivatives of P with respect to beta."""
    k = beta.shape[1]
    z = beta[:, :1] * theta + beta[:, 1:2]
    rise, fall = expit(z), expit(-z)
    lower, upper, slip = (v[:, None] for v in asymptotes(beta))
    slope = (upper - lower) * rise * fall
    derivatives = [slope * theta, slope]
    if k > 2:
        derivatives.append(lower * (1 - lower) * fall)
    if k > 3:
        derivatives.append(upper * slip * rise)
    right = np.maximum(lower * fall + upper * rise, TINY)
    wrong = np.maximum((1 - lower) * fall + slip * rise, TINY)
    return Curves(right, wrong, np.stack(derivatives, axis=1))


def slopes(beta: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return P, 1 - P and dP / dtheta, each of shape (n_items, n_nodes)."""
    z = beta[:, :1] * theta + beta[:, 1:2]
    rise, fall = expit(z), expit(-z)
    slope = rise * fall
    slope *= beta[:, :1]
    if beta.shape[1] == 2:
        return np.maximum(rise, TINY), np.maximum(fall, TINY), slope
    lower, upper, slip = (v[:, None] for v in asymptotes(beta))
    slope *= upper - lower
    right, wrong = lower * fall + upper * rise, (1 - lower) * fall + slip * rise
    return np.maximum(right, TINY), np.maximum(wrong, TINY), slope


def curvature(beta: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return the second derivatives of P with respect to beta, (n_items, k, k, n_nodes)."""
    k = beta.shape[1]
    z = beta[:, :1] * theta + beta[:, 1:2]
    rise, fall = expit(z), expit(-z)
    lower, upper, slip = (v[:, None] for v in asymptotes(beta))
    bump = rise * fall
    second = np.zeros((len(beta), k, k, len(theta)))
    slope_slope = (upper - lower) * bump * (fall - rise)
    by_slope = {0: theta, 1: np.ones_like(theta)}
    for row, left in by_slope.items():
        for column, right in by_slope.items():
            second[:, row, column] = slope_slope * left * right
        if k > 2:
            second[:, row, 2] = second[:, 2, row] = -lower * (1 - lower) * bump * left
        if k > 3:
            second[:, row, 3] = second[:, 3, row] = upper * slip * bump * left
    if k > 2:
        second[:, 2, 2] = lower * (1 - lower) * (1 - 2 * lower) * fall
    if k > 3:
        second[:, 3, 3] = upper * slip * (slip - upper) * rise
    return second


def to_beta(parameters: pd.DataFrame, model: str = "4PL") -> np.ndarray:
    """Return beta, shape (n_items, k), of a parameters table.

    Asymptotes at 0 and 1 become logits of -35 and 35, which are 0 and 1 in double
    precision.
    """
    k = free_columns(model)
    columns = parameters[list(PARAMETER_NAMES[:k])].to_numpy(float, copy=True)
    with np.errstate(divide="ignore"):
        columns[:, 2:] = np.clip(logit(columns[:, 2:]), -LOGIT_BOUND, LOGIT_BOUND)
    return columns


def to_table(beta: np.ndarray, items: np.ndarray) -> pd.DataFrame:
    """Return the parameters table of beta."""
    lower, upper, _ = asymptotes(beta)
    return pd.DataFrame({"item": items, "a": beta[:, 0], "d": beta[:, 1], "g": lower, "u": upper})


def parameters_beta(parameters: pd.DataFrame) -> np.ndarray:
    """Return the shortest beta that represents a parameters table exactly."""
    if (parameters["u"] < 1).any():
        return to_beta(parameters, "4PL")
    if (parameters["g"] > 0).any():
        return to_beta(parameters, "3PL")
    return to_beta(parameters, "2PL")


def item_information(parameters: pd.DataFrame, theta: np.ndarray) -> np.ndarray:
    """Return the Fisher information of each item, shape (n_items, n_nodes).

    I(theta) = (dP / dtheta)^2 / (P (1 - P)), which for the 4PL is
    a^2 (P - g)^2 (u - P)^2 / ((u - g)^2 P (1 - P)) (Magis 2013, Applied
    Psychological Measurement 37:304, equation 4).
    """
    right, wrong, slope = slopes(parameters_beta(parameters), np.asarray(theta, dtype=float))
    return slope**2 / (right * wrong)


def test_information(parameters: pd.DataFrame, theta: np.ndarray) -> np.ndarray:
    """Return the sum of the item informations, shape (n_nodes,)."""
    return item_information(parameters, theta).sum(axis=0)


def fill_expected(responses: np.ndarray, parameters: pd.DataFrame, theta: np.ndarray) -> np.ndarray:
    """Return responses as floats, cells not administered by their expectation P(theta).

    Parameters
    ----------
    responses : array of int8, shape (n_subjects, n_items)
        -1 for not administered.
    parameters : data frame
        Item parameters in the columns' order.
    theta : array, shape (n_subjects,)
    """
    right, _ = probabilities(parameters_beta(parameters), theta)
    return np.where(responses >= 0, responses, right.T)
