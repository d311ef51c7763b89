"""Is a response pattern believable under the model?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.model import parameters_beta, probabilities
from itemwise.responses.matrix import Responses

UNBELIEVABLE = 0.01
"""Share of the calibration's own models whose patterns are called hardly believable.

The statistic is standard normal for models that fit. Language models do not quite: on
the Open LLM Leaderboard its standard deviation is 1.4 to 2.0, so a normal quantile would
cry wolf at one model in twelve.
"""


def standardized_log_likelihood(
    responses: Responses, parameters: pd.DataFrame, theta: np.ndarray
) -> np.ndarray:
    """Return l_z, the standardised log-likelihood of each response pattern.

    l_z = (l - E[l]) / SD[l] with l = sum x log P + (1 - x) log(1 - P) over the items that
    were administered (Drasgow, Levine & Williams 1985, British Journal of Mathematical
    and Statistical Psychology 38:67). Low values: easy items wrong and hard ones right,
    as by contamination, a broken prompt or a wrong metric.

    Parameters
    ----------
    responses : Responses
    parameters : data frame
        Item parameters in the columns' order.
    theta : array, shape (n_subjects,)

    Returns
    -------
    array, shape (n_subjects,)
    """
    right, wrong = (p.T for p in probabilities(parameters_beta(parameters), theta))
    log_right, log_wrong = np.log(right), np.log(wrong)
    observed = np.where(responses.matrix == 1, log_right, log_wrong)
    surprise = observed - right * log_right - wrong * log_wrong
    variance = right * wrong * (log_right - log_wrong) ** 2
    given = responses.administered
    spread = np.sqrt((variance * given).sum(axis=1))
    return (surprise * given).sum(axis=1) / np.maximum(spread, np.finfo(float).tiny)
