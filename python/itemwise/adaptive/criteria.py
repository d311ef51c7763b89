"""Which item tells most about a subject: criteria over all items at once.

Criteria are gains, never negative, so that they can be discounted within a batch; `fixed`
alone is an order.
"""

from __future__ import annotations

import numpy as np

from itemwise.adaptive.posterior import Posterior
from itemwise.adaptive.rules import Rule
from itemwise.irt.model import probabilities
from itemwise.responses.matrix import MISSING

NEGLIGIBLE = 1e-14
"""Share of a posterior at a node that no gain depends on."""

ROUNDING = 1e-9
"""Share of a gain by which rounding may be off."""


def values(
    rule: Rule, posterior: Posterior, subjects: np.ndarray, done: int, rng: np.random.Generator
) -> np.ndarray:
    """Return how much each item is wanted, shape (n_subjects, n_items); larger is better.

    Parameters
    ----------
    rule : Rule
    posterior : Posterior
    subjects : array of int
    done : int
        Items asked so far, for the progressive criterion.
    rng : Generator
        For the random part of criteria that have one.
    """
    items = posterior.items
    shape = (len(subjects), len(items))
    if done == 0 and rule.theta0 is not None and rule.criterion not in ("fixed", "random"):
        return items.information_at(np.full(len(subjects), rule.theta0))
    if rule.criterion == "fixed":
        return np.broadcast_to(-np.arange(len(items), dtype=float), shape)
    if rule.criterion == "random":
        return rng.random(shape)
    if rule.criterion == "MFI":
        return items.information_at(posterior.theta[subjects])
    if rule.criterion == "progressive":
        return progressive(rule, posterior, subjects, done, rng)
    if rule.criterion == "MEPV":
        weights = posterior.weights(subjects)
        mean = weights @ items.nodes
        variance = weights @ items.nodes**2 - mean**2
        return variance[:, None] - expected_variance(posterior, subjects)
    if rule.criterion == "MPLI":
        return BatchInformation(posterior, subjects).gain()
    weights = (
        posterior.weights(subjects) if rule.criterion == "KLP" else posterior.likelihoods(subjects)
    )
    return divergence(posterior, subjects, weights)


def first_values(rule: Rule, posterior: Posterior, subjects: np.ndarray) -> list[np.ndarray]:
    """Return how much each item is wanted in each place of a start that is spread.

    Its information at equally spaced abilities from -spread to spread, one a place.
    """
    abilities = np.linspace(-rule.spread, rule.spread, rule.start)
    return [posterior.items.information_at(np.full(len(subjects), theta)) for theta in abilities]


def expected_variance(posterior: Posterior, subjects: np.ndarray) -> np.ndarray:
    """Return the expected posterior variance after each item.

    sum over x of P(x) Var(theta | responses, x), P(x) the posterior predictive
    probability (van der Linden 1998, Psychometrika 63:201).
    """
    items = posterior.items
    weights = posterior.weights(subjects)
    moments = [weights * items.nodes**power for power in range(3)]
    right = [moment @ items.right.T for moment in moments]
    total = [moment.sum(axis=1, keepdims=True) for moment in moments]
    wrong = [whole - part for whole, part in zip(total, right, strict=True)]
    tiny = np.finfo(float).tiny
    # P(x) Var(x) = E[theta^2; x] - E[theta; x]^2 / P(x)
    return sum(second - first**2 / np.maximum(mass, tiny) for mass, first, second in (right, wrong))


def divergence(posterior: Posterior, subjects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted Kullback-Leibler divergence of each item from the current ability.

    Integral of w(theta) [P0 log(P0 / P) + Q0 log(Q0 / Q)] with P0, Q0 at the current
    estimate (Chang & Ying 1996, Applied Psychological Measurement 20:213).
    """
    items = posterior.items
    right, wrong = (p.T for p in probabilities(items.beta, posterior.theta[subjects]))
    mass = weights.sum(axis=1, keepdims=True)
    return right * (np.log(right) * mass - weights @ items.log_right.T) + wrong * (
        np.log(wrong) * mass - weights @ items.log_wrong.T
    )


def progressive(
    rule: Rule, posterior: Posterior, subjects: np.ndarray, done: int, rng: np.random.Generator
) -> np.ndarray:
    """Return a mixture of chance and information that moves to information.

    (1 - W) R + W I with R uniform up to the largest information and W = done /
    max_length (Revuelta & Ponsoda 1998, Journal of Educational Measurement 35:311).
    """
    information = posterior.items.information_at(posterior.theta[subjects])
    chance = rng.random(information.shape) * information.max(axis=1, keepdims=True)
    weight = min(done / rule.max_length, 1.0)
    return (1 - weight) * chance + weight * information


class BatchInformation:
    """What items tell beside others that were or will be asked.

    The gain of item i is the posterior mean of log(1 + I_i / (1 + I_asked + I_chosen)): the
    growth of the log precision of ability, less where asked or chosen items measure already
    (Bayesian D-optimality, Chaloner & Verdinelli 1995, Statistical Science 10:273).

    Parameters
    ----------
    posterior : Posterior
    subjects : array of int
    """

    def __init__(self, posterior: Posterior, subjects: np.ndarray):
        # Every fourth node is enough to rank items; coarse grids are taken whole.
        step = 4 if len(posterior.items.nodes) > 120 else 1
        weights = posterior.weights(subjects)[:, ::step]
        near = np.flatnonzero((weights > NEGLIGIBLE).any(axis=0))
        self.weights = weights[:, near]
        self.information = posterior.items.information[:, ::step][:, near]
        known = (posterior.matrix[subjects] != MISSING).astype(float)
        self.precision = 1 + known @ self.information
        self.before = self.precision.copy()

    def gain(self) -> np.ndarray:
        """Return the gains, shape (n_subjects, n_items)."""
        return np.stack(
            [
                np.log1p(self.information / precision) @ weights
                for precision, weights in zip(self.precision, self.weights, strict=True)
            ]
        )

    def discounted(self, values: np.ndarray, best: int) -> np.ndarray:
        """Return values times what is left of each item's gain beside those chosen so far.

        At most all of it is left: only items that are worth more than the `best`-th of the
        discounted ones can be among the `best`. The others are given -inf.

        Parameters
        ----------
        values : array, shape (n_subjects, n_items)
            -inf for items that may not be asked.
        best : int
            How many of a subject's best items must be right.
        """

        def contenders(n: int) -> np.ndarray:
            n = min(max(n, 1), values.shape[1])
            return np.argpartition(-values, n - 1, axis=1)[:, :n]

        least = self._discounted(values, contenders(best)).min(axis=1, keepdims=True)
        can = np.isfinite(values) & (values >= least * (1 - ROUNDING))
        items = contenders(can.sum(axis=1).max())
        made = np.full(values.shape, -np.inf)
        np.put_along_axis(made, items, self._discounted(values, items), axis=1)
        return made

    def _discounted(self, values: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the discounted values of some items of each subject."""
        information = self.information[items]
        left, alone = (
            np.einsum("nkq,nq->nk", np.log1p(information / precision[:, None]), self.weights)
            for precision in (self.precision, self.before)
        )
        worth = np.take_along_axis(values, items, axis=1)
        share = left / np.maximum(alone, np.finfo(float).tiny)
        return np.where(np.isfinite(worth), np.maximum(worth, 0) * share, -np.inf)

    def add(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Take note of a chosen item of some subjects."""
        self.precision[rows] += self.information[items]
