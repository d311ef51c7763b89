"""Standard errors and covariances from the observed information of the marginal likelihood.

Louis' identity (Louis 1982, JRSS B 44:226): observed = complete - missing information,

    I = sum_j E[-H_j | x_j] - sum_j Cov(s_j | x_j),

with s_j and H_j the score and Hessian of the complete-data log-likelihood, and the
expectations over the posterior of theta. mirt reaches the same matrix by Oakes'
identity.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from itemwise.irt.gaps import gap_patterns
from itemwise.irt.likelihood import Counts, score_weights
from itemwise.irt.model import PARAMETER_NAMES, asymptotes, curvature, curves, probabilities
from itemwise.irt.parallel import map_ordered
from itemwise.responses.matrix import MISSING

LARGEST_JOINT = 2400
"""Largest number of parameters whose joint information is formed; beyond it, see
`_many_items_covariances`."""

BLOCK_CELLS = 10_000_000
"""Subjects times parameters worked on at once: 80 MB an array."""

MOST_PATTERNS = 32
"""Up to so many patterns of missing cells scores of the 1PL and 2PL are summed in closed form."""

NEGLIGIBLE = 1e-10
"""Posterior weights below this are left out of the covariance of the scores."""

RUN_OFF_LOGIT = 12.0
"""An asymptote whose logit ran beyond this has no standard error; it counts as fixed."""


def error_columns(objective, beta: np.ndarray) -> tuple[dict[str, np.ndarray], str]:
    """Return `se_a` ... `cov_ad` ... of the table `parameters`, and the method's name.

    Parameters whose information vanishes (slopes that ran off, asymptotes at their
    bounds) and parameters that were held get NaN. Errors of g and u are carried from
    the logits by the delta method. Covariances are those within an item.
    """
    covariances, how = parameter_covariances(objective, beta)
    n_items, k = beta.shape
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    known = np.full((n_items, len(PARAMETER_NAMES)), np.nan)
    known[:, :k] = np.sqrt(variances)
    columns = {f"se_{name}": known[:, place] for place, name in enumerate(PARAMETER_NAMES)}
    for i, j in combinations(range(k), 2):
        columns[f"cov_{PARAMETER_NAMES[i]}{PARAMETER_NAMES[j]}"] = covariances[:, i, j]
    return columns, how


def parameter_covariances(objective, beta: np.ndarray) -> tuple[np.ndarray, str]:
    """Return each item's covariance matrix of a, d, g, u, (n_items, k, k), and the method."""
    posterior = objective.likelihood.posterior(beta)
    counts = objective.likelihood.counts(beta)
    if beta.size <= LARGEST_JOINT:
        covariances = _joint_covariances(objective, beta, posterior, counts)
        how = "observed information"
    else:
        covariances = _many_items_covariances(objective, beta, posterior, counts)
        how = "observed information, one block an item, and location and scale"
    lower, upper, slip = asymptotes(beta)
    natural = np.ones(beta.shape)
    if beta.shape[1] > 2:
        natural[:, 2] = lower * (1 - lower)
    if beta.shape[1] > 3:
        natural[:, 3] = upper * slip
    return covariances * natural[:, :, None] * natural[:, None], how


def _joint_covariances(objective, beta, posterior, counts) -> np.ndarray:
    """Return the items' blocks of the inverse of the joint information."""
    n_items, k = beta.shape
    theta = objective.likelihood.grid.nodes
    information = _complete_information(objective.prior, beta, theta, counts)
    joint = np.zeros((n_items, k, n_items, k))
    joint[np.arange(n_items), :, np.arange(n_items)] = information
    joint -= _score_covariance(objective.likelihood, beta, posterior)
    joint -= _floating(objective, beta)
    movable = _movable(objective, beta, information)
    if objective.common_slope:
        return _common_slope_covariances(joint)
    free = movable.ravel()
    inverse = np.full((n_items * k, n_items * k), np.nan)
    matrix = joint.reshape(n_items * k, n_items * k)[np.ix_(free, free)]
    inverse[np.ix_(free, free)] = _inverse(matrix)
    blocks = inverse.reshape(n_items, k, n_items, k)
    return blocks[np.arange(n_items), :, np.arange(n_items)]


def _floating(objective, beta: np.ndarray) -> np.ndarray | float:
    """Return what an estimated prior does not know of the items' common location and scale.

    It follows them when all are moved (d -> d + a t) or rescaled (a -> c a): along these two
    directions C its precision W is replaced by W - W C (C' W C)^-1 C' W.
    """
    moments = objective.prior.moments
    if moments is None or not moments.floating:
        return 0.0
    together = np.zeros((*beta.shape, 1 if objective.common_slope else 2))
    together[:, 1, 0] = beta[:, 0]
    if not objective.common_slope:
        together[:, 0, 1] = beta[:, 0]
    pulled = objective.prior.weights(beta) @ together
    inner = np.einsum("iac,iad->cd", together, pulled)
    return np.einsum("iac,cd,jbd->iajb", pulled, np.linalg.inv(inner), pulled, optimize=True)


def _many_items_covariances(objective, beta, posterior, counts) -> np.ndarray:
    """Return the covariances of beta within items without forming the joint information.

    With so many items theta is nearly known, and an item's parameters are tied to the
    others' by location and scale of theta alone: each item's own block of the
    information gives its covariance with those two known. n draws from N(0, 1) fix them
    with variances 1 / n and 1 / (2n), and d -> d + a m, a -> a c carry that over.
    """
    blocks = _diagonal_blocks(objective, beta, posterior, counts)
    location = beta[:, 0] ** 2 / len(posterior)
    scale = location / 2
    covariances = np.full(blocks.shape, np.nan)
    if objective.common_slope:
        tie = blocks[:, 0, 1] / blocks[:, 1, 1]
        slope = 1 / (blocks[:, 0, 0] - tie * blocks[:, 0, 1]).sum() + scale
        covariances[:, 0, 0] = slope
        covariances[:, 1, 1] = 1 / blocks[:, 1, 1] + tie**2 * slope + location
        covariances[:, 0, 1] = covariances[:, 1, 0] = -tie * slope
        return covariances
    movable = _movable(objective, beta, blocks)
    for item in np.flatnonzero(movable.any(axis=1)):
        free = np.ix_(movable[item], movable[item])
        covariances[item][free] = _inverse(blocks[item][free])
    covariances[:, 0, 0] += scale
    covariances[:, 1, 1] += location
    return covariances


def _diagonal_blocks(objective, beta, posterior, counts) -> np.ndarray:
    """Return each item's own block of the observed information, (n_items, k, k)."""
    likelihood, theta = objective.likelihood, objective.likelihood.grid.nodes
    rows = max(1, BLOCK_CELLS // (len(posterior) * beta.shape[1]))

    def blocks(start: int) -> np.ndarray:
        part = slice(start, start + rows)
        total = counts.total if len(counts.total) == 1 else counts.total[part]
        own = Counts(counts.log_likelihood, counts.right[part], total)
        complete = _complete_information(objective.prior, beta[part], theta, own)
        return complete - _own_score_covariance(likelihood, beta[part], part, posterior, own)

    starts = range(0, len(beta), rows)
    return np.concatenate(map_ordered(blocks, starts, likelihood.threads))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse; NaN in rows and columns whose variance is not positive."""
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(matrix, hermitian=True)
    lost = ~(np.diag(inverse) > 0)
    inverse[lost] = np.nan
    inverse[:, lost] = np.nan
    return inverse


def _movable(objective, beta: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Return which parameters have enough information to have a standard error."""
    diagonal = np.diagonal(information, axis1=1, axis2=2)
    movable = (diagonal > 1e-4) & objective.free
    movable[:, 2:] &= np.abs(beta[:, 2:]) < RUN_OFF_LOGIT
    return movable


def _complete_information(prior, beta: np.ndarray, theta, counts: Counts) -> np.ndarray:
    """Return E[-H] of the complete data and of the prior, (n_items, k, k)."""
    shape = curves(beta, theta)
    right, wrong = counts.right, counts.total - counts.right
    first = right / shape.right**2 + wrong / shape.wrong**2
    second = right / shape.right - wrong / shape.wrong
    weighted = shape.derivatives * first[:, None]
    information = weighted @ shape.derivatives.transpose(0, 2, 1)
    information -= np.einsum("iabq,iq->iab", curvature(beta, theta), second)
    return information + prior.curvature(beta)


def _score_covariance(likelihood, beta: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Return sum_j Cov(s_j | x_j) over all pairs of parameters, (n_items, k, n_items, k)."""
    n_items, k = beta.shape
    patterns, which = gap_patterns(likelihood.matrix)
    if k == 2 and len(patterns) <= MOST_PATTERNS:
        total = np.zeros((n_items, k, n_items, k))
        for number, absent in enumerate(patterns):
            rows, items = which == number, np.flatnonzero(~absent)
            answers = (likelihood.matrix[rows][:, items] == 1).astype(float)
            total[np.ix_(items, range(k), items, range(k))] += _linear_score_covariance(
                answers, beta[items], likelihood.grid.nodes, posterior[rows]
            )
        return total
    if_right, if_wrong = score_weights(curves(beta, likelihood.grid.nodes))
    answers, missing = _answers(likelihood)

    def at_node(node: int) -> np.ndarray:
        rows = posterior[:, node] > NEGLIGIBLE
        weight = np.sqrt(posterior[rows, node])[:, None]
        right = answers[rows] * weight
        wrong = weight - right if missing is None else weight * (1 - missing[rows]) - right
        scores = right[:, :, None] * if_right[:, :, node] + wrong[:, :, None] * if_wrong[:, :, node]
        scores = scores.reshape(rows.sum(), n_items * k)
        return scores.T @ scores

    total = np.zeros((n_items * k, n_items * k))
    for node in range(len(likelihood.grid.nodes)):
        total += at_node(node)
    mean = _mean_scores(answers, if_right, if_wrong, posterior, missing)
    mean = mean.reshape(len(posterior), n_items * k)
    return (total - mean.T @ mean).reshape(n_items, k, n_items, k)


def _linear_score_covariance(answers, beta, theta, posterior) -> np.ndarray:
    """Return sum_j Cov(s_j | x_j) of the 1PL or 2PL for subjects that answered all items.

    There s = (x - P) (theta, 1), which depends on the answers through x alone: with
    M_r = E[theta^r P | x] the sums are products of x and M, and of P over the nodes.
    """
    right, _ = probabilities(beta, theta)
    powers = [posterior * theta**power for power in range(3)]
    first, second = (part.sum(axis=1) for part in powers[1:])
    zero, one, two = (part @ right.T for part in powers)
    at_nodes = [(right * part.sum(axis=0)) @ right.T for part in powers]
    covariance = np.empty((len(beta), 2, len(beta), 2))
    covariance[:, 1, :, 1] = at_nodes[0] - zero.T @ zero
    mixed = at_nodes[1] - one.T @ zero - answers.T @ (one - first[:, None] * zero)
    covariance[:, 0, :, 1] = mixed
    covariance[:, 1, :, 0] = mixed.T
    crossed = answers.T @ (two - first[:, None] * one)
    spread = answers.T @ ((second - first**2)[:, None] * answers)
    covariance[:, 0, :, 0] = at_nodes[2] - one.T @ one + spread - crossed - crossed.T
    return covariance


def _own_score_covariance(likelihood, beta, part: slice, posterior, counts) -> np.ndarray:
    """Return sum_j Cov(s_ij | x_j) of the items in `part`, each by itself, (items, k, k)."""
    if_right, if_wrong = score_weights(curves(beta, likelihood.grid.nodes))
    right = counts.right[:, None]
    total = (if_right * right) @ if_right.transpose(0, 2, 1)
    total += (if_wrong * (counts.total[:, None] - right)) @ if_wrong.transpose(0, 2, 1)
    answers, missing = _answers(likelihood, part)
    mean = _mean_scores(answers, if_right, if_wrong, posterior, missing)
    return total - np.einsum("jia,jib->iab", mean, mean, optimize=True)


def _mean_scores(answers, if_right, if_wrong, posterior, missing) -> np.ndarray:
    """Return the posterior mean scores, shape (n_subjects, n_items, k)."""
    n_items, k, n_nodes = if_right.shape
    shape = (len(posterior), n_items, k)
    right = (posterior @ if_right.reshape(n_items * k, n_nodes).T).reshape(shape)
    wrong = (posterior @ if_wrong.reshape(n_items * k, n_nodes).T).reshape(shape)
    not_right = 1 - answers if missing is None else 1 - answers - missing
    return right * answers[:, :, None] + wrong * not_right[:, :, None]


def _answers(likelihood, items: slice = slice(None)) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which answers to some items are right, and which are missing, None where none is."""
    matrix = likelihood.matrix[:, items]
    missing = None if likelihood.patterns is None else (matrix == MISSING).astype(float)
    return (matrix == 1).astype(float), missing


def _common_slope_covariances(joint: np.ndarray) -> np.ndarray:
    """Return the covariances of the 1PL: one slope, an intercept an item."""
    n_items = joint.shape[0]
    matrix = np.zeros((n_items + 1, n_items + 1))
    matrix[0, 0] = joint[:, 0, :, 0].sum()
    matrix[0, 1:] = matrix[1:, 0] = joint[:, 0, :, 1].sum(axis=0)
    matrix[1:, 1:] = joint[:, 1, :, 1]
    inverse = _inverse(matrix)
    covariances = np.empty((n_items, 2, 2))
    covariances[:, 0, 0] = inverse[0, 0]
    covariances[:, 1, 1] = np.diag(inverse)[1:]
    covariances[:, 0, 1] = covariances[:, 1, 0] = inverse[0, 1:]
    return covariances
