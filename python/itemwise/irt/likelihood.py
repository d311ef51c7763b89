"""Marginal likelihood of item parameters, its gradient, and expected counts.

For subject j with responses x_ji,

    L_j = sum_q w_q prod_i P_i(theta_q)^x_ji (1 - P_i(theta_q))^(1 - x_ji),

in logarithms throughout, so that thousands of items do not underflow. By Fisher's
identity the gradient is the posterior expectation of the complete-data score
(Bock & Aitkin 1981, Psychometrika 46:443).

For the 1PL and 2PL, log P - log(1 - P) = a theta + d is linear in theta. The data
then enter only through sum_i x_ji a_i, sum_i x_ji d_i and sum_j x_ji E(theta_j): two
matrix-vector products replace the two matrix-matrix products of the general case. The
log posterior is then concave in theta, so that a look at every eighth node tells where on a
fine grid those of subjects of like ability are, and the other nodes are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from itemwise.irt.gaps import Gaps, gap_patterns
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

COARSE_STEP = 8
"""Every so manieth node tells where posteriors are."""

COARSE_FROM = 120
"""On grids of fewer nodes all are used."""

FAR = 45.0
"""Nats below its highest at which a posterior is left out, e^-45 = 3e-20 of it."""


class Block(NamedTuple):
    """Subjects that are worked on at once.

    Attributes
    ----------
    rows : slice
        Of the subjects ordered by ability.
    gaps : Gaps, optional
        Their missing cells, None where no subject has any.
    """

    rows: slice
    gaps: Gaps | None


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
        right, given = matrix == 1, matrix != MISSING
        # By share of right answers: the posteriors of a block then lie at the same nodes.
        share = right.sum(axis=1) / np.maximum(given.sum(axis=1), 1)
        self.order = np.argsort(share, kind="stable")
        self.right = right[self.order].astype(float)
        self.n_right = self.right.sum(axis=0)
        self.patterns = None if given.all() else gap_patterns(matrix[self.order])
        self.on_grid(grid)

    def on_grid(self, grid: Grid) -> MarginalLikelihood:
        """Move to another grid, keeping the data in place."""
        self.grid = grid
        self.blocks = [
            Block(rows, self.patterns and Gaps(self.patterns[0], self.patterns[1][rows]))
            for rows in _slices(self.n_subjects, max(1, BLOCK_CELLS // len(grid.nodes)))
        ]
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
        work = lambda block: self._posterior(beta, block, terms)[2].sum()  # noqa: E731
        return float(sum(map_ordered(work, self.blocks, self.threads)))

    def posterior(self, beta: np.ndarray) -> np.ndarray:
        """Return the posterior weights, shape (n_subjects, n_nodes)."""
        terms = self._terms(beta)
        posterior = np.zeros((self.n_subjects, len(self.grid.nodes)))

        def work(block: Block):
            near, weights, _ = self._posterior(beta, block, terms)
            posterior[self.order[block.rows], near] = weights

        map_ordered(work, self.blocks, self.threads)
        return posterior

    def moments(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each subject's posterior, (n_subjects,) each."""
        terms = self._terms(beta)
        mean, sd = np.empty(self.n_subjects), np.empty(self.n_subjects)

        def work(block: Block):
            near, weights, _ = self._posterior(beta, block, terms)
            rows = self.order[block.rows]
            mean[rows], sd[rows] = moments(weights, self.grid.nodes[near])

        map_ordered(work, self.blocks, self.threads)
        return mean, sd

    def counts(self, beta: np.ndarray) -> Counts:
        """Return the expected counts of right and of all answers (E-step)."""
        terms = self._terms(beta)

        log_likelihood, parts, total, absent = self._expected(
            beta, terms, lambda rows, near, weights: self.right[rows].T @ weights
        )
        right = np.zeros((self.n_items, len(total)))
        for near, part in parts:
            right[:, near] += part
        total = total[None, :] if absent is None else total - absent
        return Counts(log_likelihood, right, total)

    def _evaluate_linear(self, beta: np.ndarray) -> Evaluation:
        """Evaluate the 1PL or 2PL through its sufficient statistics."""
        theta = self.grid.nodes
        terms = self._terms(beta)

        log_likelihood, parts, total, absent = self._expected(
            beta, terms, lambda rows, near, weights: self.right[rows].T @ (weights @ theta[near])
        )
        right_theta = sum(part for _, part in parts)
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
        return Evaluation(log_likelihood, gradient, information)

    def _expected(self, beta: np.ndarray, terms, of_right: Callable):
        """Take expectations over the posterior, block by block.

        Returns the log-likelihood, each block's nodes with what `of_right(rows, nodes,
        weights)` makes of its right answers, the expected number of subjects at each node, and
        of those that lack each item, None where no cell is missing.
        """

        def work(block: Block):
            near, weights, log_marginals = self._posterior(beta, block, terms)
            absent = None if block.gaps is None else block.gaps.counts(weights)
            part = of_right(block.rows, near, weights)
            return log_marginals.sum(), (near, part), weights.sum(axis=0), absent

        values, parts, totals, lacking = zip(
            *map_ordered(work, self.blocks, self.threads), strict=True
        )
        n_nodes = len(self.grid.nodes)
        total = np.zeros(n_nodes)
        absent = None if self.patterns is None else np.zeros((self.n_items, n_nodes))
        for (near, _), here, lack in zip(parts, totals, lacking, strict=True):
            total[near] += here
            if lack is not None:
                absent[:, near] += lack
        return float(sum(values)), parts, total, absent

    def _terms(self, beta: np.ndarray):
        """Return what every block needs of the items.

        Log-odds, log(1 - P) for missing cells, and its sum with the logarithms of the weights.
        """
        theta = self.grid.nodes
        if self.k == 2:
            # Only missing cells need the table itself; else its column sums suffice.
            work = lambda chunk: _log_wrong_linear(beta[chunk], theta)  # noqa: E731
            if self.patterns is None:
                total = lambda chunk: work(chunk).sum(axis=0)  # noqa: E731
                log_wrong_sum = sum(map_ordered(total, self.chunks, self.threads))
                return None, None, log_wrong_sum + self.grid.log_weights
            log_wrong = np.concatenate(map_ordered(work, self.chunks, self.threads))
            return None, log_wrong, log_wrong.sum(axis=0) + self.grid.log_weights
        right, wrong = probabilities(beta, theta)
        log_wrong = np.log(wrong)
        log_odds = np.log(right) - log_wrong
        return log_odds, log_wrong, log_wrong.sum(axis=0) + self.grid.log_weights

    def _posterior(self, beta: np.ndarray, block: Block, terms):
        """Return where a block's posteriors are, their weights, and the log marginals.

        A slice of the nodes, an array of shape (rows, these nodes) and one of shape (rows,).
        """
        log_odds, log_wrong, base = terms
        right, near = self.right[block.rows], slice(None)

        def joint(nodes: slice) -> np.ndarray:
            if log_odds is None:
                log_joint = np.multiply.outer(sums[:, 0], self.grid.nodes[nodes])
                log_joint += sums[:, 1:]
            else:
                log_joint = right @ log_odds
            log_joint += base[nodes]
            if block.gaps is not None:
                log_joint -= block.gaps.sums(log_wrong[:, nodes])
            return log_joint

        if log_odds is None:
            sums = right @ beta
            if len(base) >= COARSE_FROM:
                near = _around(joint(slice(None, None, COARSE_STEP)))
        log_joint = joint(near)
        largest = log_joint.max(axis=1, keepdims=True)
        log_joint -= largest
        weights = np.exp(log_joint, out=log_joint)
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        return near, weights, (largest + np.log(total))[:, 0]


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


def moments(posterior: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each row of posterior weights."""
    mean = posterior @ nodes
    spread = ((nodes - mean[:, None]) ** 2 * posterior).sum(axis=1)
    return mean, np.sqrt(spread)


def _around(coarse: np.ndarray) -> slice:
    """Return the nodes outside of which concave log posteriors are far below their highest.

    Parameters
    ----------
    coarse : array, shape (n_subjects, n_coarse)
        Log posteriors at every `COARSE_STEP`th node.
    """
    near = (coarse > coarse.max(axis=1, keepdims=True) - FAR).any(axis=0)
    first, last = np.flatnonzero(near)[[0, -1]]
    # Up to the coarse nodes that are far: between them no posterior is.
    return slice(max(first - 1, 0) * COARSE_STEP, (last + 1) * COARSE_STEP + 1)


def _slices(length: int, step: int) -> list[slice]:
    """Cut range(length) into slices of at most `step`."""
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
