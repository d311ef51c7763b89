"""Responses simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.model import parameters_beta, probabilities
from itemwise.responses.matrix import MISSING, Responses

BLOCK_SUBJECTS = 500
"""Subjects drawn at once: keeps 28,632 items x 5,000 models within a few hundred MB."""


def simulate_responses(
    parameters: pd.DataFrame,
    theta: np.ndarray,
    seed: int | list[int],
    missing: float = 0.0,
    subjects: np.ndarray | None = None,
) -> Responses:
    """Draw responses of subjects with abilities `theta` to calibrated items.

    Parameters
    ----------
    parameters : data frame
        Table `parameters`.
    theta : array, shape (n_subjects,)
    seed : int or list of int
    missing : float
        Share of cells not administered, at random.
    subjects : array of str, optional
        Names; default `subject0001`, ...

    Returns
    -------
    Responses
    """
    rng = np.random.default_rng(seed)
    theta = np.asarray(theta, dtype=float)
    beta = parameters_beta(parameters)
    matrix = np.empty((len(theta), len(beta)), dtype=np.int8)
    blocks = range(0, len(theta), BLOCK_SUBJECTS)
    for rows in (slice(start, start + BLOCK_SUBJECTS) for start in blocks):
        right = probabilities(beta, theta[rows])[0].T
        matrix[rows] = rng.random(right.shape) < right
    if missing:
        for rows in (slice(start, start + BLOCK_SUBJECTS) for start in blocks):
            matrix[rows][rng.random(matrix[rows].shape) < missing] = MISSING
    if subjects is None:
        width = len(str(len(theta)))
        subjects = np.array([f"subject{i + 1:0{width}d}" for i in range(len(theta))], object)
    return Responses(subjects, parameters["item"].to_numpy(dtype=object), matrix)
