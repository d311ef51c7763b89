"""Calibrate items with either engine."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from itemwise.errors import UserError
from itemwise.irt.model import MODELS
from itemwise.irt.native import check_varying, fit_native
from itemwise.irt.prior import PRIORS, default_prior
from itemwise.irt.quadrature import FEWEST_POINTS
from itemwise.responses.matrix import Responses, from_frame

ENGINES = ("native", "mirt")
CONSTANT_ITEMS = ("keep", "drop", "refuse")
"""Items that all subjects answered alike have no estimate without a prior."""


def fit(
    responses: Responses | pd.DataFrame,
    model: str = "2PL",
    prior: str | None = None,
    engine: str = "native",
    quadrature: int | None = None,
    standard_errors: bool = False,
    constant_items: str | None = None,
    threads: int = 1,
    max_iterations: int = 1000,
    seed: int = 1,
    progress: Callable | None = None,
    timeout: float = 3600,
) -> tuple[pd.DataFrame, dict]:
    """Calibrate the items of one benchmark.

    Parameters
    ----------
    responses : Responses or data frame
        Subjects by items; a data frame has the column `subject` (or the subjects as
        its index) and one 0/1/null column an item.
    model : {"1PL", "2PL", "3PL", "4PL"}
        The 1PL has one slope for all items.
    prior : {"estimated", "weak", "none"}, optional
        Of the item parameters: with location and spread from the data
        (`itemwise.irt.estimated_prior`), wide with fixed ones (`itemwise.irt.prior`), or
        without. Default: estimated. mirt cannot estimate it and has by default none for 1PL
        and 2PL, weak for 3PL and 4PL.
    engine : {"native", "mirt"}
    quadrature : int, optional
        Number of equally spaced points on [-6, 6]; 61 is mirt's grid. Default: as many
        as it takes that doubling them moves the log-likelihood by less than 0.1.
    standard_errors : bool
        Whether to add `se_a, se_d, se_g, se_u` from the observed information.
    constant_items : {"keep", "drop", "refuse"}, optional
        What to do with items that all subjects answered alike: a prior gives them an estimate.
        Default: keep them with the estimated prior, else drop them.
    threads : int
        Worker threads of the native engine; the result does not depend on it.
    max_iterations : int
        Bound on the iterations from each start.
    seed : int
        Recorded; the native engine draws nothing at random.
    progress : callable, optional
        Called by the native engine with the iteration and the evaluation.
    timeout : float
        Seconds that mirt may take.

    Returns
    -------
    parameters : data frame
        Table `parameters` of the data contract.
    record : dict
        The fit record: engine, convergence, likelihoods, odd items.

    Raises
    ------
    UserError
        Wrong option, nothing to calibrate, too little memory, engine not installed.
    RError
        mirt failed, crashed, or outran the time limit.
    """
    _check_choice("model", model, MODELS)
    _check_choice("engine", engine, ENGINES)
    prior = prior or default_prior(engine, model)
    _check_choice("prior", prior, PRIORS if engine == "native" else PRIORS[1:])
    constant_items = constant_items or ("keep" if prior == "estimated" else "drop")
    choices = CONSTANT_ITEMS if engine == "native" and prior != "none" else CONSTANT_ITEMS[1:]
    _check_choice("constant_items", constant_items, choices)
    if quadrature is not None and quadrature < FEWEST_POINTS:
        raise UserError(
            f"quadrature: {quadrature} points are too few; take at least {FEWEST_POINTS}"
        )
    if not isinstance(responses, Responses):
        responses = from_frame(responses)
    responses, constant, silent = check_varying(responses, constant_items)
    if engine == "native":
        table, record = fit_native(
            responses,
            model,
            prior,
            quadrature,
            standard_errors,
            threads,
            max_iterations,
            progress=progress,
        )
    else:
        from itemwise.irt.mirt import fit_mirt

        table, record = fit_mirt(
            responses,
            model,
            prior,
            quadrature,
            standard_errors,
            max_iterations,
            seed,
            timeout=timeout,
        )
    dropped = {"constant_items_dropped": constant, "silent_subjects_dropped": silent}
    return table, {**record, "seed": seed, **dropped}


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that an option has one of its values."""
    if value not in choices:
        raise UserError(f"{option}: {value!r} is not one of {', '.join(choices)}")
