"""Priors on item parameters.

`weak`: mirt puts normal priors on a, d and on the logits of g and u, and so do we: the
penalised objectives are equal, term by term. `estimated` (`itemwise.irt.estimated_prior`) takes
location and spread of a and d from the data.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itemwise.irt.model import PARAMETER_NAMES, free_columns

PRIORS = ("estimated", "weak", "none")

WEAK_FILE = Path(__file__).with_name("weak_prior.csv")


@dataclass(frozen=True)
class Moments:
    """Location and spread of a prior.

    Attributes
    ----------
    mean, sd : tuple of 4 floats
        Of a, d, logit g and logit u; of t, its location and scale.
    correlation : float
        Of a and d.
    freedom : float, optional
        Degrees of freedom of the t distribution of a and d; normal without.
    floating : bool
        Whether they follow the items when all are rescaled or moved together.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    correlation: float = 0.0
    freedom: float | None = None
    floating: bool = False

    def record(self) -> dict:
        """Return them as the fit record has them: mean and standard deviation by parameter."""
        pairs = zip(PARAMETER_NAMES, self.mean, self.sd, strict=True)
        values = {name: [mean, sd] for name, mean, sd in pairs}
        if self.freedom is None:
            return values
        return {**values, "correlation_ad": self.correlation, "degrees_of_freedom": self.freedom}

    @classmethod
    def from_record(cls, values: dict | None) -> Moments | None:
        """Return the moments that a fit record holds."""
        if values is None:
            return None
        mean, sd = zip(*(values[name] for name in PARAMETER_NAMES), strict=True)
        correlation = values.get("correlation_ad", 0.0)
        return cls(tuple(mean), tuple(sd), correlation, values.get("degrees_of_freedom"))


def _read_weak() -> Moments:
    with WEAK_FILE.open(encoding="utf-8", newline="") as lines:
        rows = {row["parameter"]: row for row in csv.DictReader(lines)}
    mean, sd = (tuple(float(rows[name][key]) for name in PARAMETER_NAMES) for key in ("mean", "sd"))
    return Moments(mean, sd)


WEAK = _read_weak()
"""The weak prior.

Wide on the scale of LLM data: unpenalised 3PL and 4PL fits of four leaderboard matrices
have slopes around 3 to 6 (5-95 %: 1 to 14), intercepts within 13, lower asymptotes from
0 to 0.46 and upper ones from 0.12 to 1. With thousands of models tighter priors predict
held-out responses measurably worse, mostly because a pull on all slopes together
changes the scale of theta; these matter only where the responses say nearly nothing. R
reads the same file.
"""


def default_prior(engine: str, model: str) -> str:
    """Return `estimated`; mirt, which cannot estimate a prior, has `weak` or `none` by model."""
    if engine == "native":
        return "estimated"
    return "weak" if model in ("3PL", "4PL") else "none"


def fixed_moments(name: str) -> Moments | None:
    """Return the moments of a prior that needs no data; None for the others."""
    return WEAK if name == "weak" else None


class Prior:
    """A prior on the rows of beta: independent normal, or Student's t of a and d together.

    With z = beta_i - mean and f degrees of freedom, a and d have the log density
    -(f + 2) / 2 log(1 + z' scatter^-1 z / f); its tails let items be unlike the others where
    their answers say so. Without f it is normal, as it is for the logits of g and u always.

    Parameters
    ----------
    moments : Moments or None
        Without, there is no prior.
    model : {"1PL", "2PL", "3PL", "4PL"}
    n_items : int
        The 1PL's one slope has one prior, of which each item carries its share.
    """

    def __init__(self, moments: Moments | None, model: str, n_items: int):
        k = free_columns(model)
        self.moments, self.freedom = moments, np.inf
        self.mean, self.precision = np.zeros(k), np.zeros((k, k))
        if moments is None:
            return
        self.freedom = moments.freedom or np.inf
        self.mean = np.array(moments.mean[:k])
        sd = np.array(moments.sd[:k])
        correlations = np.eye(k)
        correlations[0, 1] = correlations[1, 0] = moments.correlation
        self.precision = np.linalg.inv(correlations * np.outer(sd, sd))
        if model == "1PL":
            self.precision[0, 0] /= n_items

    def log_densities(self, beta: np.ndarray) -> np.ndarray:
        """Return each item's log density up to its constant, shape (n_items,)."""
        both, others = self._squares(beta)
        if np.isfinite(self.freedom):
            both = (self.freedom + 2) * np.log1p(both / self.freedom)
        return -0.5 * (both + others)

    def log_density(self, beta: np.ndarray) -> float:
        """Return the log density of all items up to its constant."""
        return float(self.log_densities(beta).sum())

    def gradient(self, beta: np.ndarray) -> np.ndarray:
        """Return the gradient of the log density, shape of beta."""
        return -np.einsum("iab,ib->ia", self.weights(beta), beta - self.mean)

    def weights(self, beta: np.ndarray) -> np.ndarray:
        """Return the precisions of the normal priors with this gradient, (n_items, k, k).

        A t distribution is a normal one whose precision varies by item; these are the
        expected precisions (Lange, Little & Taylor 1989, JASA 84:881).
        """
        weights = np.repeat(self.precision[None], len(beta), axis=0)
        weights[:, :2, :2] *= self.shares(beta)[:, None, None]
        return weights

    def curvature(self, beta: np.ndarray) -> np.ndarray:
        """Return minus the second derivatives of the log density, (n_items, k, k)."""
        bent = self.weights(beta)
        if np.isfinite(self.freedom):
            slope = np.einsum("iab,ib->ia", bent, beta - self.mean)[:, :2]
            bent[:, :2, :2] -= 2 / (self.freedom + 2) * slope[:, :, None] * slope[:, None, :]
        return bent

    def shares(self, beta: np.ndarray, variances: np.ndarray | None = None) -> np.ndarray:
        """Return (f + 2) / (f + z' scatter^-1 z), shape (n_items,): less than 1 in the tails.

        `variances`, (n_items, 2, 2), are those of a and d, where they are not known exactly.
        """
        if np.isinf(self.freedom):
            return np.ones(len(beta))
        both, _ = self._squares(beta)
        if variances is not None:
            both = both + np.einsum("ab,iab->i", self.precision[:2, :2], variances)
        return (self.freedom + 2) / (self.freedom + both)

    def _squares(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z' scatter^-1 z of a and d, and the sum of the squares of the others."""
        z = beta - self.mean
        both = np.einsum("ia,ab,ib->i", z[:, :2], self.precision[:2, :2], z[:, :2])
        return both, (np.diag(self.precision)[2:] * z[:, 2:] ** 2).sum(axis=1)
