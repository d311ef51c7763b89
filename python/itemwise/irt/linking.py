"""Put calibrations on one scale: new items beside anchors, or two calibrations linked.

A calibration fixes its scale by theta ~ N(0, 1) in its own sample. Two samples' scales
are related by theta_1 = A theta_2 + B, so that a_1 = a_2 / A and
d_1 = d_2 - a_2 B / A; asymptotes stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from itemwise.errors import UserError, listed
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import (
    LOGIT_BOUND,
    MODELS,
    free_columns,
    parameters_beta,
    probabilities,
    to_beta,
    to_table,
)
from itemwise.irt.native import best_of
from itemwise.irt.optimize import Objective
from itemwise.irt.prior import Prior, fixed_moments
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.starts import starting_values
from itemwise.responses.matrix import Responses, from_frame

FEWEST_COMMON = 3
"""Common items or subjects below this determine no line with an error."""

POPULATION_TOLERANCE = 1e-4
"""Anchored calibration ends when mean and SD of the abilities move less."""

ROUNDS = 100
ITERATIONS = 500
ANCHORED_POINTS = 241


@dataclass(frozen=True)
class Link:
    """theta_1 = slope * theta_2 + intercept, with standard errors."""

    slope: float
    intercept: float
    se_slope: float
    se_intercept: float
    n_common: int


def calibrate_new_items(
    responses: Responses | pd.DataFrame,
    anchors: pd.DataFrame,
    model: str = "2PL",
    prior: str = "weak",
    threads: int = 1,
) -> tuple[pd.DataFrame, dict]:
    """Calibrate new items on the scale of anchors whose parameters stay fixed.

    The new sample's abilities are N(mean, sd^2) with both estimated (fixed-parameter
    calibration, Kim 2006, Journal of Educational Measurement 43:355): new models may be
    abler than those that the anchors were calibrated on.

    Parameters
    ----------
    responses : Responses or data frame
        Responses to anchors and new items.
    anchors : data frame
        Table `parameters` of items already calibrated, of any model.
    model : {"2PL", "3PL", "4PL"}
        Of the new items.
    prior : {"weak", "none"}
        Of the new items; the anchors hold the scale, which a wide prior cannot move.
    threads : int

    Returns
    -------
    parameters : data frame
        The new items, on the anchors' scale.
    record : dict
        `mean` and `sd` of the abilities, `log_likelihood`, `converged`.

    Raises
    ------
    UserError
        Too few anchors in the responses, no new item, or the 1PL, whose common slope the
        anchors would have to share.
    """
    if model not in MODELS[1:]:
        raise UserError(f"model: {model!r} is not one of {', '.join(MODELS[1:])}")
    if not isinstance(responses, Responses):
        responses = from_frame(responses)
    held = np.isin(responses.items, anchors["item"].to_numpy(object))
    # Anchors that everybody answered alike still speak about ability.
    varying = (responses.matrix == 1).any(axis=0) & (responses.matrix == 0).any(axis=0)
    constant = responses.items[~held & ~varying].tolist()
    responses, held = responses.take(items=held | varying), held[held | varying]
    if held.sum() < FEWEST_COMMON or held.all():
        raise UserError(
            f"linking: the responses hold {held.sum()} of the {len(anchors)} anchors and "
            f"{(~held).sum()} new items; at least {FEWEST_COMMON} anchors and one new item are "
            "needed"
        )
    starts = _anchored_starts(responses, anchors, model, held)
    k = starts[0].shape[1]
    free = np.zeros(starts[0].shape, bool)
    free[~held, : free_columns(model)] = True
    mean, sd = 0.0, 1.0
    with threadpool_limits(1, user_api="blas"):
        grid = normal_grid(ANCHORED_POINTS)
        likelihood = MarginalLikelihood(responses.matrix, f"{k}PL", grid, threads)
        # Held columns have a prior too: a constant, which moves nothing.
        held_prior = Prior(fixed_moments(prior), f"{k}PL", len(responses.items))
        objective = Objective(likelihood, held_prior, common_slope=False, free=free)
        for _ in range(ROUNDS):
            reached, *_ = best_of(objective, starts, ITERATIONS)
            mean, sd, moved = _population(likelihood, reached.beta, mean, sd)
            likelihood.on_grid(normal_grid(ANCHORED_POINTS, mean, sd))
            starts = [reached.beta]
            if moved < POPULATION_TOLERANCE:
                break
        log_likelihood = likelihood.log_likelihood(reached.beta)
    record = {
        "mean": mean,
        "sd": sd,
        "log_likelihood": log_likelihood,
        "converged": bool(reached.converged and moved < POPULATION_TOLERANCE),
        "n_anchors": int(held.sum()),
        "constant_items_dropped": constant,
    }
    return to_table(reached.beta[~held, : free_columns(model)], responses.items[~held]), record


def link_by_items(first: pd.DataFrame, second: pd.DataFrame, standard_errors: bool = True) -> Link:
    """Link two calibrations through their common items.

    A and B minimise the squared distance of the test characteristic curves of the
    common items (Stocking & Lord 1983, Applied Psychological Measurement 7:201);
    standard errors by the jackknife over items, which takes as many fits as there are
    items: not a number without.

    Raises
    ------
    UserError
        Fewer than three common items.
    """
    common = np.intersect1d(first["item"].to_numpy(object), second["item"].to_numpy(object))
    _check_common(len(common), "items", first["item"], second["item"])
    one = parameters_beta(first.set_index("item", drop=False).loc[common])
    two = parameters_beta(second.set_index("item", drop=False).loc[common])
    estimate = _stocking_lord(one, two)
    if not standard_errors:
        return Link(*map(float, estimate), np.nan, np.nan, len(common))
    without = [
        _stocking_lord(np.delete(one, i, axis=0), np.delete(two, i, axis=0), estimate)
        for i in range(len(common))
    ]
    return _link(estimate, np.array(without), len(common))


def link_by_subjects(first: pd.DataFrame, second: pd.DataFrame) -> Link:
    """Link two calibrations through the abilities of common subjects.

    Mean and standard deviation of the abilities are matched (mean and sigma method,
    Kolen & Brennan 2014, section 6.3). MAP and EAP are pulled towards their prior, and
    estimates spread more than abilities: both are undone first. A posterior of mean m
    and variance v under N(0, 1) stands for a likelihood of mean m / (1 - v) and variance
    v / (1 - v), whose mean variance is taken off the variance of the estimates. Standard
    errors by the jackknife over subjects.

    Parameters
    ----------
    first, second : data frame
        Tables `abilities` of one method each.

    Raises
    ------
    UserError
        Fewer than three common subjects whose responses say something; several forms or
        methods in one table; abilities that spread no more than their errors.
    """
    for table in (first, second):
        if table["subject"].duplicated().any() or table["method"].nunique() > 1:
            raise UserError("linking: give abilities of one form and one method in each table")
    both = first.merge(second, "inner", "subject", suffixes=("_first", "_second"))
    sides = [_unshrunk(both, side) for side in ("first", "second")]
    known = np.all([np.isfinite(mean) & (noise >= 0) for mean, noise in sides], axis=0)
    n = int(known.sum())
    _check_common(n, "subjects", first["subject"], second["subject"])
    terms = np.array([[m[known], m[known] ** 2, v[known]] for m, v in sides])
    sums = terms.sum(axis=2)
    estimate = _mean_sigma(sums, n)
    without = np.array([_mean_sigma(sums - terms[:, :, i], n - 1) for i in range(n)])
    return _link(estimate, without, n)


def transform(parameters: pd.DataFrame, link: Link) -> pd.DataFrame:
    """Put the parameters of the second calibration on the scale of the first.

    Without their standard errors and covariances, which the link's own error would add to.
    """
    moved = parameters.copy()
    moved["a"] = parameters["a"] / link.slope
    moved["d"] = parameters["d"] - parameters["a"] * link.intercept / link.slope
    return moved.drop(columns=[c for c in moved if c.startswith(("se_", "cov_"))])


def _anchored_starts(responses, anchors, model: str, held: np.ndarray) -> list[np.ndarray]:
    """Return starting values with the anchors' own parameters in place."""
    anchors = anchors.set_index("item", drop=False).loc[responses.items[held]]
    k = max(free_columns(model), parameters_beta(anchors).shape[1])
    neutral = np.array([0.0, 0.0, -LOGIT_BOUND, LOGIT_BOUND])
    starts = []
    for new in starting_values(responses.matrix, model):
        start = np.tile(neutral[:k], (len(held), 1))
        start[:, : new.shape[1]] = new
        start[held] = to_beta(anchors, f"{k}PL")
        starts.append(start)
    return starts


def _population(likelihood, beta, mean: float, sd: float) -> tuple[float, float, float]:
    """Return mean and SD of the abilities under the posterior, and how far they moved."""
    weights = likelihood.posterior(beta).mean(axis=0)
    nodes = likelihood.grid.nodes
    new_mean = float(weights @ nodes)
    new_sd = float(np.sqrt(weights @ (nodes - new_mean) ** 2))
    return new_mean, new_sd, max(abs(new_mean - mean), abs(new_sd - sd))


def _stocking_lord(one: np.ndarray, two: np.ndarray, start=(1.0, 0.0)) -> np.ndarray:
    """Return (A, B) that bring the second test characteristic curve onto the first."""
    from scipy.optimize import least_squares

    grid = normal_grid(61)
    weights = np.exp(grid.log_weights / 2)
    target = probabilities(one, grid.nodes)[0].sum(axis=0)

    def distance(line: np.ndarray) -> np.ndarray:
        moved = two.copy()
        moved[:, 0] = two[:, 0] / line[0]
        moved[:, 1] = two[:, 1] - two[:, 0] * line[1] / line[0]
        return weights * (probabilities(moved, grid.nodes)[0].sum(axis=0) - target)

    return least_squares(distance, start, bounds=([1e-3, -np.inf], np.inf), xtol=1e-10).x


def _unshrunk(both: pd.DataFrame, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and error variances without the pull of the N(0, 1) prior."""
    theta = both[f"theta_{side}"].to_numpy()
    variance = both[f"se_{side}"].to_numpy() ** 2
    if both[f"method_{side}"].iloc[0] == "ML":
        return theta, variance
    return theta / (1 - variance), variance / (1 - variance)


def _mean_sigma(sums: np.ndarray, n: int) -> np.ndarray:
    """Return (A, B) from sums of estimates, their squares and error variances, two rows."""
    means = sums[:, 0] / n
    spread = sums[:, 1] / n - means**2 - sums[:, 2] / n
    if (spread <= 0).any():
        raise UserError(
            "linking: the abilities of the common subjects spread no more than their standard "
            "errors; link through items, or through more and more varied subjects"
        )
    slope = np.sqrt(spread[0] / spread[1])
    return np.array([slope, means[0] - slope * means[1]])


def _link(estimate: np.ndarray, without: np.ndarray, n: int) -> Link:
    """Return a link with jackknife standard errors."""
    errors = np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    return Link(*map(float, estimate), *map(float, errors), n)


def _check_common(n: int, what: str, first: pd.Series, second: pd.Series) -> None:
    """Refuse a link through too little."""
    if n < FEWEST_COMMON:
        raise UserError(
            f"linking: {n} common {what} (first: {listed(first, 3)}; second: {listed(second, 3)}); "
            f"at least {FEWEST_COMMON} are needed"
        )
