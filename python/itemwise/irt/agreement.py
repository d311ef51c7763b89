"""How far two engines agree on one calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import parameters_beta
from itemwise.irt.quadrature import MIRT_POINTS, normal_grid
from itemwise.irt.scoring import score
from itemwise.responses.matrix import Responses

FINE_POINTS = 481
STEEP = 5.0
"""Parameters of steeper items are ill-determined: compared apart."""


def log_likelihood_of(responses: Responses, parameters: pd.DataFrame, points: int) -> float:
    """Return the marginal log-likelihood of a parameters table: one function for all engines."""
    responses = responses.select_items(parameters["item"].tolist(), "responses")
    beta = parameters_beta(parameters)
    likelihood = MarginalLikelihood(responses.matrix, f"{beta.shape[1]}PL", normal_grid(points))
    return likelihood.log_likelihood(beta)


def compare_engines(
    responses: Responses,
    native: pd.DataFrame,
    reference: pd.DataFrame,
) -> dict:
    """Compare two calibrations of the same training responses.

    Returns
    -------
    dict
        Log-likelihoods of both on mirt's grid and on a fine one; the largest and the
        median difference of a and d among items with |a| < 5; correlation and largest
        difference of EAP abilities; ratio of standard errors where both have them.
    """
    both = native.merge(reference, "inner", "item", suffixes=("", "_reference"))
    shared = both["item"].tolist()
    tame = both[(both["a"].abs() < STEEP) & (both["a_reference"].abs() < STEEP)]
    result = {"n_items": len(shared), "n_items_compared": len(tame)}
    tables = {"native": native, "reference": reference}
    for name, table in tables.items():
        part = table.set_index("item", drop=False).loc[shared].reset_index(drop=True)
        tables[name] = part
        result[name] = {
            "log_likelihood_61": log_likelihood_of(responses, part, MIRT_POINTS),
            "log_likelihood_fine": log_likelihood_of(responses, part, FINE_POINTS),
        }
    for name in ("a", "d"):
        gap = (tame[name] - tame[f"{name}_reference"]).abs()
        result[f"difference_{name}"] = {"median": gap.median(), "largest": gap.max()}
        if {f"se_{name}", f"se_{name}_reference"} <= set(tame):
            ratio = tame[f"se_{name}"] / tame[f"se_{name}_reference"] - 1
            result[f"se_difference_{name}"] = float(ratio.abs().quantile(0.95))
    thetas = [score(responses, table)["theta"].to_numpy() for table in tables.values()]
    result["theta_correlation"] = float(np.corrcoef(*thetas)[0, 1])
    result["theta_largest_difference"] = float(np.abs(thetas[0] - thetas[1]).max())
    return result
