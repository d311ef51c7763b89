"""Priors on item parameters, the same for both engines.

mirt puts normal priors on a, d and on the logits of g and u, and so do we: the
penalised objectives are equal, term by term.
"""

from __future__ import annotations

import numpy as np

PRIORS = ("none", "weak")

WEAK = {"a": (1.0, 2.0), "d": (0.0, 4.0), "g": (-2.0, 1.5), "u": (4.0, 1.5)}
"""Mean and standard deviation of the normal prior on a, d, logit g and logit u.

Wide on the scale of LLM data (published slopes: half in 0.9 to 2.5, 2 % negative);
they matter only for items whose responses say nearly nothing. The prior on logit u is
centred at 0.98; the one on logit g at 0.12, between open answers (0) and four choices
(0.25).
"""


def default_prior(model: str) -> str:
    """Return `weak` for 3PL and 4PL, whose asymptotes the data often leave open, else `none`."""
    return "weak" if model in ("3PL", "4PL") else "none"


class Prior:
    """Independent normal priors on the columns of beta."""

    def __init__(self, name: str, k: int):
        columns = list(WEAK.values())[:k]
        self.mean = np.array([mean for mean, _ in columns])
        precision = np.array([sd**-2 for _, sd in columns])
        self.precision = precision if name == "weak" else np.zeros(k)

    def log_density(self, beta: np.ndarray) -> float:
        """Return the log density up to its constant; a shared slope counts once per item."""
        return float(-0.5 * (self.precision * (beta - self.mean) ** 2).sum())

    def gradient(self, beta: np.ndarray) -> np.ndarray:
        """Return the gradient of the log density, shape of beta."""
        return -self.precision * (beta - self.mean)


def mirt_syntax(name: str, model: str, n_items: int) -> str:
    """Return the PRIOR line of `mirt::mirt.model` that states the same prior."""
    if name == "none":
        return ""
    columns = {"a": "a1", "d": "d", "g": "g", "u": "u"}
    free = list(WEAK)[: max(2, int(model[0]))]
    terms = [f"(1-{n_items}, {columns[c]}, norm, {WEAK[c][0]}, {WEAK[c][1]})" for c in free]
    return "PRIOR = " + ", ".join(terms)
