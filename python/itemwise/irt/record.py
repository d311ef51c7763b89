"""The fit record: what a fit is, how well it converged, and what looks odd."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from itemwise.irt.model import asymptotes
from itemwise.irt.quadrature import LIMIT

STEEP = 8.0
"""Slopes beyond this are reported: the item is nearly a step, its slope ill-determined."""

AT_BOUND = 1e-3
"""An asymptote this close to 0 (g) or 1 (u) is reported as being at its bound."""


def fit_record(
    responses, model, prior, points, log_likelihood, fine, optimum, iterations, objective
) -> dict:
    """Return the JSON record of a native fit (see the data contract)."""
    moments = objective.prior.moments
    n_parameters = objective.free.sum()
    if model == "1PL":
        n_parameters = len(optimum.beta) + 1
    gradient = objective.reduced_gradient(optimum.gradient)
    return {
        "engine": "native",
        "version": version("itemwise"),
        "model": model,
        "prior": prior,
        "prior_values": moments.record() if moments else None,
        "quadrature": {"points": points, "from": -LIMIT, "to": LIMIT},
        "log_likelihood": log_likelihood,
        "log_likelihood_fine": fine,
        "log_posterior": optimum.value,
        "converged": optimum.converged,
        "max_gradient": float(np.abs(gradient).max()),
        "n_iterations": iterations,
        "n_subjects": len(responses.subjects),
        "n_items": len(responses.items),
        "n_responses": int(responses.administered.sum()),
        "n_parameters": int(n_parameters),
        **information_criteria(log_likelihood, n_parameters, len(responses.subjects)),
        **flagged_items(optimum.beta, responses.items),
    }


def information_criteria(log_likelihood: float, n_parameters: int, n_subjects: int) -> dict:
    """Return AIC and BIC."""
    return {
        "aic": float(2 * n_parameters - 2 * log_likelihood),
        "bic": float(np.log(n_subjects) * n_parameters - 2 * log_likelihood),
    }


def flagged_items(beta: np.ndarray, items: np.ndarray) -> dict:
    """Name items with negative or very steep slopes and with asymptotes at their bounds."""
    lower, _, slip = asymptotes(beta)
    k = beta.shape[1]
    at_bound = np.zeros(len(items), bool)
    if k > 2:
        at_bound |= lower < AT_BOUND
    if k > 3:
        at_bound |= slip < AT_BOUND
    return {
        "negative_slopes": items[beta[:, 0] < 0].tolist(),
        "steep_slopes": items[np.abs(beta[:, 0]) > STEEP].tolist(),
        "items_at_bounds": items[at_bound].tolist(),
    }
