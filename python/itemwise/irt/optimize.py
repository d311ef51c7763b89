"""Maximise a penalised marginal log-likelihood.

Two phases:

1. `expectation_maximization` (3PL and 4PL only): EM with Levenberg-damped Newton
   steps per item. Robust far from the maximum, where asymptotes make the surface
   ragged; stopped long before EM becomes slow.
2. `quasi_newton`: limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4) whose
   initial inverse Hessian is the inverse of the complete-data information, one block
   an item, renewed at each step. The blocks give each item its scale; the memory
   learns what ties the items together (location and scale of theta), which is what
   makes plain EM crawl.

Convergence means a small gradient, never a small step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from itemwise.irt.likelihood import (
    Counts,
    Evaluation,
    MarginalLikelihood,
    complete_log_likelihood,
    score,
)
from itemwise.irt.prior import Prior

MEMORY = 20
"""Pairs of steps and gradient changes kept."""

LARGEST_STEP = 2.0
"""Largest change of an item's parameter in one iteration (logits, slopes)."""

COLLECTIVE_GAIN = 1e-4
"""Nats that rescaling or moving all items together may still gain at convergence."""

SUFFICIENT_INCREASE = 1e-4
"""Armijo constant of the line search."""


@dataclass(frozen=True)
class Objective:
    """A penalised marginal log-likelihood with its constraints.

    Attributes
    ----------
    likelihood : MarginalLikelihood
    prior : Prior
    common_slope : bool
        1PL: all slopes are one parameter.
    free : array of bool, shape (n_items, k)
        Parameters that are estimated; the others are held.
    """

    likelihood: MarginalLikelihood
    prior: Prior
    common_slope: bool
    free: np.ndarray

    def __call__(self, beta: np.ndarray) -> Evaluation:
        """Return the penalised value, gradient and information."""
        at = self.likelihood.evaluate(beta)
        information = at.information + self.prior.weights(beta)
        return Evaluation(
            at.log_likelihood + self.prior.log_density(beta),
            (at.gradient + self.prior.gradient(beta)) * self.free,
            information,
        )

    def reduced_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """Return the gradient with respect to the parameters that can move."""
        if self.common_slope:
            return np.concatenate([[gradient[:, 0].sum()], gradient[:, 1]])
        return gradient.ravel()

    def converged(self, beta: np.ndarray, gradient: np.ndarray, tolerance: float) -> bool:
        """Return whether no parameter, alone or with all others, has far to go.

        A small gradient of every item is not enough with thousands of items: rescaling
        theta (a -> c a) or moving it (d -> d + a m) changes all items together, and
        their gradients add up. The log-likelihood curves by about 2n and n along these
        two directions (theta ~ N(0, 1) is all that fixes them), which gives the gain
        still to be had there.
        """
        if np.abs(self.reduced_gradient(gradient)).max() >= tolerance:
            return False
        scale = (beta[:, 0] * gradient[:, 0]).sum()
        location = (beta[:, 0] * gradient[:, 1]).sum()
        n_subjects = self.likelihood.n_subjects
        return (scale**2 / 2 + location**2) / (2 * n_subjects) < COLLECTIVE_GAIN

    def precondition(self, information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the step information^-1 gradient under the constraints."""
        k = gradient.shape[1]
        damped = information.copy()
        diagonal = damped[:, range(k), range(k)]
        damped[:, range(k), range(k)] = diagonal * (1 + 1e-3) + 1e-2
        if self.common_slope:
            return _common_slope_step(damped, gradient)
        return self.solve(damped, gradient)

    def solve(self, information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return information^-1 gradient, item by item, without moving what is held."""
        k = gradient.shape[1]
        both_free = self.free[:, :, None] & self.free[:, None, :]
        blocks = np.where(both_free, information, 0.0)
        blocks[:, range(k), range(k)] += ~self.free
        return np.linalg.solve(blocks, gradient[..., None])[..., 0] * self.free


@dataclass(frozen=True)
class Optimum:
    """Where an optimisation ended.

    Attributes
    ----------
    beta : array, shape (n_items, k)
    value : float
        Penalised log-likelihood.
    gradient : array, shape (n_items, k)
    n_iterations, n_evaluations : int
    converged : bool
        See `Objective.converged`.
    """

    beta: np.ndarray
    value: float
    gradient: np.ndarray
    n_iterations: int
    n_evaluations: int
    converged: bool


def expectation_maximization(
    objective: Objective, beta: np.ndarray, tolerance: float, max_iterations: int
) -> tuple[np.ndarray, int]:
    """Run EM until an iteration gains less than `tolerance` times the log-likelihood.

    Returns the new beta and the number of iterations.
    """
    damping = np.full(len(beta), 0.01)
    previous = -np.inf
    for iteration in range(max_iterations):
        counts = objective.likelihood.counts(beta)
        value = counts.log_likelihood + objective.prior.log_density(beta)
        if value - previous < tolerance * abs(value):
            return beta, iteration
        previous = value
        nodes = objective.likelihood.grid.nodes
        beta, damping = maximize_items(objective, beta, nodes, counts, damping)
    return beta, max_iterations


def quasi_newton(
    objective: Objective,
    beta: np.ndarray,
    tolerance: float,
    max_iterations: int,
    progress: Callable[[int, Evaluation], None] | None = None,
) -> Optimum:
    """Climb until the objective has converged, or cannot rise, or iterations run out."""
    at = objective(beta)
    evaluations, iteration = 1, 0
    memory: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)
    while iteration < max_iterations:
        if objective.converged(beta, at.gradient, tolerance):
            break
        step = _limited(_direction(objective, at, memory), objective.common_slope)
        slope = float((step * at.gradient).sum())
        if slope <= 0:
            if not memory:
                break
            memory.clear()
            continue
        length, new, tried = _line_search(objective, beta, at, step, slope)
        evaluations += tried
        if new is None:
            if not memory:
                break
            memory.clear()
            continue
        moved, bent = length * step, at.gradient - new.gradient
        if (moved * bent).sum() > 1e-10 * np.linalg.norm(moved) * np.linalg.norm(bent):
            memory.append((moved, bent))
        beta, at = beta + moved, new
        iteration += 1
        if progress:
            progress(iteration, at)
    converged = bool(objective.converged(beta, at.gradient, tolerance))
    return Optimum(beta, at.log_likelihood, at.gradient, iteration, evaluations, converged)


def _direction(objective: Objective, at: Evaluation, memory) -> np.ndarray:
    """Return the quasi-Newton direction by the two-loop recursion."""
    gradient = at.gradient.copy()
    scales = []
    for moved, bent in reversed(memory):
        scale = (moved * gradient).sum() / (moved * bent).sum()
        gradient -= scale * bent
        scales.append(scale)
    step = objective.precondition(at.information, gradient)
    for (moved, bent), scale in zip(memory, reversed(scales), strict=True):
        step += (scale - (bent * step).sum() / (moved * bent).sum()) * moved
    return step


def _limited(step: np.ndarray, common_slope: bool) -> np.ndarray:
    """Shorten the steps of items that would move too far; all alike where slopes are tied."""
    largest = np.abs(step).max(axis=1, keepdims=True)
    if common_slope:
        largest = largest.max()
    return step * np.minimum(1.0, LARGEST_STEP / np.maximum(largest, 1e-12))


def _line_search(objective: Objective, beta, at: Evaluation, step, slope: float):
    """Halve the step until the objective rises enough; returns (length, evaluation, tries)."""
    rounding = 1e-12 * abs(at.log_likelihood)
    length = 1.0
    for tries in range(1, 16):
        new = objective(beta + length * step)
        gain = new.log_likelihood - at.log_likelihood
        if gain >= SUFFICIENT_INCREASE * length * slope - rounding:
            return length, new, tries
        length /= 2
    return length, None, tries


def _common_slope_step(information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Solve the arrow-shaped system of one slope and an intercept an item."""
    slope_slope, slope_d, d_d = information[:, 0, 0], information[:, 0, 1], information[:, 1, 1]
    schur = (slope_slope - slope_d**2 / d_d).sum()
    slope = (gradient[:, 0] - slope_d / d_d * gradient[:, 1]).sum() / schur
    intercepts = (gradient[:, 1] - slope_d * slope) / d_d
    return np.column_stack([np.full(len(gradient), slope), intercepts])


def maximize_items(
    objective: Objective,
    beta: np.ndarray,
    theta: np.ndarray,
    counts: Counts,
    damping: np.ndarray,
    steps: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """M-step: a few damped Newton steps on each item's expected log-likelihood.

    Parameters
    ----------
    objective : Objective
    beta : array, shape (n_items, k)
    theta : array, shape (n_nodes,)
    counts : Counts
        At these nodes.
    damping : array, shape (n_items,)
        Relative, of each item's Newton step.
    steps : int

    Returns
    -------
    beta, damping
        As after the last step.
    """
    prior = objective.prior
    k = beta.shape[1]

    def value_at(beta):
        return complete_log_likelihood(beta, theta, counts) + prior.log_densities(beta)

    value = value_at(beta)
    for _ in range(steps):
        gradient, information = score(beta, theta, counts)
        gradient += prior.gradient(beta)
        information += prior.weights(beta)
        diagonal = information[:, range(k), range(k)]
        information[:, range(k), range(k)] = diagonal * (1 + damping[:, None]) + 1e-3
        step = objective.solve(information, gradient)
        candidate = beta + _limited(step, False)
        new_value = value_at(candidate)
        better = new_value >= value
        beta = np.where(better[:, None], candidate, beta)
        value = np.where(better, new_value, value)
        damping = np.where(better, np.maximum(damping / 4, 1e-4), damping * 8)
    return beta, damping
