"""The reference engine: R's mirt, through the functions of `R/itemwise/R/irt.R`."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from itemwise.irt.quadrature import MIRT_POINTS
from itemwise.r.worker import RWorker
from itemwise.responses.matrix import Responses

LOG = logging.getLogger(__name__)
LIBRARY = "itemwise/load.R"


def fit_mirt(
    responses: Responses,
    model: str,
    prior: str,
    quadrature: int | None,
    standard_errors: bool,
    max_iterations: int,
    seed: int,
    worker: RWorker | None = None,
    timeout: float = 3600,
) -> tuple[pd.DataFrame, dict]:
    """Calibrate items with mirt; see `itemwise.irt.fit` for the arguments.

    Parameters
    ----------
    worker : RWorker, optional
        One that is already running, for loops; default: one for this call.
    timeout : float
        Seconds that the fit may take.

    Raises
    ------
    UserError
        R, rpy2 or the R folder is missing.
    RError
        What R said, that it crashed, or that it took too long.
    """
    if worker is None:
        with RWorker(LIBRARY, timeout=timeout) as own:
            return fit_mirt(
                responses,
                model,
                prior,
                quadrature,
                standard_errors,
                max_iterations,
                seed,
                own,
            )
    fitted = worker.call(
        "fit_mirt",
        responses=responses,
        model=model,
        prior=prior,
        quadrature=quadrature or MIRT_POINTS,
        standard_errors=standard_errors,
        max_cycles=max_iterations,
        seed=seed,
    )
    parameters = fitted["parameters"]
    numbers = [name for name in parameters if name != "item"]
    parameters[numbers] = parameters[numbers].astype(float).replace({None: np.nan})
    return parameters, fitted["record"]


def score_mirt(
    responses: Responses,
    parameters: pd.DataFrame,
    method: str,
    quadrature: int | None,
    timeout: float = 3600,
) -> pd.DataFrame:
    """Estimate abilities with mirt; see `itemwise.irt.score` for the arguments.

    Raises
    ------
    UserError, RError
        As `fit_mirt`.
    """
    incomplete = int((~responses.administered.all(axis=1)).sum())
    if method == "EAPsum" and incomplete:
        LOG.warning(
            "EAPsum: mirt gives none for the %d of %d subjects with missing cells; use EAP",
            incomplete,
            len(responses.subjects),
        )
    with RWorker(LIBRARY, timeout=timeout) as worker:
        table = worker.call(
            "score_mirt",
            responses=responses,
            parameters=parameters[["item", "a", "d", "g", "u"]],
            method=method,
            quadrature=quadrature or MIRT_POINTS,
        )
    return table.astype({"theta": float, "se": float})
