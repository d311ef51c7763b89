"""What a read-out is fed: features of a subject's responses to a form.

As `add_form_features` of `R/itemwise/R/linear.R` makes them of training subjects.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.model import fill_expected
from itemwise.responses.matrix import Responses

INTERCEPT = "(intercept)"
OVERALL = "overall"
"""Name of the mean of all benchmarks."""


def form_features(
    abilities: pd.DataFrame,
    responses: Responses,
    parameters: pd.DataFrame,
    coefficients: pd.Series,
) -> pd.DataFrame:
    """Add to abilities from a form what else its responses tell.

    Parameters
    ----------
    abilities : data frame
        `subject`, `theta`, `se` and perhaps `se_calibration`, along the responses.
    responses : Responses
        To the items of the form, in the order of `parameters`.
    parameters : data frame
        Table `parameters` of the form's items.
    coefficients : series
        Of the linear predictor, by item, with `(intercept)`; points.

    Returns
    -------
    data frame
        `abilities` with `linear` (points), `sub_score` (percent right; cells not
        administered count as their expectation), `n_items` and `complete`.
    """
    filled = fill_expected(responses.matrix, parameters, abilities["theta"].to_numpy())
    weights = coefficients[parameters["item"]].to_numpy()
    return abilities.assign(
        linear=coefficients[INTERCEPT] + filled @ weights,
        sub_score=100 * filled.mean(axis=1),
        n_items=responses.administered.sum(axis=1),
        complete=responses.administered.all(axis=1),
    )


def calibration_errors(features: pd.DataFrame, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the errors of theta that item parameters cause, as `Readout.widen` takes them.

    None where the item parameters came without covariances.
    """
    column = f"{prefix}se_calibration"
    if column not in features:
        return {}
    return {f"{prefix}theta": features[column].fillna(0).to_numpy()}


def joined_features(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Lay the features of all benchmarks side by side, as a joint read-out takes them.

    Parameters
    ----------
    parts : dict
        Benchmark to features with `subject`.

    Returns
    -------
    data frame
        The subjects that every benchmark has: `subject`, `<benchmark>.<feature>`, and the
        means `overall.linear` and `overall.sub_score`.
    """
    kept = ("linear", "theta", "se", "sub_score", "se_calibration")
    wide = None
    for name, part in parts.items():
        part = part.set_index("subject")
        part = part[[column for column in kept if column in part]].add_prefix(f"{name}.")
        wide = part if wide is None else wide.join(part, how="inner")
    for feature in ("linear", "sub_score"):
        wide[f"{OVERALL}.{feature}"] = wide[[f"{name}.{feature}" for name in parts]].mean(axis=1)
    return wide.reset_index()
