"""Abilities of subjects from items whose parameters are fixed.

All posteriors are formed in logarithms, cell by cell over the administered items, so
that neither thousands of items nor missing cells lose a subject.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from itemwise.errors import UserError, listed
from itemwise.irt.likelihood import MarginalLikelihood, moments
from itemwise.irt.model import asymptotes, item_information, parameters_beta, probabilities
from itemwise.irt.quadrature import FEWEST_POINTS, LIMIT, Grid, enough_points, normal_grid
from itemwise.responses.matrix import MISSING, Responses, from_frame

LOG = logging.getLogger(__name__)
ENGINES = ("native", "mirt")
METHODS = ("MAP", "EAP", "EAPsum", "ML")
LARGEST_PATTERNS = 1000
"""EAPsum needs one table a pattern of administered items; beyond this many, use EAP."""

FLAT = 1e-6
"""Likelihoods that differ by a smaller share count as equal."""

ABILITY_TOLERANCE = 1e-10
NEWTON_STEPS = 60


def score(
    responses: Responses | pd.DataFrame,
    parameters: pd.DataFrame,
    method: str = "EAP",
    quadrature: int | None = None,
    threads: int = 1,
    engine: str = "native",
) -> pd.DataFrame:
    """Estimate abilities with fixed item parameters.

    Parameters
    ----------
    responses : Responses or data frame
        Must hold a column for each item of `parameters`; other items are ignored.
    parameters : data frame
        Table `parameters`.
    method : {"MAP", "EAP", "EAPsum", "ML"}
        Posterior mode with the standard error from the observed information; posterior
        mean and standard deviation given the responses; the same given the sum score
        (Lord & Wingersky 1984, Applied Psychological Measurement 8:453); the mode of
        the likelihood without prior, which all-right and all-wrong subjects lack (null).
    quadrature : int, optional
        Grid points on [-6, 6]; default: spacing below the narrowest posterior's SD
        (mirt: 61).
    threads : int
    engine : {"native", "mirt"}
        mirt gives no EAPsum for subjects with missing cells (null).

    Returns
    -------
    data frame
        Table `abilities`: `subject, theta, se, method`.

    Raises
    ------
    UserError
        Items without a column, a subject without any response, unknown method, too many
        patterns of missing cells for EAPsum.
    """
    for option, value, choices in (("method", method, METHODS), ("engine", engine, ENGINES)):
        if value not in choices:
            raise UserError(f"{option}: {value!r} is not one of {', '.join(choices)}")
    if not isinstance(responses, Responses):
        responses = from_frame(responses)
    responses = responses.select_items(parameters["item"].tolist(), "responses")
    _check_answered(responses)
    if quadrature is not None and quadrature < FEWEST_POINTS:
        raise UserError(
            f"quadrature: {quadrature} points are too few; take at least {FEWEST_POINTS}"
        )
    if method == "EAPsum" and (parameters["a"] < 0).any():
        LOG.warning(
            "EAPsum: %d of %d items have negative slopes, for which a right answer speaks "
            "against ability; the sum score is a poor statistic here, EAP is not affected",
            (parameters["a"] < 0).sum(),
            len(parameters),
        )
    if engine == "mirt":
        from itemwise.irt.mirt import score_mirt

        return score_mirt(responses, parameters, method, quadrature)
    beta = parameters_beta(parameters)
    grid = normal_grid(quadrature or _scoring_points(parameters))
    with threadpool_limits(1, user_api="blas"):
        theta, se = _estimate(method, responses, beta, grid, threads)
    return pd.DataFrame({"subject": responses.subjects, "theta": theta, "se": se, "method": method})


def _estimate(method, responses, beta, grid, threads):
    """Dispatch on the method; returns theta and se, each of shape (n_subjects,)."""
    if method == "EAPsum":
        return eap_sum(responses.matrix, beta, grid)
    model = f"{beta.shape[1]}PL"
    likelihood = MarginalLikelihood(responses.matrix, model, grid, threads)
    if method == "EAP":
        return likelihood.moments(beta)
    if method == "MAP":
        highest = grid.nodes[likelihood.posterior(beta).argmax(axis=1)]
        return posterior_mode(responses.matrix, beta, highest, grid, 1.0)
    flat = likelihood.on_grid(Grid(grid.nodes, np.zeros_like(grid.log_weights)))
    weights = flat.posterior(beta)
    best = weights.argmax(axis=1)
    theta, se = posterior_mode(responses.matrix, beta, grid.nodes[best], grid, 0.0)
    # Where all answers agree with each other the likelihood only rises towards an end of
    # the grid, or is flat up to rounding from somewhere on: there is no maximum.
    ends = np.maximum(weights[:, 0], weights[:, -1])
    lost = (weights.max(axis=1) <= ends * (1 + FLAT)) | ~np.isfinite(se) | (se > LIMIT)
    return np.where(lost, np.nan, theta), np.where(lost, np.nan, se)


def posterior_mode(
    matrix: np.ndarray,
    beta: np.ndarray,
    start: np.ndarray,
    grid: Grid,
    precision: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mode of each subject's posterior and its standard error.

    Newton's method within the cell of the grid that holds the highest node, with
    bisection wherever a step would leave the bracket: a 4PL posterior can have several
    modes, and this keeps the highest.

    Parameters
    ----------
    matrix : array of int8, shape (n_subjects, n_items)
    beta : array, shape (n_items, k)
    start : array, shape (n_subjects,)
        Highest node of each subject's posterior.
    grid : Grid
    precision : float
        1 with the N(0, 1) prior, 0 without.
    """
    low, high = start - grid.spacing, start + grid.spacing
    theta = start.copy()
    active = np.arange(len(theta))
    for _ in range(NEWTON_STEPS):
        slope, bend = log_posterior_derivatives(matrix[active], beta, theta[active], precision)
        low[active] = np.where(slope > 0, theta[active], low[active])
        high[active] = np.where(slope < 0, theta[active], high[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(bend < 0, theta[active] - slope / bend, np.nan)
        inside = (step >= low[active]) & (step <= high[active])
        new = np.where(inside, step, (low[active] + high[active]) / 2)
        new = np.where(slope == 0, theta[active], new)
        moved = np.abs(new - theta[active])
        theta[active] = new
        active = active[moved > ABILITY_TOLERANCE]
        if not active.size:
            break
    _, bend = log_posterior_derivatives(matrix, beta, theta, precision)
    with np.errstate(divide="ignore", invalid="ignore"):
        return theta, np.where(bend < 0, 1 / np.sqrt(-bend), np.nan)


def log_posterior_derivatives(
    matrix: np.ndarray, beta: np.ndarray, theta: np.ndarray, precision: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second derivative of each subject's log posterior at its theta."""
    rows = max(1, 2_000_000 // len(beta))
    parts = [
        _derivatives_block(matrix[i : i + rows], beta, theta[i : i + rows])
        for i in range(0, len(theta), rows)
    ]
    slope = np.concatenate([first for first, _ in parts]) - precision * theta
    return slope, np.concatenate([second for _, second in parts]) - precision


def _derivatives_block(matrix, beta, theta):
    """Derivatives of the log-likelihood with respect to theta, for some subjects."""
    a = beta[:, 0]
    right, wrong = (p.T for p in probabilities(beta, theta))
    answered = matrix != MISSING
    observed = np.where(answered, matrix, 0)
    if beta.shape[1] == 2:
        residual = np.where(answered, observed - right, 0)
        return residual @ a, -(np.where(answered, right * wrong, 0) @ a**2)
    # With P = g + (u - g) L: P' = a (u - g) L (1 - L), P'' = a P' (1 - 2 L).
    lower, upper, _ = asymptotes(beta)
    z = theta[:, None] * a + beta[:, 1]
    up, down = expit(z), expit(-z)
    rise = a * (upper - lower) * up * down
    bend = a * rise * (down - up)
    weight = np.where(answered, observed / right - (1 - observed) / wrong, 0)
    square = np.where(answered, observed / right**2 + (1 - observed) / wrong**2, 0)
    return (weight * rise).sum(axis=1), (weight * bend - square * rise**2).sum(axis=1)


def eap_sum(matrix: np.ndarray, beta: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return EAP and posterior SD given the number of right answers.

    One Lord-Wingersky table for each pattern of administered items.
    """
    answered = matrix != MISSING
    patterns, which = np.unique(answered, axis=0, return_inverse=True)
    if len(patterns) > LARGEST_PATTERNS:
        raise UserError(
            f"EAPsum: {len(patterns)} patterns of administered items, each needs a table of its "
            f"own (at most {LARGEST_PATTERNS}); use --method EAP"
        )
    sums = np.where(answered, matrix, 0).sum(axis=1)
    right, wrong = probabilities(beta, grid.nodes)
    theta, se = np.empty(len(matrix)), np.empty(len(matrix))
    for number, pattern in enumerate(patterns):
        rows = which.ravel() == number
        log_table = sum_score_log_likelihood(right[pattern], wrong[pattern])
        log_joint = log_table + grid.log_weights
        posterior = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))
        mean, sd = moments(posterior, grid.nodes)
        theta[rows], se[rows] = mean[sums[rows]], sd[sums[rows]]
    return theta, se


def sum_score_log_likelihood(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return log P(sum = s | theta), shape (n_items + 1, n_nodes), by Lord and Wingersky."""
    n_items, n_nodes = right.shape
    table = np.full((n_items + 1, n_nodes), -np.inf)
    table[0] = 0.0
    log_right, log_wrong = np.log(right), np.log(wrong)
    for item in range(n_items):
        gained = table[: item + 1] + log_right[item]
        table[: item + 1] += log_wrong[item]
        table[1 : item + 2] = np.logaddexp(table[1 : item + 2], gained)
    return table


def _scoring_points(parameters: pd.DataFrame) -> int:
    """Choose a grid whose spacing is below the narrowest posterior's SD."""
    theta = np.linspace(-LIMIT, LIMIT, 241)
    information = item_information(parameters, theta).sum(axis=0).max()
    return enough_points(1 / np.sqrt(1 + information))


def _check_answered(responses: Responses) -> None:
    """Refuse subjects about whom nothing is known."""
    empty = ~responses.administered.any(axis=1)
    if empty.any():
        names = listed(responses.subjects[empty])
        raise UserError(
            f"responses: {empty.sum()} subjects answered none of the items: {names}; leave them out"
        )
