"""The score that the calibrated model implies, and the answers as a process takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.irt.model import curves, item_information, parameters_beta


@dataclass(frozen=True)
class FormAnswers:
    """Answers to a form of one benchmark or to one of each of several, along subjects.

    Attributes
    ----------
    filled : tuple of arrays, each of shape (n, n_items)
        Answers, 0 or 1; those not given by their expectation P(theta). One a benchmark.
    unsure : array, shape (n, n_benchmarks)
        Variance of the answers that were not given: sum of P (1 - P).
    implied : array, shape (n, n_benchmarks)
        Model-implied score in percent.
    excess : array, shape (n, n_benchmarks)
        By how much its variance exceeds that of a complete form, points squared.
    shape : array, shape (n,)
        Mean of P (1 - P) over all calibrated items: how the error of a score goes with ability.
    """

    filled: tuple[np.ndarray, ...]
    unsure: np.ndarray
    implied: np.ndarray
    excess: np.ndarray
    shape: np.ndarray

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, rows: np.ndarray) -> FormAnswers:
        """Return some subjects."""
        return FormAnswers(
            tuple(block[rows] for block in self.filled),
            self.unsure[rows], self.implied[rows], self.excess[rows], self.shape[rows],
        )  # fmt: skip


def form_answers(
    matrix: np.ndarray,
    form: pd.DataFrame,
    pool: pd.DataFrame,
    theta: np.ndarray,
    se: np.ndarray,
    se_calibration: np.ndarray | float = 0.0,
) -> FormAnswers:
    """Return answers to a form with what the calibrated model expects of all the others.

    The model-implied score takes given answers as they are and all other items of the pool
    by their expectation, U = 100 / M (sum of answers + sum of P_j(theta)). Its variance
    exceeds that of the complete form by (dU / dtheta)^2 (se^2 - 1 / (1 + I)) for the ability
    that is known less well, I being the information of the form, and by (100 / M)^2 P (1 - P)
    for each answer that was not given.

    Parameters
    ----------
    matrix : array of int8, shape (n, n_items)
        Answers to the form, -1 where not given.
    form, pool : data frame
        Tables `parameters` of the form's items, in the order of the columns, and of all
        calibrated items.
    theta, se : array, shape (n,)
        Abilities and their standard errors.
    se_calibration : array, shape (n,)
        Standard errors of theta that item parameters cause.

    Returns
    -------
    FormAnswers
        Of one benchmark.
    """
    m = len(pool)
    shape = curves(parameters_beta(pool), theta)
    right, variance = shape.right, shape.right * shape.wrong
    slope = pool["a"].to_numpy()[:, None] * shape.derivatives[:, 1]
    at = pd.Index(pool["item"]).get_indexer(form["item"])
    given = (matrix >= 0).T
    open_slope = slope.sum(axis=0) - (slope[at] * given).sum(axis=0)
    filled = np.where(given, matrix.T, right[at])
    unsure = (variance[at] * ~given).sum(axis=0)
    whole = 1 / (1 + item_information(form, theta).sum(axis=0))
    ability = np.maximum(se**2 - whole, 0) * ~given.all(axis=0) + np.square(se_calibration)
    implied = filled.sum(axis=0) + right.sum(axis=0) - right[at].sum(axis=0)
    excess = open_slope**2 * ability + unsure
    return FormAnswers(
        (np.ascontiguousarray(filled.T, float),),
        unsure[:, None],
        (100 / m * implied)[:, None],
        ((100 / m) ** 2 * excess)[:, None],
        variance.mean(axis=0),
    )


def beside(parts: list[FormAnswers]) -> FormAnswers:
    """Lay the answers of the same subjects to several benchmarks side by side."""
    return FormAnswers(
        tuple(block for part in parts for block in part.filled),
        np.hstack([part.unsure for part in parts]),
        np.hstack([part.implied for part in parts]),
        np.hstack([part.excess for part in parts]),
        np.mean([part.shape for part in parts], axis=0),
    )
