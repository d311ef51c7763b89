"""Starting values: where the climb to the maximum begins.

The surface of LLM data has several maxima (two that differ by 127 nats on one
published matrix), so that 3PL and 4PL fits start from several places and keep the
highest.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from itemwise.irt.model import free_columns
from itemwise.responses.matrix import MISSING

LOGISTIC_TO_NORMAL = 1.702
"""Scaling of the logistic curve that makes it closest to the normal ogive."""

ASYMPTOTE_STARTS = ((1.0, -1.5, 4.0), (1.5, -1.0, 2.0))
"""Multiplier of the slopes, logit g and logit u of each start of a 3PL or 4PL."""


def starting_values(matrix: np.ndarray, model: str) -> list[np.ndarray]:
    """Return the starting values of beta, each of shape (n_items, k)."""
    slopes, intercepts = correlation_start(matrix)
    if model == "1PL":
        common = np.full_like(slopes, np.median(slopes))
        return [np.column_stack([common, intercepts])]
    if model == "2PL":
        return [np.column_stack([slopes, intercepts])]
    k = free_columns(model)
    starts = []
    for multiplier, lower, upper in ASYMPTOTE_STARTS:
        ends = np.tile([lower, upper][: k - 2], (len(slopes), 1))
        starts.append(np.column_stack([slopes * multiplier, intercepts * multiplier, ends]))
    return starts


def correlation_start(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and intercepts from item-total correlations.

    A factor loading r of a normal ogive gives a = 1.702 r / sqrt(1 - r^2) (Lord &
    Novick 1968, section 16.10); the sign of r is kept.
    """
    administered = matrix != MISSING
    answers = administered.sum(axis=0)
    right = np.where(administered, matrix, 0)
    p = np.clip((right.sum(axis=0) + 0.5) / (answers + 1), 0.005, 0.995)
    total = right.sum(axis=1) / administered.sum(axis=1)
    spread = total.std()
    z = (total - total.mean()) / (spread if spread > 0 else 1.0)
    centred = z @ right - p * (z @ administered)
    loading = np.clip(centred / answers / np.sqrt(p * (1 - p)), -0.95, 0.95)
    slopes = LOGISTIC_TO_NORMAL * loading / np.sqrt(1 - loading**2)
    return slopes, logit(p) * np.sqrt(1 + (slopes / LOGISTIC_TO_NORMAL) ** 2)
