"""Items that leap to another hill: global search for models with asymptotes.

Given what the models' abilities are, each item has a likelihood of its own, and that of a 3PL or
4PL item may have several maxima: a steep curve that rises late, a flat one, one that falls. A
climb from one start ends with some items on the wrong hill, and hundreds of nats may lie in two of
145 items. So the expected complete-data log-likelihood of every item is climbed from many places at
once; where one of them is higher, the item moves there. Such a move raises the marginal likelihood
too (the argument of the EM algorithm), and costs no pass over the data.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from itemwise.irt.likelihood import Counts, complete_log_likelihood
from itemwise.irt.optimize import Objective, maximize_items

SLOPES = (1.0, 3.0, 8.0, -1.5)
LOWER, UPPER = (-6.0, -1.2), (4.0, 1.0)
"""Logits of the asymptotes from which an item is climbed."""

RISES = (0.15, 0.5, 0.85)
"""Quantiles of ability at which its curve rises."""

STEPS = 12
SEARCH_NODES = 61
"""Counts at neighbouring nodes are added up to about so many."""

WORTH = 0.1
"""Nats that an item must gain to be moved."""


def leap(objective: Objective, beta: np.ndarray) -> tuple[np.ndarray, int]:
    """Move each item to the highest of its hills, abilities being as they are.

    Parameters
    ----------
    objective : Objective
    beta : array, shape (n_items, k)

    Returns
    -------
    beta : array
    moved : int
        Number of items that moved.
    """
    theta, counts = coarse(objective.likelihood.grid.nodes, objective.likelihood.counts(beta))
    best = maximize_items(objective, beta, theta, counts, _damping(beta), STEPS)[0]
    here = value = _values(objective, best, theta, counts)
    for start in _places(beta.shape, theta, counts):
        found, _ = maximize_items(objective, start, theta, counts, _damping(beta), STEPS)
        found_value = _values(objective, found, theta, counts)
        better = found_value > np.maximum(value, here + WORTH)
        best = np.where(better[:, None], found, best)
        value = np.where(better, found_value, value)
    moved = value > here
    return np.where(moved[:, None], best, beta), int(moved.sum())


def coarse(theta: np.ndarray, counts: Counts) -> tuple[np.ndarray, Counts]:
    """Return counts at fewer nodes, each the mean of its neighbours by expected answers."""
    step = -(-len(theta) // SEARCH_NODES)
    first = np.arange(0, len(theta), step)
    mass = counts.total.sum(axis=0) + 1e-300
    nodes = np.add.reduceat(mass * theta, first) / np.add.reduceat(mass, first)
    right, total = (np.add.reduceat(n, first, axis=1) for n in (counts.right, counts.total))
    return nodes, Counts(counts.log_likelihood, right, total)


def _places(shape: tuple[int, int], theta: np.ndarray, counts: Counts):
    """Yield starting values, the same for all items."""
    n_items, k = shape
    mass = counts.total.sum(axis=0)
    rises = np.interp(RISES, np.cumsum(mass) / mass.sum(), theta)
    ends = (LOWER, UPPER)[: k - 2]
    for slope, rise, *asymptotes in product(SLOPES, rises, *ends):
        yield np.tile([slope, -slope * rise, *asymptotes], (n_items, 1))


def _damping(beta: np.ndarray) -> np.ndarray:
    """Return the damping with which the climb of each item starts."""
    return np.full(len(beta), 0.01)


def _values(objective: Objective, beta, theta, counts: Counts) -> np.ndarray:
    """Return each item's expected log-likelihood and log prior, shape (n_items,)."""
    return complete_log_likelihood(beta, theta, counts) + objective.prior.log_densities(beta)
