"""Priors on item parameters, the same for both engines.

mirt puts normal priors on a, d and on the logits of g and u, and so do we: the
penalised objectives are equal, term by term.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from itemwise.irt.model import free_columns

PRIORS = ("none", "weak")

WEAK_FILE = Path(__file__).with_name("weak_prior.csv")


def _read_weak() -> dict[str, tuple[float, float]]:
    with WEAK_FILE.open(encoding="utf-8", newline="") as lines:
        return {
            row["parameter"]: (float(row["mean"]), float(row["sd"]))
            for row in csv.DictReader(lines)
        }


WEAK = _read_weak()
"""Mean and standard deviation of the normal prior on a, d, logit g and logit u.

Wide on the scale of LLM data: unpenalised 3PL and 4PL fits of four leaderboard matrices
have slopes around 3 to 6 (5-95 %: 1 to 14), intercepts within 13, lower asymptotes from
0 to 0.46 and upper ones from 0.12 to 1. With thousands of models tighter priors predict
held-out responses measurably worse, mostly because a pull on all slopes together
changes the scale of theta; these matter only where the responses say nearly nothing. R
reads the same file.
"""


def default_prior(model: str) -> str:
    """Return `weak` for 3PL and 4PL, whose asymptotes the data often leave open, else `none`."""
    return "weak" if model in ("3PL", "4PL") else "none"


class Prior:
    """Independent normal priors on the columns of beta.

    Parameters
    ----------
    name : {"none", "weak"}
    model : {"1PL", "2PL", "3PL", "4PL"}
    n_items : int
        The 1PL's one slope has one prior, of which each item carries its share.
    """

    def __init__(self, name: str, model: str, n_items: int):
        columns = list(WEAK.values())[: free_columns(model)]
        self.mean = np.array([mean for mean, _ in columns])
        precision = np.array([sd**-2 for _, sd in columns])
        if model == "1PL":
            precision[0] /= n_items
        self.precision = precision if name == "weak" else np.zeros(len(columns))

    def log_density(self, beta: np.ndarray) -> float:
        """Return the log density up to its constant."""
        return float(-0.5 * (self.precision * (beta - self.mean) ** 2).sum())

    def gradient(self, beta: np.ndarray) -> np.ndarray:
        """Return the gradient of the log density, shape of beta."""
        return -self.precision * (beta - self.mean)
