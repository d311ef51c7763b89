"""The score that the calibrated model implies, and the answers as a process takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.irt.model import item_information, parameters_beta, probabilities, slopes

GRID = np.linspace(-8, 8, 4001)
"""Abilities at which sums over the pool are tabulated; linear in between, to 1e-6 of a share."""


@dataclass(frozen=True)
class FormAnswers:
    """Answers to a form of one benchmark, or to one of each of several, along subjects.

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


@dataclass(frozen=True)
class Pool:
    """Sums over the items of a pool, tabulated over ability.

    Attributes
    ----------
    n_items : int
    right, shape, slope : array, shape (len(GRID),)
        Sum of P, mean of P (1 - P), and sum of dP / dtheta.
    """

    n_items: int
    right: np.ndarray
    shape: np.ndarray
    slope: np.ndarray

    @classmethod
    def of(cls, parameters: pd.DataFrame) -> Pool:
        """Tabulate the pool of a table `parameters`."""
        right, shape = np.zeros(len(GRID)), np.zeros(len(GRID))
        # In parts: all curves of a large pool would take gigabytes.
        for part in np.array_split(parameters_beta(parameters), -(-len(parameters) // 500)):
            p, q = probabilities(part, GRID)
            right += p.sum(axis=0)
            shape += (p * q).sum(axis=0)
        return cls(len(parameters), right, shape / len(parameters), np.gradient(right, GRID))

    def at(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `right`, `shape` and `slope` at abilities."""
        return tuple(np.interp(theta, GRID, sums) for sums in (self.right, self.shape, self.slope))


def form_answers(
    matrix: np.ndarray,
    form: pd.DataFrame,
    pool: Pool,
    theta: np.ndarray,
    se: np.ndarray | None = None,
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
    form : data frame
        Table `parameters` of the form's items, in the order of the columns.
    pool : Pool
        Of all calibrated items.
    theta : array, shape (n,)
    se : array, shape (n,), optional
        Standard errors of theta, where answers may be missing.
    se_calibration : array, shape (n,)
        Standard errors of theta that item parameters cause.

    Returns
    -------
    FormAnswers
        Of one benchmark.
    """
    given = (matrix >= 0).T
    chance, wrong, slope = slopes(parameters_beta(form), theta)
    filled = np.where(given, matrix.T, chance)
    unsure = (chance * wrong * ~given).sum(axis=0)
    right, spread, pool_slope = pool.at(theta)
    ability = np.broadcast_to(np.square(se_calibration), len(theta)).copy()
    lacking = ~given.all(axis=0)
    if se is not None and lacking.any():
        ability[lacking] += missing_variance(form, theta[lacking], se[lacking])
    open_slope = pool_slope - (slope * given).sum(axis=0)
    unit = 100 / pool.n_items
    return FormAnswers(
        (np.ascontiguousarray(filled.T, float),),
        unsure[:, None],
        (unit * (filled.sum(axis=0) + right - chance.sum(axis=0)))[:, None],
        (unit**2 * (open_slope**2 * ability + unsure))[:, None],
        spread,
    )


def missing_variance(form: pd.DataFrame, theta: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Return how much the variance of theta exceeds that of the complete form there.

    max(se^2 - 1 / (1 + I(theta)), 0), with I the information of the form.
    """
    whole = 1 + item_information(form, theta).sum(axis=0)
    return np.maximum(se**2 - 1 / whole, 0)


def beside(parts: list[FormAnswers]) -> FormAnswers:
    """Lay the answers of the same subjects to several benchmarks side by side."""
    return FormAnswers(
        tuple(block for part in parts for block in part.filled),
        np.hstack([part.unsure for part in parts]),
        np.hstack([part.implied for part in parts]),
        np.hstack([part.excess for part in parts]),
        np.mean([part.shape for part in parts], axis=0),
    )
