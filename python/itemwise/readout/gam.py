"""Ridge regressions and additive models without R: a stand-in for mgcv inside searches.

Full score ~ f1(linear) + f2(theta) + f3(sub_score), with `linear` the ridge regression of
the full score on the responses and penalised splines f. The final read-out is mgcv's
(`R/fit_readout.R`); here thousands of fits must take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemwise.readout.splines import basis

LAMBDAS = 2.0 ** np.arange(-3, 20.1, 0.5)
"""Ridge penalties, from an eighth of a response's weight to all of them."""
BASES = (20, 20, 10)
"""B-splines of linear, theta and sub_score, as the default formula of the read-out."""
RIDGE = 1e-6
"""Relative ridge that keeps bases without data determined."""
LOG_BOUNDS = (-9.0, 21.0)
"""Natural logarithms of the smoothing parameters, relative to the data's weight."""


def fit_ridge(
    x: np.ndarray, y: np.ndarray, lambdas: np.ndarray = LAMBDAS
) -> tuple[float, np.ndarray]:
    """Fit a ridge regression whose penalty generalised cross-validation chooses.

    Minimises ||y - b0 - Xb||^2 + lambda ||b||^2, with lambda from `lambdas` by
    GCV = n RSS / (n - df)^2 (Golub, Heath & Wahba 1979, Technometrics 21:215).

    Parameters
    ----------
    x : array, shape (n, p)
    y : array, shape (n,)
    lambdas : array
        Penalties to choose from.

    Returns
    -------
    intercept, slopes : float, array of shape (p,)
    """
    n = len(y)
    middle = x.mean(axis=0)
    centred, target = x - middle, y - y.mean()
    weight, vectors = np.linalg.eigh(centred.T @ centred)
    weight = np.maximum(weight, 0)
    along = vectors.T @ (centred.T @ target)
    slopes = along / (weight + lambdas[:, None])
    rss = target @ target - 2 * slopes @ along + slopes**2 @ weight
    freedom = 1 + (weight / (weight + lambdas[:, None])).sum(axis=1)
    gcv = np.where(freedom < n, rss / np.maximum(n - freedom, 1e-9) ** 2, np.inf)
    chosen = vectors @ slopes[gcv.argmin()]
    return float(y.mean() - middle @ chosen), chosen


def cross_fit_ridge(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Predict every row by the ridge weights of the other folds, around the centre of all.

    The mean score of the others is lower the higher that of the own fold is: where the ridge
    shrinks all weights away, a smooth of it would learn the fold. The common mean shifts all
    rows alike, so that a smooth learns nothing from it.
    """
    predicted = np.empty(len(y))
    centred = x - x.mean(axis=0)
    for fold in np.unique(folds):
        out = folds == fold
        predicted[out] = centred[out] @ fit_ridge(x[~out], y[~out])[1]
    return y.mean() + predicted


@dataclass(frozen=True)
class AdditiveSplines:
    """A fitted sum of penalised cubic splines, one a predictor.

    Attributes
    ----------
    intercept : float
    ranges : array, shape (p, 2)
        Training range of each predictor; values outside are held at its ends.
    means : tuple of arrays
        Column means of each basis, which centre it.
    coefficients : tuple of arrays
    """

    intercept: float
    ranges: np.ndarray
    means: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions for predictors of shape (n, p)."""
        total = np.full(len(x), self.intercept)
        parts = zip(x.T, self.ranges, self.means, self.coefficients, strict=True)
        for column, (low, high), mean, weights in parts:
            total += (basis(column, low, high, len(mean)) - mean) @ weights
        return total


def fit_additive(x: np.ndarray, y: np.ndarray, n_bases: tuple[int, ...] = BASES) -> AdditiveSplines:
    """Fit y ~ f1(x1) + f2(x2) + ..., all smoothing parameters together by GCV.

    Cubic P-splines (Eilers & Marx 1996) with a second-difference penalty each:
    minimises ||y - Bb||^2 + sum_j lambda_j ||D b_j||^2, with lambda that minimises
    n RSS / (n - tr A)^2 (Wood 2017, Generalized Additive Models, section 6.2).

    Parameters
    ----------
    x : array, shape (n, p)
    y : array, shape (n,)
    n_bases : tuple of int
        B-splines of each predictor, at least 4; fewer where it has fewer than twice as many
        values that differ by a twentieth of its standard deviation.
    """
    n = len(y)
    n_bases = tuple(map(_carried, x.T, n_bases))
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    ranges = np.column_stack([x.min(axis=0), x.max(axis=0)])
    ranges[:, 1] += ranges[:, 0] == ranges[:, 1]
    rows = [
        basis(column, low, high, k)
        for column, (low, high), k in zip(x.T, ranges, n_bases, strict=True)
    ]
    means = tuple(part.mean(axis=0) for part in rows)
    design = np.hstack([part - mean for part, mean in zip(rows, means, strict=True)])
    target = y - y.mean()
    gram, cross = design.T @ design, design.T @ target
    penalties = _penalties(gram, n_bases)
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))

    def solve(log_lambda: np.ndarray) -> tuple[np.ndarray, float]:
        penalty = np.tensordot(np.exp(log_lambda), penalties, axes=1)
        factor = cho_factor(gram + penalty + ridge)
        weights = cho_solve(factor, cross)
        freedom = 1 + np.trace(cho_solve(factor, gram))
        rss = target @ target - 2 * weights @ cross + weights @ gram @ weights
        return weights, n * rss / max(n - freedom, 1e-9) ** 2

    start = np.zeros(len(n_bases))
    best = minimize(
        lambda at: np.log(solve(at)[1]), start, method="L-BFGS-B", bounds=[LOG_BOUNDS] * len(start)
    )
    weights = solve(best.x)[0]
    cuts = np.cumsum(n_bases)[:-1]
    return AdditiveSplines(float(y.mean()), ranges, means, tuple(np.split(weights, cuts)))


def _carried(column: np.ndarray, k: int) -> int:
    """Return how many B-splines the distinct values of a predictor carry, near-ties as one."""
    step = max(column.std() / 20, 1e-6)
    distinct = len(np.unique(np.round((column - column.min()) / step)))
    return max(4, min(k, distinct // 2))


def _penalties(gram: np.ndarray, n_bases: tuple[int, ...]) -> np.ndarray:
    """Return each term's penalty, scaled to its block of the Gram matrix."""
    penalties = np.zeros((len(n_bases), len(gram), len(gram)))
    first = 0
    for number, k in enumerate(n_bases):
        block = slice(first, first + k)
        difference = np.diff(np.eye(k), 2, axis=0)
        penalty = difference.T @ difference
        scale = np.trace(gram[block, block]) / np.trace(penalty)
        penalties[number, block, block] = scale * penalty
        first += k
    return penalties


def predict_full_scores(
    train: tuple[np.ndarray, np.ndarray],
    full_score: np.ndarray,
    folds: np.ndarray,
    new: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Fit the form read-out to training subjects and predict others.

    Parameters
    ----------
    train, new : pair of arrays
        Responses to the form, cells not administered filled, shape (n, n_items), and
        abilities from the form, shape (n,).
    full_score : array, shape (n_train,)
        Points.
    folds : array, shape (n_train,)
        Folds of the cross-fitted linear predictor.

    Returns
    -------
    array, shape (n_new,)
        Points, within [0, 100].
    """
    x, theta = train
    smooths = fit_additive(
        np.column_stack([cross_fit_ridge(x, full_score, folds), theta, x.mean(axis=1)]), full_score
    )
    intercept, slopes = fit_ridge(x, full_score)
    at, theta_new = new
    predictors = np.column_stack([intercept + at @ slopes, theta_new, at.mean(axis=1)])
    return np.clip(smooths.predict(predictors), 0, 100)
