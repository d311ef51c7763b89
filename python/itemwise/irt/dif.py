"""Differential item functioning: items that treat a group of models differently.

At the same ability, do models of one family (or newer than a date) answer an item
right more often? That is what contamination of a training set looks like, item by
item.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import chdtrc, expit

from itemwise.errors import UserError
from itemwise.responses.matrix import MISSING, Responses

SMALLEST_GROUP = 20
STEPS = 30
RIDGE = 1e-4
"""Precision of a zero-mean prior on the coefficients: keeps separated items finite."""


def item_bias(
    responses: Responses, abilities: pd.DataFrame, focal: np.ndarray, level: float = 0.05
) -> pd.DataFrame:
    """Test every item for differential functioning by logistic regression.

    For each item, logit P(x = 1) = b0 + b1 theta + b2 focal + b3 theta focal is compared
    with the model without b2 and b3 by a likelihood ratio with 2 degrees of freedom
    (Swaminathan & Rogers 1990, Journal of Educational Measurement 27:361). Abilities
    include the biased items: with many of those, score without the flagged items and
    test again.

    Parameters
    ----------
    responses : Responses
    abilities : data frame
        Table `abilities` of the same subjects, one row each.
    focal : array of bool, shape (n_subjects,)
        The group in question; the others are the reference.
    level : float
        False discovery rate of the flag (Benjamini & Hochberg 1995).

    Returns
    -------
    data frame
        `item`, `chi_square`, `p_value`, `q_value`, `effect` and `flag`. The effect is by
        how many percentage points the focal group answers the item right more often
        than the reference group would at the same abilities; contaminated items have a
        positive one.

    Raises
    ------
    UserError
        A group has fewer than 20 subjects, or a subject has no ability.
    """
    from scipy.stats import false_discovery_control  # takes half a second to import

    if abilities["subject"].duplicated().any():
        raise UserError(
            "item bias: a subject has several abilities; give those of one form and method"
        )
    theta = abilities.set_index("subject")["theta"].reindex(responses.subjects).to_numpy()
    focal = np.asarray(focal, dtype=bool)
    if min(focal.sum(), (~focal).sum()) < SMALLEST_GROUP or np.isnan(theta).any():
        raise UserError(
            f"item bias: {focal.sum()} focal and {(~focal).sum()} reference subjects, "
            f"{np.isnan(theta).sum()} without ability; at least {SMALLEST_GROUP} of each are "
            "needed, all with an ability"
        )
    group = focal.astype(float)
    full = np.column_stack([np.ones_like(theta), theta, group, theta * group])
    answered = responses.matrix != MISSING
    right = np.where(answered, responses.matrix, 0).astype(float)
    with_group, full_fit = _logistic(full, right, answered)
    without, _ = _logistic(full[:, :2], right, answered)
    statistic = np.maximum(2 * (with_group - without), 0)
    p_value = chdtrc(2, statistic)
    q_value = false_discovery_control(p_value)
    seen, unseen = full[focal], full[focal] * [1, 1, 0, 0]
    gap = expit(seen @ full_fit.T) - expit(unseen @ full_fit.T)
    mask = answered[focal]
    effect = 100 * (gap * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return pd.DataFrame(
        {
            "item": responses.items,
            "chi_square": statistic,
            "p_value": p_value,
            "q_value": q_value,
            "effect": effect,
            "flag": q_value < level,
        }
    )


def _logistic(design: np.ndarray, right: np.ndarray, answered: np.ndarray):
    """Fit one logistic regression an item by Newton's method, all items at once.

    Returns the log-likelihoods (n_items,) and the coefficients (n_items, k).
    """
    k = design.shape[1]
    beta = np.zeros((right.shape[1], k))
    for _ in range(STEPS):
        fitted = expit(design @ beta.T)
        gradient = (np.where(answered, right - fitted, 0)).T @ design - RIDGE * beta
        weight = np.where(answered, fitted * (1 - fitted), 0)
        products = design[:, :, None] * design[:, None, :]
        information = (weight.T @ products.reshape(len(design), k * k)).reshape(-1, k, k)
        information[:, range(k), range(k)] += RIDGE
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        step *= np.minimum(1, 4 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    z = design @ beta.T
    log_right = -np.logaddexp(0, -z)
    log_wrong = log_right - z
    cells = np.where(answered, right * log_right + (1 - right) * log_wrong, 0)
    return cells.sum(axis=0), beta
