"""Smooth trajectories with pointwise bands that know how precise each point is.

A Bayesian penalised spline (Lang & Brezger 2004, JCGS 13:183; bands as Wahba 1983, JRSS B
45:133, and Marra & Wood 2012, Scand. J. Stat. 39:53): y_i = f(x_i) + e_i with
e_i ~ N(0, phi se_i^2), f a cubic spline under a random-walk prior of second order.
The smoothing parameter is integrated out on a grid, phi in closed form.

phi says how the scatter around the curve compares with the stated standard errors. All
checkpoints answer the same items, so a part of a sampling error moves the whole curve
and none of its points against another: phi is then below 1, and the missing part,
(1 - phi) se^2, is added to the band as an error that all points share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from itemwise.readout.splines import basis

FEWEST_POINTS = 4
"""Different positions that a curve needs; fewer are shown as points alone."""
BASES = 40
"""Splines of a curve: more than it needs, the prior decides how smooth it is."""
PENALTIES = 10.0 ** np.arange(-8, 6.01, 0.25)
"""Smoothing parameters over which the curve is averaged, relative to the data's weight."""
TRUST = 4.0
"""Points that the stated standard errors count for: phi ~ TRUST / chi2(TRUST), around 1."""
LEVEL = 0.95
"""Nominal coverage of all bands and intervals."""


@dataclass(frozen=True)
class Curve:
    """A smoothed trajectory: its posterior at any position.

    Attributes
    ----------
    low, high : float
        Range of the positions; beyond it the curve is held.
    phi : float
        Scatter around the curve as a multiple of the stated error variances; of the
        variance 1 where none are stated.
    degrees : float
        Degrees of freedom of phi.
    bounds : tuple of float
        Values that are possible; bands are cut to them.
    """

    low: float
    high: float
    phi: float
    degrees: float
    _vectors: np.ndarray
    _means: np.ndarray
    _scales: np.ndarray
    _weights: np.ndarray
    _phis: np.ndarray
    _errors: tuple[np.ndarray, np.ndarray] | None
    bounds: tuple[float, float] = (-np.inf, np.inf)

    def mean(self, at: np.ndarray) -> np.ndarray:
        """Return the curve at positions `at`."""
        return basis(np.asarray(at, float), self.low, self.high, BASES) @ self._coefficients()

    def covariance(self, at: np.ndarray, shared: bool = True) -> np.ndarray:
        """Return the covariance of the curve's values, shape (len(at), len(at)).

        Parameters
        ----------
        at : array
        shared : bool
            Add the error that all checkpoints share; it cancels in differences of them.
        """
        rows = basis(np.asarray(at, float), self.low, self.high, BASES) @ self._vectors
        centre = self._weights @ self._means
        apart = self._means - centre
        within = (self._weights * self._phis) @ self._scales
        between = (apart * self._weights[:, None]).T @ apart
        result = (rows * within) @ rows.T + rows @ between @ rows.T
        if shared:
            common = self.shared_error(at)
            result += np.outer(common, common)
        return result

    def shared_error(self, at: np.ndarray) -> np.ndarray:
        """Return the standard error that all checkpoints share: sqrt(1 - phi) se."""
        if self._errors is None or self.phi >= 1:
            return np.zeros(len(at))
        return np.sqrt(1 - self.phi) * np.interp(at, *self._errors)

    def band(self, at: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends of pointwise intervals at positions `at`."""
        mean = self.mean(at)
        half = self.quantile(level) * np.sqrt(np.diag(self.covariance(at)))
        return np.clip(mean - half, *self.bounds), np.clip(mean + half, *self.bounds)

    def contrast(self, at: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
        """Return a linear combination of the curve's values and its standard error."""
        weights = np.asarray(weights, float)
        value = float(weights @ self.mean(at))
        # Common errors move all points alike, so they enter by the sum of the weights.
        variance = weights @ self.covariance(at, shared=False) @ weights
        common = float(weights @ self.shared_error(at)) if abs(weights.sum()) > 1e-9 else 0.0
        return value, float(np.sqrt(variance + common**2))

    def quantile(self, level: float = LEVEL) -> float:
        """Return the quantile of Student's t that makes an interval of this level."""
        return float(stdtrit(self.degrees, 0.5 + level / 2))

    def draws(self, at: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` curves from the posterior, shape (n, len(at)), without shared errors."""
        rows = basis(np.asarray(at, float), self.low, self.high, BASES) @ self._vectors
        penalty = rng.choice(len(self._weights), n, p=self._weights)
        spread = self._phis[penalty] * self.degrees / rng.chisquare(self.degrees, n)
        noise = rng.standard_normal((n, len(self._scales[0])))
        noise *= np.sqrt(self._scales[penalty] * spread[:, None])
        return (self._means[penalty] + noise) @ rows.T

    def _coefficients(self) -> np.ndarray:
        return self._vectors @ (self._weights @ self._means)


def smooth(x: np.ndarray, y: np.ndarray, se: np.ndarray | None = None) -> Curve:
    """Fit a curve to points of known precision.

    With B the basis, W the inverse error variances and P the penalty, coefficients have
    the posterior N(m, phi (B'WB + lambda P)^-1). B'WB and P are made diagonal at once, so
    that each lambda costs a few sums. The marginal likelihood of lambda, with phi
    integrated out under its prior, is

        |lambda P|_+^(1/2) |B'WB + lambda P|^(-1/2) (TRUST + Q)^(-(TRUST + n - 2) / 2),

    Q the penalised sum of squares.

    Parameters
    ----------
    x, y : array, shape (n,)
        Positions and values; at least `FEWEST_POINTS` different positions.
    se : array, shape (n,), optional
        Standard errors, positive. Without them all points count alike, and phi is the
        error variance.

    Raises
    ------
    ValueError
        Too few positions, or a standard error that is not positive.
    """
    from scipy.linalg import eigh

    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(np.unique(x)) < FEWEST_POINTS:
        raise ValueError(f"fewer than {FEWEST_POINTS} different positions")
    known = se is not None
    se = np.asarray(se, float) if known else np.ones(len(x))
    if not (se > 0).all():
        raise ValueError("standard errors must be positive")
    low, high = float(x.min()), float(x.max())
    rows = basis(x, low, high, BASES)
    centre = float(np.average(y, weights=se**-2))
    target = y - centre
    weighted = rows / se[:, None] ** 2
    gram, cross = rows.T @ weighted, weighted.T @ target
    difference = np.diff(np.eye(BASES), 2, axis=0)
    penalty = difference.T @ difference
    penalty *= np.trace(gram) / np.trace(penalty)
    # gram + penalty is positive definite: two points determine what the penalty leaves free.
    shares, vectors = eigh(penalty, gram + penalty)
    shares = np.clip(shares, 0, 1)
    shares[:2] = 0  # straight lines are not penalised
    along = vectors.T @ cross
    scales = 1 / (1 - shares + PENALTIES[:, None] * shares)
    residual = np.maximum(target @ (target / se**2) - scales @ along**2, 0)
    trust = TRUST if known else 0.0
    degrees = trust + len(x) - 2
    # Without errors a perfect line must not count infinitely.
    pooled = trust + residual + 1e-12 * (target @ (target / se**2)) + np.finfo(float).tiny
    log_likelihood = (
        0.5 * (np.log(PENALTIES[:, None] * scales[:, 2:]).sum(axis=1))
        + 0.5 * np.log(scales[:, :2]).sum(axis=1)
        - 0.5 * degrees * np.log(pooled)
    )
    weights = np.exp(log_likelihood - log_likelihood.max())
    weights /= weights.sum()
    phis = pooled / degrees
    ones = vectors.T @ (gram + penalty) @ np.ones(BASES)  # splines sum to one
    order = np.argsort(x)
    return Curve(
        low,
        high,
        float(weights @ phis),
        float(degrees),
        vectors,
        along * scales + centre * ones,
        scales,
        weights,
        phis,
        (x[order], se[order]) if known else None,
    )
