"""Simulated models that answered a form of a benchmark, as a Gaussian process takes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.irt.scoring import score
from itemwise.readout.implied import Pool, form_answers
from itemwise.readout.process import implied_mean
from itemwise.responses.matrix import Responses

FORM, POOL = 30, 200
WHOLE = implied_mean(np.empty(0), POOL)  # the pool is the whole benchmark


def world(n, seed=0, second=0.0, missing=0.0):
    """Simulate models: answers to a form, full scores in points; `second` an ability beside."""
    rng = np.random.default_rng(seed)
    parameters = pd.DataFrame(
        {"item": [f"i.{j}" for j in range(POOL)], "a": rng.lognormal(0.2, 0.3, POOL),
         "d": rng.normal(0, 1.2, POOL), "g": 0.0, "u": 1.0}
    )  # fmt: skip
    theta, other = rng.normal(size=(2, n))
    logit = parameters["a"].to_numpy() * theta[:, None] + parameters["d"].to_numpy()
    logit = logit + second * (np.arange(POOL) % 2) * other[:, None]
    right = (rng.random((n, POOL)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    asked = right[:, :FORM].copy()
    asked[rng.random(asked.shape) < missing] = -1
    return parameters, asked, 100 * right.mean(axis=1)


def answers_of(parameters, matrix):
    """Return the answers with abilities from the form; items are known exactly."""
    form = parameters.iloc[:FORM]
    subjects = np.array([f"m{i}" for i in range(len(matrix))], object)
    known = score(Responses(subjects, form["item"].to_numpy(object), matrix), form)
    theta, se = known["theta"].to_numpy(), known["se"].to_numpy()
    return form_answers(matrix, form, Pool.of(parameters), theta, se), theta
