"""Penalised regression splines, many at once, from their sufficient statistics.

Cubic P-splines with a second-difference penalty (Eilers & Marx 1996, Statistical Science
11:89), smoothness by generalised cross-validation.
"""

from __future__ import annotations

import numpy as np

DEGREE = 3
LAMBDAS = 10.0 ** np.arange(-4, 7.01, 0.5)
"""Smoothing parameters that cross-validation chooses from."""
RIDGE = 1e-8
"""Relative ridge, so that bases without data do not make the system singular."""


def basis(x: np.ndarray, low: float, high: float, n_bases: int) -> np.ndarray:
    """Return cubic B-splines on equally spaced knots, shape (len(x), n_bases).

    Values outside [low, high] are held at its ends.
    """
    from scipy.interpolate import BSpline

    step = (high - low) / (n_bases - DEGREE)
    knots = low + step * np.arange(-DEGREE, n_bases + 1)
    # The right end belongs to the last interval.
    inside = np.clip(x, low, high - 1e-12 * (high - low))
    return BSpline.design_matrix(inside, knots, DEGREE).toarray()


def fit_splines(
    gram: np.ndarray, cross: np.ndarray, total: np.ndarray, n: np.ndarray
) -> np.ndarray:
    """Fit penalised splines, each with the smoothness that minimises its GCV.

    With B the basis and P the penalty, b = (B'B + lambda P)^-1 B'y. The generalised
    eigenproblem of P and B'B gives residuals and degrees of freedom for every lambda.

    Parameters
    ----------
    gram : array, shape (..., m, m)
        B'B.
    cross : array, shape (..., m)
        B'y.
    total : array, shape (...)
        y'y.
    n : array, shape (...)
        Number of observations.

    Returns
    -------
    array, shape (..., m)
        Coefficients.
    """
    m = gram.shape[-1]
    difference = np.diff(np.eye(m), 2, axis=0)
    penalty = difference.T @ difference
    trace = np.trace(gram, axis1=-2, axis2=-1)[..., None, None]
    root = np.linalg.cholesky(gram + RIDGE * trace / m * np.eye(m))
    inverse = np.linalg.inv(root)
    transposed = np.swapaxes(inverse, -1, -2)
    values, vectors = np.linalg.eigh(inverse @ penalty @ transposed)
    values = np.maximum(values, 0)
    to_coefficients = transposed @ vectors
    along = np.einsum("...ji,...j->...i", to_coefficients, cross)
    shrink = 1 / (1 + LAMBDAS[:, None] * values[..., None, :])
    explained = (along[..., None, :] ** 2 * (2 * shrink - shrink**2)).sum(axis=-1)
    freedom = shrink.sum(axis=-1)
    n = np.asarray(n)[..., None]
    residual = np.maximum(np.asarray(total)[..., None] - explained, 0)
    gcv = np.where(freedom < n, residual / np.maximum(n - freedom, 1e-9) ** 2, np.inf)
    best = gcv.argmin(axis=-1)
    chosen = np.take_along_axis(shrink, best[..., None, None], axis=-2)[..., 0, :]
    return np.einsum("...ij,...j->...i", to_coefficients, along * chosen)


def smooth(x: np.ndarray, y: np.ndarray, at: np.ndarray, n_bases: int = 20) -> np.ndarray:
    """Fit one penalised spline to (x, y) and evaluate it, held at the ends of the range of x.

    Parameters
    ----------
    x, y : array, shape (n,)
    at : array
    n_bases : int
        Number of B-splines, at least 4.
    """
    low, high = float(x.min()), float(x.max())
    rows = basis(x, low, high, n_bases)
    centre = y.mean()
    target = y - centre
    coefficients = fit_splines(rows.T @ rows, rows.T @ target, target @ target, len(y))
    return centre + basis(at, low, high, n_bases) @ coefficients
