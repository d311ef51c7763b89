"""Priors whose location and spread the items themselves tell (empirical Bayes).

With twenty models an item's own answers say little, and thousands of items together say much
about what items are like. Each round climbs a little under the present prior, a Student's t of
b_i = (a_i, d_i) with location m and scatter S, and renews these from the estimates and their
posterior covariances V_i,

    m = sum_i w_i |a_i| b_i / sum_i w_i |a_i|,   S = mean_i w_i [(b_i - m)(b_i - m)' + V_i],

with the weights w_i of t. The second is the step of the EM algorithm for S (Lange, Little &
Taylor 1989, JASA 84:881) with the items integrated out, or
with Laplace's variance where models are many; Mislevy 1986 (Psychometrika 51:177) has the
hierarchical model.

Why means are weighted by slopes. Rescaling theta (a -> c a) and moving it (d -> d + t a) leave the
likelihood nearly alone where items are many, so that a prior pulls all items along these two
directions together: by sum_i w_i a_i S^-1 (b_i - m). With thousands of items that outweighs the
N(0, 1) of a few thetas and would decide their mean and spread. With these means it vanishes: the
prior shrinks items towards each other, and theta ~ N(0, 1) alone fixes the scale. Sizes of slopes
stand for slopes since falling items are rare: where half of all items fall, slopes would sum to
nothing and the mean would run off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import softmax

from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.optimize import Objective, expectation_maximization, quasi_newton
from itemwise.irt.prior import WEAK, Moments, Prior
from itemwise.irt.quadrature import MIRT_POINTS, normal_grid
from itemwise.responses.matrix import MISSING

FREEDOM = 5.0
"""Of the t distribution. Slopes of real matrices look normal; a long tail of steep items, as
simulated log-normal slopes have, must not be cut off where the data are plenty."""

ROUNDS = 60
CLIMB = 4
"""Iterations of the climb in one round."""

LARGEST_MOVE = 0.01
"""The moments are found when none moves by this share of its spread in a round."""

SMALLEST_SD = 0.1
"""Items are never taken to be all alike."""

PSEUDO_ITEMS, PSEUDO_SD = 10, (1.0, 2.0)
"""So many items of this spread of a and d are added, for benchmarks of few items."""

FEW_SUBJECTS = 200
"""Up to here an item's posterior is skewed, and its variance is integrated, not Laplace's, which
would let the spread shrink to nothing."""

POINTS = 7
"""Quadrature points a dimension."""

EM_STEPS = 15
"""For the scatter in one round, while theta and the points of the items stay."""

LARGEST_CORRELATION = 0.98
EM_TOLERANCE = 1e-4
"""Share of the log-likelihood that ends the EM with which models with asymptotes begin."""

ENOUGH_ITEMS = 2000
"""An even sample of about so many tells the scatter, and the first guess at the location."""


def estimate_prior(
    objective: Objective, starts: list[np.ndarray], progress: Callable | None = None
) -> tuple[Objective, list[np.ndarray]]:
    """Find location and scatter of the prior.

    Parameters
    ----------
    objective : Objective
        Its prior is replaced.
    starts : list of array, shape (n_items, k)
        Starting values; the first is followed.
    progress : callable, optional

    Returns
    -------
    objective : Objective
        With the estimated prior.
    starts : list of array
        The first near the maximum under this prior, the others as they were.
    """
    beta = starts[0]
    moments = _first_moments(beta, objective.common_slope)
    if len(beta) > ENOUGH_ITEMS:
        sample = _sample(len(beta))
        moments, _ = _renewed(_sampled(objective, sample), beta[sample], moments, progress)
    moments, beta = _renewed(objective, beta, moments, progress)
    return _under(objective, moments), [beta, *starts[1:]]


def _renewed(objective, beta, moments: Moments, progress) -> tuple[Moments, np.ndarray]:
    """Climb and renew the moments in turn until they stay."""
    for round_ in range(ROUNDS):
        at = _under(objective, moments)
        if round_ == 0 and beta.shape[1] > 2:
            beta, _ = expectation_maximization(at, beta, EM_TOLERANCE, ROUNDS)
        beta = quasi_newton(at, beta, 0.0, CLIMB, progress).beta
        beta = standardized(at.likelihood, beta)
        before, moments = moments, item_moments(at, beta)
        if _move(before, moments) < LARGEST_MOVE:
            break
    return moments, beta


def _sample(n_items: int) -> np.ndarray:
    """Return an even sample of the items, all where they are few."""
    return np.arange(0, n_items, -(-n_items // ENOUGH_ITEMS))


def _sampled(objective: Objective, items: np.ndarray) -> Objective:
    """Return the objective of some items, on a grid as much coarser as they know less of theta."""
    whole = objective.likelihood
    points = len(whole.grid.nodes) * np.sqrt(len(items) / whole.n_items)
    grid = normal_grid(max(MIRT_POINTS, int(points) // 2 * 2 + 1))
    part = MarginalLikelihood(whole.matrix[:, items], f"{whole.k}PL", grid, whole.threads)
    return replace(objective, likelihood=part, free=objective.free[items])


def _under(objective: Objective, moments: Moments) -> Objective:
    """Return the objective under another prior."""
    k, n_items = objective.likelihood.k, objective.likelihood.n_items
    model = "1PL" if objective.common_slope else f"{k}PL"
    return replace(objective, prior=Prior(moments, model, n_items))


def item_moments(objective: Objective, beta: np.ndarray) -> Moments:
    """Return location and scatter of a and d, given estimates and the prior they come from."""
    prior = objective.prior
    some = _sample(len(beta))
    covariances = np.linalg.inv(objective(beta).information[some])[:, :2, :2]
    if objective.common_slope:
        mean = np.array([prior.mean[0], beta[:, 1].mean()])
    else:
        weights = (prior.shares(beta) * np.abs(beta[:, 0]))[:, None]
        mean = (weights * beta[:, :2]).sum(axis=0) / weights.sum()
    if beta.shape[1] == 2 and objective.likelihood.n_subjects <= FEW_SUBJECTS:
        points = _points(objective, beta, some, covariances)
        scatter = _integrated_scatter(points, mean, prior)
    else:
        z = beta[some, :2] - mean
        shares = prior.shares(beta[some], covariances)[:, None, None]
        scatter = _with_pseudo_items(shares * (z[:, :, None] * z[:, None, :] + covariances))
    if objective.common_slope:
        scatter = np.diag([WEAK.sd[0] ** 2, scatter[1, 1]])
    return _moments(mean, scatter, prior.moments.freedom)


def _points(objective: Objective, beta, some, covariances) -> tuple[np.ndarray, np.ndarray]:
    """Return points around the estimates of some items, and log likelihood times volume there.

    Adaptive Gauss-Hermite quadrature (Liu & Pierce 1994, Biometrika 81:624), with theta at its
    posterior means: (n_items, points, 2) and (n_items, points).
    """
    nodes, weights = np.polynomial.hermite.hermgauss(POINTS)
    z = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    volume = np.log(np.outer(weights, weights).ravel()) + (z**2).sum(axis=1)
    roots = np.linalg.cholesky(covariances)
    at = beta[some, None, :2] + np.sqrt(2) * z @ roots.transpose(0, 2, 1)
    likelihood = objective.likelihood
    theta = likelihood.posterior(beta) @ likelihood.grid.nodes
    log_likelihood = np.tile(volume, (len(at), 1))
    for subject, row in zip(theta, likelihood.matrix[:, some], strict=True):
        logit = at[:, :, 0] * subject + at[:, :, 1]
        signed = np.where(row == 1, 1, -1)[:, None] * logit
        log_likelihood -= np.where(row == MISSING, 0, 1)[:, None] * np.logaddexp(0, -signed)
    return at, log_likelihood


def _integrated_scatter(points, mean: np.ndarray, prior: Prior) -> np.ndarray:
    """Return the scatter about `mean` at which the EM algorithm stays, items integrated out."""
    at, log_likelihood = points
    z = at - mean
    freedom, scatter = prior.freedom, np.linalg.inv(prior.precision[:2, :2])
    for _ in range(EM_STEPS):
        square = np.einsum("ipa,ab,ipb->ip", z, np.linalg.inv(scatter), z)
        heavy = np.isfinite(freedom)
        log_prior = -(freedom + 2) / 2 * np.log1p(square / freedom) if heavy else -square / 2
        posterior = softmax(log_likelihood + log_prior, axis=1)
        if heavy:
            posterior = posterior * (freedom + 2) / (freedom + square)
        items = np.einsum("ip,ipa,ipb->iab", posterior, z, z)
        scatter = _with_pseudo_items(items)
    return scatter


def _with_pseudo_items(scatters: np.ndarray) -> np.ndarray:
    """Return the mean scatter of the items and of some wide ones that are imagined."""
    known = PSEUDO_ITEMS * np.diag(np.square(PSEUDO_SD))
    return (scatters.sum(axis=0) + known) / (len(scatters) + PSEUDO_ITEMS)


def standardized(likelihood: MarginalLikelihood, beta: np.ndarray) -> np.ndarray:
    """Return beta on the scale on which the models' posteriors have mean 0 and variance 1.

    A shortcut: the climb would get there too, slowly, since the prior of many items holds
    the scale until it is renewed.
    """
    weights = likelihood.posterior(beta).mean(axis=0)
    nodes = likelihood.grid.nodes
    mean = float(weights @ nodes)
    spread = float(np.sqrt(weights @ (nodes - mean) ** 2))
    moved = beta.copy()
    moved[:, 0] = beta[:, 0] * spread
    moved[:, 1] = beta[:, 1] + beta[:, 0] * mean
    return moved


def _first_moments(beta: np.ndarray, common_slope: bool) -> Moments:
    """Return the moments of starting values."""
    if common_slope:
        scatter = np.diag([WEAK.sd[0] ** 2, beta[:, 1].var()])
        return _moments([WEAK.mean[0], beta[:, 1].mean()], scatter, None)
    weights = np.abs(beta[:, :1])
    mean = (weights * beta[:, :2]).sum(axis=0) / weights.sum()
    return _moments(mean, np.cov(beta[:, :2].T), FREEDOM)


def _moments(mean, scatter: np.ndarray, freedom: float | None) -> Moments:
    """Return the moments of a mean and a scatter matrix of a and d; g and u have the weak ones."""
    sd = np.maximum(np.sqrt(np.diag(scatter)), SMALLEST_SD)
    correlation = np.clip(
        scatter[0, 1] / (sd[0] * sd[1]), -LARGEST_CORRELATION, LARGEST_CORRELATION
    )
    return Moments(
        (*map(float, mean), *WEAK.mean[2:]),
        (*map(float, sd), *WEAK.sd[2:]),
        float(correlation),
        freedom,
        floating=True,
    )


def _move(before: Moments, after: Moments) -> float:
    """Return the largest move of a location or a spread, in units of the spread."""
    mean, sd = np.array(after.mean), np.array(after.sd)
    moved = np.abs([mean - before.mean, sd - before.sd]) / sd
    return float(max(moved.max(), abs(after.correlation - before.correlation)))
