"""Which item tells most about a subject: criteria over all items at once."""

from __future__ import annotations

import numpy as np

from itemwise.adaptive.posterior import Posterior
from itemwise.adaptive.rules import Rule
from itemwise.irt.model import probabilities


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
        return -expected_variance(posterior, subjects)
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


def batch(posterior: Posterior, subjects: np.ndarray, allowed: np.ndarray, size: int) -> np.ndarray:
    """Choose items that are jointly informative, to be asked at once.

    Greedily the largest posterior mean of log(1 + I_i / (1 + I_asked + I_chosen)): with
    each item that is chosen the next one is worth less where both measure.

    Parameters
    ----------
    posterior : Posterior
    subjects : array of int
    allowed : array of bool, shape (n_subjects, n_items)
    size : int

    Returns
    -------
    array of int, shape (n_subjects, size)
        -1 where no item is left.
    """
    # Every fourth node is enough to rank items.
    information = posterior.items.information[:, ::4]
    weights = posterior.weights(subjects)[:, ::4]
    known = (posterior.matrix[subjects] >= 0).astype(float)
    precision = 1 + known @ information
    allowed = allowed.copy()
    chosen = np.full((len(subjects), size), -1)
    for place in range(size):
        gains = np.empty(allowed.shape)
        for row in range(len(subjects)):
            gains[row] = np.log1p(information / precision[row]) @ weights[row]
        gains[~allowed] = -np.inf
        best = gains.argmax(axis=1)
        left = allowed.any(axis=1)
        chosen[left, place] = best[left]
        allowed[np.flatnonzero(left), best[left]] = False
        precision[left] += information[best[left]]
    return chosen
