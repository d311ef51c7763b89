"""Responses simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.model import parameters_beta, probabilities
from itemwise.responses import MISSING, Responses


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
    right, _ = probabilities(parameters_beta(parameters), theta)
    matrix = (rng.random(right.T.shape) < right.T).astype(np.int8)
    if missing:
        matrix[rng.random(matrix.shape) < missing] = MISSING
    if subjects is None:
        width = len(str(len(theta)))
        subjects = np.array([f"subject{i + 1:0{width}d}" for i in range(len(theta))], object)
    return Responses(subjects, parameters["item"].to_numpy(dtype=object), matrix)
