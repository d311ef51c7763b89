"""The native engine: marginal maximum likelihood on a grid that is fine enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
from threadpoolctl import threadpool_limits

from itemwise.errors import UserError, listed
from itemwise.irt.estimated_prior import FEW_SUBJECTS, estimate_prior
from itemwise.irt.jumps import leap
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import item_information, to_table
from itemwise.irt.optimize import Objective, Optimum, expectation_maximization, quasi_newton
from itemwise.irt.prior import Moments, Prior, fixed_moments
from itemwise.irt.quadrature import LARGEST_GRID, doubled, enough_points, normal_grid
from itemwise.irt.record import fit_record
from itemwise.irt.standard_errors import error_columns
from itemwise.irt.starts import starting_values
from itemwise.responses.matrix import Responses, check_answered

LOG = logging.getLogger(__name__)

GRADIENT_TOLERANCE = 0.01
"""Largest gradient of the objective, in nats per unit of a, d, logit g or logit u."""

QUADRATURE_TOLERANCE = 0.1
"""With automatic quadrature, doubling the points moves the log-likelihood by less."""

SAME_END = 0.01
"""Ends of climbs that differ by fewer nats are the same."""

EM_TOLERANCE = 1e-4
"""EM hands over when an iteration gains less than this share of the log-likelihood."""

FREE_ITERATIONS = 200
LARGEST_LOGIT = 8.0
"""Bounds of the climb without prior from whose end one under the prior starts."""

BYTES_PER_CELL = 8
MEMORY_COPIES = 4
"""Arrays of the size of the response matrix that a fit holds at its peak."""


def fit_native(
    responses: Responses,
    model: str,
    prior: str,
    quadrature: int | None,
    standard_errors: bool,
    threads: int,
    max_iterations: int,
    starts: list[np.ndarray] | None = None,
    progress: Callable | None = None,
    moments: Moments | None = None,
) -> tuple[pd.DataFrame, dict]:
    """Calibrate items; see `itemwise.irt.fit` for the arguments.

    `starts` replaces the automatic starting values; `moments` are those of the prior, where an
    earlier fit has estimated them.
    """
    began = time.perf_counter()
    check_memory(responses)
    starts = starts or starting_values(responses.matrix, model)
    with threadpool_limits(1, user_api="blas"):
        points = quadrature or _first_points(starts[0], responses.items)
        likelihood = MarginalLikelihood(responses.matrix, model, normal_grid(points), threads)
        known = moments or fixed_moments(prior)
        objective = Objective(
            likelihood,
            Prior(known, model, len(responses.items)),
            common_slope=model == "1PL",
            free=np.ones(starts[0].shape, bool),
        )
        if prior == "estimated" and known is None:
            objective, starts = estimate_prior(objective, starts, progress)
        if objective.prior.moments and likelihood.k > 2 and likelihood.n_subjects > FEW_SUBJECTS:
            starts = [*starts, _without_prior(objective, starts[-1])]
        best, iterations, ends = best_of(objective, starts, max_iterations, progress)
        log_likelihood = likelihood.log_likelihood(best.beta)
        fine = likelihood.on_grid(normal_grid(doubled(points))).log_likelihood(best.beta)
        while quadrature is None and abs(fine - log_likelihood) >= QUADRATURE_TOLERANCE:
            if doubled(points) > LARGEST_GRID:
                LOG.warning(
                    "quadrature: doubling %d points still moves the log-likelihood by %.2f; the "
                    "grid is not refined further",
                    points,
                    fine - log_likelihood,
                )
                break
            points = doubled(points)
            best = quasi_newton(objective, best.beta, GRADIENT_TOLERANCE, max_iterations, progress)
            iterations += best.n_iterations
            log_likelihood = likelihood.log_likelihood(best.beta)
            fine = likelihood.on_grid(normal_grid(doubled(points))).log_likelihood(best.beta)
        seconds = time.perf_counter() - began
        likelihood.on_grid(normal_grid(points))
        table = to_table(best.beta, responses.items)
        record = fit_record(
            responses, model, prior, points, log_likelihood, fine, best, iterations, objective
        )
        record["ends_of_starts"] = ends
        record["seconds"] = seconds
        if standard_errors:
            columns, how = error_columns(objective, best.beta)
            table = table.assign(**columns)
            record["standard_errors"] = how
            record["seconds_standard_errors"] = time.perf_counter() - began - seconds
    return table, record


def check_memory(responses: Responses) -> None:
    """Refuse, before it starts, a fit that would not fit into this machine's memory.

    Raises
    ------
    UserError
        Names the need, what is there, and what to do.
    """
    need = responses.matrix.size * BYTES_PER_CELL * MEMORY_COPIES
    available = psutil.virtual_memory().available
    if need > available:
        n_subjects, n_items = responses.matrix.shape
        raise UserError(
            f"{n_subjects} subjects x {n_items} items need about {need / 2**30:.1f} GiB, and "
            f"{available / 2**30:.1f} GiB are free; calibrate fewer items at a time "
            "(config key 'screening') or use a larger machine"
        )


def check_varying(
    responses: Responses, constant_items: str
) -> tuple[Responses, list[str], list[str]]:
    """Find items that all subjects answered alike: they have no maximum-likelihood estimate.

    Parameters
    ----------
    responses : Responses
    constant_items : {"keep", "drop", "refuse"}

    Returns
    -------
    responses : Responses
        Without the constant items; where they are kept, without those that nobody answered.
    constant : list of str
        The items dropped.
    silent : list of str
        Subjects dropped because they answered constant items only.

    Raises
    ------
    UserError
        Constant items where they are refused; no varying item; a subject without any
        response.
    """
    check_answered(responses, "responses")
    right = (responses.matrix == 1).any(axis=0)
    wrong = (responses.matrix == 0).any(axis=0)
    constant = responses.items[~(right & wrong)].tolist()
    if constant and constant_items == "refuse":
        raise UserError(
            f"responses: {len(constant)} items have only right, only wrong or no answers: "
            f"{listed(constant)}; screen them out, or pass --constant-items drop"
        )
    if len(constant) == len(responses.items):
        raise UserError("responses: no item has both right and wrong answers; nothing to calibrate")
    kept = right | wrong if constant_items == "keep" else right & wrong
    varying = responses.take(items=kept)
    answered = varying.administered.any(axis=1)
    dropped = responses.items[~kept].tolist()
    return varying.take(subjects=answered), dropped, varying.subjects[~answered].tolist()


def best_of(
    objective: Objective, starts: list[np.ndarray], max_iterations: int, progress=None
) -> tuple[Optimum, int, list[float]]:
    """Climb from each start; return the highest optimum, the iterations and the end of each.

    Models with asymptotes have many maxima. From each start they climb by EM, let their items
    leap and climb on until no item gains (`itemwise.irt.jumps`).
    """
    reached, iterations = [], 0
    for beta in starts:
        if beta.shape[1] > 2:
            beta, used = expectation_maximization(objective, beta, EM_TOLERANCE, max_iterations)
            iterations += used
            beta, _ = leap(objective, beta)
        end = quasi_newton(objective, beta, GRADIENT_TOLERANCE, max_iterations, progress)
        iterations += end.n_iterations
        while beta.shape[1] > 2 and all(end.value > other.value + SAME_END for other in reached):
            beta, moved = leap(objective, end.beta)
            if not moved:
                break
            higher = quasi_newton(objective, beta, GRADIENT_TOLERANCE, max_iterations, progress)
            iterations += higher.n_iterations
            if higher.value <= end.value + SAME_END:
                break
            end = higher
        reached.append(end)
    best = max(reached, key=lambda end: end.value)
    return best, iterations, [end.value for end in reached]


def _without_prior(objective: Objective, beta: np.ndarray) -> np.ndarray:
    """Return where a climb without prior ends, a start that hills under the prior do not hide.

    Asymptotes at their bounds are brought back to where the prior can move them.
    """
    n_items, k = beta.shape
    free = replace(objective, prior=Prior(None, f"{k}PL", n_items))
    end, *_ = best_of(free, [beta], FREE_ITERATIONS)
    start = end.beta.copy()
    start[:, 2:] = np.clip(start[:, 2:], -LARGEST_LOGIT, LARGEST_LOGIT)
    return start


def _first_points(beta: np.ndarray, items: np.ndarray) -> int:
    """Choose the number of grid points from the information at the starting values."""
    table = to_table(beta[:, :2], items)
    theta = np.linspace(-2, 2, 41)
    information = item_information(table, theta).sum(axis=0).max()
    return enough_points(1 / np.sqrt(1 + information))
