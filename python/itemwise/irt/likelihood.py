"""Marginal likelihood of item parameters, its gradient, and expected counts.

For subject j with responses x_ji,

    L_j = sum_q w_q prod_i P_i(theta_q)^x_ji (1 - P_i(theta_q))^(1 - x_ji),

in logarithms throughout, so that thousands of items do not underflow. By Fisher's
identity the gradient is the posterior expectation of the complete-data score
(Bock & Aitkin 1981, Psychometrika 46:443).

For the 1PL and 2PL, log P - log(1 - P) = a theta + d is linear in theta. The data
then enter only through sum_i x_ji a_i, sum_i x_ji d_i and sum_j x_ji E(theta_j): two
matrix-vector products replace the two matrix-matrix products of the general case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import expit

from itemwise.irt.model import Curves, curves, free_columns, probabilities
from itemwise.irt.parallel import map_ordered
from itemwise.irt.quadrature import Grid
from itemwise.responses.matrix import MISSING

BLOCK_CELLS = 120_000
"""Subjects times nodes worked on at once: what stays in a core's cache."""

CHUNK_CELLS = 4_000_000
"""Items times nodes worked on at once: 32 MB an array."""

NEGLIGIBLE = 1e-13
"""Nodes at which fewer subjects than this are expected add nothing to the moments."""

SPARSE_SHARE = 0.1
"""Up to this share of missing cells they are held as a sparse matrix."""


@dataclass(frozen=True)
class Evaluation:
    """The marginal log-likelihood at one value of beta.

    Attributes
    ----------
    log_likelihood : float
    gradient : array, shape (n_items, k)
    information : array, shape (n_items, k, k)
        Expected complete-data information, one block an item.
    """

    log_likelihood: float
    gradient: np.ndarray
    information: np.ndarray


@dataclass(frozen=True)
class Counts:
    """Expected counts at each node under the posterior (the E-step).

    Attributes
    ----------
    log_likelihood : float
    right : array, shape (n_items, n_nodes)
        Expected number of right answers.
    total : array, shape (n_items, n_nodes) or (1, n_nodes)
        Expected number of answers; one row where no cell is missing.
    """

    log_likelihood: float
    right: np.ndarray
    total: np.ndarray


class MarginalLikelihood:
    """Marginal log-likelihood of one response matrix on one grid.

    Parameters
    ----------
    matrix : array of int8, shape (n_subjects, n_items)
        1 right, 0 wrong, -1 not administered.
    model : {"1PL", "2PL", "3PL", "4PL"}
    grid : Grid
    threads : int
        Worker threads. Blocks and the order of their sums do not depend on it, so
        neither does the result.
    """

    def __init__(self, matrix: np.ndarray, model: str, grid: Grid, threads: int = 1):
        self.k = free_columns(model)
        self.threads = threads
        self.matrix = matrix
        self.n_subjects, self.n_items = matrix.shape
        self.right = (matrix == 1).astype(float)
        self.n_right = self.right.sum(axis=0)
        absent = matrix == MISSING
        self.missing = None
        if absent.any():
            dense = absent.mean() > SPARSE_SHARE
            self.missing = absent.astype(float) if dense else sparse.csr_array(absent, dtype=float)
        self.on_grid(grid)

    def on_grid(self, grid: Grid) -> MarginalLikelihood:
        """Move to another grid, keeping the data in place."""
        self.grid = grid
        rows = max(1, BLOCK_CELLS // len(grid.nodes))
        self.blocks = _slices(self.n_subjects, rows)
        self.chunks = _slices(self.n_items, max(1, CHUNK_CELLS // len(grid.nodes)))
        return self

    def evaluate(self, beta: np.ndarray) -> Evaluation:
        """Return log-likelihood, gradient and complete-data information."""
        if self.k == 2:
            return self._evaluate_linear(beta)
        counts = self.counts(beta)
        gradient, information = score(beta, self.grid.nodes, counts)
        return Evaluation(counts.log_likelihood, gradient, information)

    def log_likelihood(self, beta: np.ndarray) -> float:
        """Return the marginal log-likelihood alone."""
        terms = self._terms(beta)
        work = lambda rows: self._posterior(beta, rows, terms)[1].sum()  # noqa: E731
        return float(sum(map_ordered(work, self.blocks, self.threads)))

    def posterior(self, beta: np.ndarray) -> np.ndarray:
        """Return the posterior weights, shape (n_subjects, n_nodes)."""
        terms = self._terms(beta)
        work = lambda rows: self._posterior(beta, rows, terms)[0]  # noqa: E731
        return np.concatenate(map_ordered(work, self.blocks, self.threads))

    def counts(self, beta: np.ndarray) -> Counts:
        """Return the expected counts of right and of all answers (E-step)."""
        terms = self._terms(beta)

        def work(rows: slice):
            weights, log_marginals = self._posterior(beta, rows, terms)
            absent = None if self.missing is None else self.missing[rows].T @ weights
            return (
                log_marginals.sum(),
                self.right[rows].T @ weights,
                weights.sum(axis=0),
                absent,
            )

        log_likelihood, right, total, absent = _sums(map_ordered(work, self.blocks, self.threads))
        total = total[None, :] if absent is None else total - absent
        return Counts(float(log_likelihood), right, total)

    def _evaluate_linear(self, beta: np.ndarray) -> Evaluation:
        """Evaluate the 1PL or 2PL through its sufficient statistics."""
        theta = self.grid.nodes
        terms = self._terms(beta)

        def work(rows: slice):
            weights, log_marginals = self._posterior(beta, rows, terms)
            absent = None if self.missing is None else self.missing[rows].T @ weights
            return (
                log_marginals.sum(),
                self.right[rows].T @ (weights @ theta),
                weights.sum(axis=0),
                absent,
            )

        log_likelihood, right_theta, total, absent = _sums(
            map_ordered(work, self.blocks, self.threads)
        )
        seen = total > NEGLIGIBLE
        powers = np.column_stack([theta**2, theta, np.ones_like(theta)])[seen]

        def moments(chunk: slice):
            n = total[seen] if absent is None else total[seen] - absent[chunk][:, seen]
            right = expit(beta[chunk, :1] * theta[seen] + beta[chunk, 1:2])
            return (n * right) @ powers[:, 1:], (n * right * (1 - right)) @ powers

        parts = map_ordered(moments, self.chunks, self.threads)
        expected = np.concatenate([first for first, _ in parts])
        second = np.concatenate([last for _, last in parts])
        gradient = np.column_stack([right_theta, self.n_right]) - expected
        information = second[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        return Evaluation(float(log_likelihood), gradient, information)

    def _terms(self, beta: np.ndarray):
        """Return what every block needs: log-odds, log(1 - P) for missing cells, their sum."""
        theta = self.grid.nodes
        if self.k == 2:
            # Only missing cells need the table itself; else its column sums suffice.
            work = lambda chunk: _log_wrong_linear(beta[chunk], theta)  # noqa: E731
            if self.missing is None:
                total = lambda chunk: work(chunk).sum(axis=0)  # noqa: E731
                return None, None, sum(map_ordered(total, self.chunks, self.threads))
            log_wrong = np.concatenate(map_ordered(work, self.chunks, self.threads))
            return None, log_wrong, log_wrong.sum(axis=0)
        right, wrong = probabilities(beta, theta)
        log_wrong = np.log(wrong)
        return np.log(right) - log_wrong, log_wrong, log_wrong.sum(axis=0)

    def _posterior(self, beta: np.ndarray, rows: slice, terms) -> tuple[np.ndarray, np.ndarray]:
        """Return posterior weights (rows, nodes) and log marginals (rows,) of a block."""
        log_odds, log_wrong, log_wrong_sum = terms
        if log_odds is None:
            sums = self.right[rows] @ beta
            log_joint = np.multiply.outer(sums[:, 0], self.grid.nodes)
            log_joint += sums[:, 1:]
        else:
            log_joint = self.right[rows] @ log_odds
        log_joint += log_wrong_sum + self.grid.log_weights
        if self.missing is not None:
            log_joint -= self.missing[rows] @ log_wrong
        largest = log_joint.max(axis=1, keepdims=True)
        log_joint -= largest
        weights = np.exp(log_joint, out=log_joint)
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        return weights, (largest + np.log(total))[:, 0]


def score(beta: np.ndarray, theta: np.ndarray, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient (n_items, k) and expected information (n_items, k, k) of the counts."""
    shape = curves(beta, theta)
    residual = counts.right - counts.total * shape.right
    variance = shape.right * shape.wrong
    gradient = np.einsum("ikq,iq->ik", shape.derivatives, residual / variance)
    weighted = shape.derivatives * (counts.total / variance)[:, None]
    return gradient, weighted @ shape.derivatives.transpose(0, 2, 1)


def complete_log_likelihood(beta: np.ndarray, theta: np.ndarray, counts: Counts) -> np.ndarray:
    """Return the expected complete-data log-likelihood of each item, shape (n_items,)."""
    right, wrong = probabilities(beta, theta)
    return (counts.right * np.log(right) + (counts.total - counts.right) * np.log(wrong)).sum(1)


def score_weights(shape: Curves) -> tuple[np.ndarray, np.ndarray]:
    """Return d log P / d beta and d log(1 - P) / d beta, each (n_items, k, n_nodes)."""
    return (
        shape.derivatives / shape.right[:, None],
        -shape.derivatives / shape.wrong[:, None],
    )


def _log_wrong_linear(beta: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return log(1 - P) = -log(1 + exp(a theta + d)) without overflow."""
    z = beta[:, :1] * theta + beta[:, 1:2]
    return -(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def _sums(parts: list[tuple]) -> list:
    """Sum the blocks' results position by position, in order; None stays None."""
    return [None if group[0] is None else sum(group) for group in zip(*parts, strict=True)]


def _slices(length: int, step: int) -> list[slice]:
    """Cut range(length) into slices of at most `step`."""
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
