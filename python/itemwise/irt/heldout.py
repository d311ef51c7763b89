"""Prediction of held-out cells: does a model say more than it overfits?"""

from __future__ import annotations

import numpy as np

from itemwise.irt.calibration import fit
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import parameters_beta, probabilities
from itemwise.irt.quadrature import normal_grid
from itemwise.responses.matrix import MISSING, Responses


def mask_cells(responses: Responses, share: float, seed: int) -> tuple[Responses, np.ndarray]:
    """Hide a share of the responses at random.

    Returns
    -------
    seen : Responses
        With the hidden cells not administered.
    hidden : array of bool, shape of the matrix
    """
    rng = np.random.default_rng(seed)
    hidden = (rng.random(responses.matrix.shape) < share) & responses.administered
    seen = np.where(hidden, MISSING, responses.matrix).astype(np.int8)
    return Responses(responses.subjects, responses.items, seen), hidden


def held_out_log_scores(
    responses: Responses,
    seen: Responses,
    hidden: np.ndarray,
    model: str,
    prior: str,
    quadrature: int | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Return the log predictive probability of each hidden response.

    The probability of a right answer is its posterior mean given what the subject
    answered otherwise, with items calibrated without the hidden cells.

    Parameters
    ----------
    responses : Responses
        All responses.
    seen : Responses
        Without the hidden cells (`mask_cells`).
    hidden : array of bool
    model, prior, quadrature, threads
        As in `itemwise.irt.fit`.

    Returns
    -------
    array, shape (number of hidden cells,)
        In row order of the matrix.
    """
    table, record = fit(
        seen, model, prior, quadrature=quadrature, constant_items="refuse", threads=threads
    )
    beta = parameters_beta(table)
    grid = normal_grid(record["quadrature"]["points"])
    likelihood = MarginalLikelihood(seen.matrix, f"{beta.shape[1]}PL", grid, threads)
    right = likelihood.posterior(beta) @ probabilities(beta, grid.nodes)[0].T
    answers = responses.matrix[hidden]
    return np.log(np.where(answers == 1, right[hidden], 1 - right[hidden]))
