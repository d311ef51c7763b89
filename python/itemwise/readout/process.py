"""A Gaussian process over the answers to a form: models that answer alike score alike.

The full score of model i with answers x_i is

    y_i = m(U_i) + f(x_i) + e_i,     f ~ GP(0, k),     e_i ~ N(0, noise x v_i),
    k(x, x') = variance x exp(-sum_b decay_b d_b(x, x')) + mean_sd^2 (1 + t t'),

with m a penalised spline of the model-implied score U (`itemwise.readout.implied`), t that
score standardised, d_b the share of the items of benchmark b that are answered differently,
and v the binomial variance at the model's ability. The term in 1 and t lets m err.

A prediction rests on the nearest training models alone (Vecchia 1988, JRSS B 50:297;
Gramacy & Apley 2015, JCGS 24:561): their answers and scores are the model, and time grows
with their number, not its cube. Kernel parameters maximise the density of scores predicted
from *other folds*, so that near-duplicates, which no fold divides, do not set the length scale
(Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, section 5.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from itemwise.readout.gam import fit_additive
from itemwise.readout.implied import FormAnswers
from itemwise.readout.interval import with_ends
from itemwise.readout.kriging import Base, Kernel, Systems, chunks, krige, nearest

TUNED_ON = 600
"""Training models whose held-out density chooses the kernel, drawn at random."""
N_NODES = 201
"""Nodes of the tabulated spline."""
LOG_PRIOR_SD = 1.0
"""Standard deviation of the logarithms of kernel parameters: few models leave them open."""


@dataclass(frozen=True)
class Mean:
    """A sum of tabulated splines, held at the ends of their range.

    Attributes
    ----------
    intercept : float
    nodes, values : array, shape (n_benchmarks, N_NODES)
    """

    intercept: float
    nodes: np.ndarray
    values: np.ndarray

    def __call__(self, implied: np.ndarray) -> np.ndarray:
        """Return the mean at implied scores, shape (n, n_benchmarks), in points."""
        parts = zip(implied.T, self.nodes, self.values, strict=True)
        return self.intercept + sum(np.interp(x, at, value) for x, at, value in parts)

    @property
    def is_implied(self) -> bool:
        """Whether the mean is the implied score of the whole benchmark, no spline."""
        return self.nodes.shape[1] == 2

    def slope(self, implied: np.ndarray) -> np.ndarray:
        """Return its slope along each implied score, shape (n, n_benchmarks)."""
        parts = zip(implied.T, self.nodes, self.values, strict=True)
        slopes = [np.interp(x, at, np.gradient(value, at)) for x, at, value in parts]
        return np.column_stack(slopes)


def implied_mean(others: np.ndarray, n_pool: int) -> Mean:
    """Return the score of the whole benchmark that the implied score of the pool stands for.

    Parameters
    ----------
    others : array
        Shares right, among training models, of the items that are not in the pool.
    n_pool : int
    """
    n = n_pool + len(others)
    ends = 100 * (np.sum(others) + np.array([0, n_pool])) / n
    return Mean(0.0, np.array([[0.0, 100.0]]), ends[None])


@dataclass(frozen=True)
class Process:
    """A fitted process with the training models that it predicts from.

    Attributes
    ----------
    kernel : Kernel
    mean : Mean
    answers : FormAnswers
        Of the training models.
    full_score : array, shape (n,)
        Of the training models, in points.
    quantile, level : float
        Of the intervals: predicted +- quantile x predictive SD.
    """

    kernel: Kernel
    mean: Mean
    answers: FormAnswers
    full_score: np.ndarray
    quantile: float
    level: float

    def predict(self, answers: FormAnswers) -> pd.DataFrame:
        """Predict full scores.

        Parameters
        ----------
        answers : FormAnswers
            Of the models to predict.

        Returns
        -------
        data frame
            `predicted`, `lower`, `upper` (points, within [0, 100]), `half_lower`, `half_upper`
            (points, before the ends are cut), and `distance`, the share of answers in which
            the nearest training model differs.
        """
        near, distance = nearest(answers, self.answers, self.kernel.decay)
        residual = self.full_score - self.mean(self.answers.implied)
        base = Base(self.answers, self.full_score)
        error, variance = krige(self.kernel, base, answers, near, residual[near])
        variance += _excess(self.mean, answers)
        predicted = np.clip(self.mean(answers.implied) + error, 0, 100)
        half = self.quantile * np.sqrt(variance)
        return with_ends(
            pd.DataFrame({"predicted": predicted, "half_lower": half, "half_upper": half,
                          "distance": distance})
        )  # fmt: skip


@dataclass(frozen=True)
class CrossFitted:
    """Training models predicted from those of other folds.

    Attributes
    ----------
    predicted, sd, distance : array, shape (n,)
        Points; predictive standard deviation; share of answers in which the nearest model of
        another fold differs.
    """

    predicted: np.ndarray
    sd: np.ndarray
    distance: np.ndarray


def fit_process(
    answers: FormAnswers,
    full_score: np.ndarray,
    folds: np.ndarray,
    level: float = 0.9,
    optimism: float = 1.0,
    implied: Mean | None = None,
    like: Process | None = None,
    seed: int = 0,
) -> tuple[Process, CrossFitted | None]:
    """Fit the process to training models, and predict each by those of the other folds.

    Parameters
    ----------
    answers : FormAnswers
    full_score : array, shape (n,)
        Points.
    folds : array, shape (n,)
        What belongs together, such as the models of an organization, shares a fold.
    level : float
        Coverage of the intervals. Their quantile is the ceil((n + 1) level)-th smallest of the
        cross-fitted |error| / SD (Lei et al. 2018, JASA 113:1094).
    optimism : float
        Factor of the quantile, for a form whose choice looked at the same scores.
    implied : Mean, optional
        Taken where no spline predicts models of other folds better (`implied_mean`).
    like : Process, optional
        Of another form of the same size, whose kernel and quantile are taken over; nothing is
        cross-fitted then.
    seed : int
        Of the draw of models that choose the kernel.

    Returns
    -------
    Process, CrossFitted
        The latter None where nothing is cross-fitted.
    """
    if like is not None:
        mean = like.mean if like.mean.is_implied else _fit_mean(answers, full_score)
        fitted = replace(like, mean=mean, answers=answers, full_score=full_score)
        return fitted, None
    names = np.unique(folds)
    means = {fold: _fit_mean(answers.take(folds != fold), full_score[folds != fold])
             for fold in names}  # fmt: skip
    held_out = np.stack([full_score - means[fold](answers.implied) for fold in names])
    own = held_out[np.searchsorted(names, folds), np.arange(len(folds))]
    mean = _fit_mean(answers, full_score)
    if implied is not None:
        as_implied = full_score - implied(answers.implied)
        if (as_implied**2).sum() <= (own**2).sum():
            mean, own = implied, as_implied
            means, held_out = dict.fromkeys(names, mean), np.tile(own, (len(names), 1))
    base = Base(answers, full_score)

    def residuals(rows: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Return residuals of neighbours, from the mean fitted without the fold of the row."""
        return held_out[np.searchsorted(names, folds[rows])[:, None], near]

    kernel = _tune(base, own, folds, residuals, seed)
    near, distance = nearest(answers, answers, kernel.decay, (folds, folds))
    rows = np.arange(len(folds))
    error, variance = krige(kernel, base, answers, near, residuals(rows, near))
    for fold in names:
        out = folds == fold
        variance[out] += _excess(means[fold], answers.take(out))
    crossed = CrossFitted(np.clip(full_score - own + error, 0, 100), np.sqrt(variance), distance)
    scaled = np.sort(np.abs(full_score - crossed.predicted) / crossed.sd)
    rank = int(np.ceil((len(scaled) + 1) * level - 1e-9))
    quantile = optimism * (scaled[rank - 1] if rank <= len(scaled) else np.inf)
    return Process(kernel, mean, answers, full_score, float(quantile), level), crossed


def _fit_mean(answers: FormAnswers, full_score: np.ndarray) -> Mean:
    """Fit the spline of the implied scores and tabulate it."""
    n, n_benchmarks = answers.implied.shape
    # A cubic whose curvature is penalised where models are few.
    n_bases = int(np.clip(n // 10, 4, 10))
    fitted = fit_additive(answers.implied, full_score, (n_bases,) * n_benchmarks)
    nodes = np.linspace(fitted.ranges[:, 0], fitted.ranges[:, 1], N_NODES, axis=1)
    at = np.repeat(nodes[:, :1].T, N_NODES, axis=0)
    at_start = fitted.predict(at[:1])[0]
    values = []
    for number in range(n_benchmarks):
        moved = at.copy()
        moved[:, number] = nodes[number]
        values.append(fitted.predict(moved) - at_start)
    return Mean(float(at_start), nodes, np.stack(values))


def _excess(mean: Mean, answers: FormAnswers) -> np.ndarray:
    """Return the variance that answers not given and calibration add to the mean."""
    return (mean.slope(answers.implied) ** 2 * answers.excess).sum(axis=1)


def _tune(base: Base, own: np.ndarray, folds: np.ndarray, residuals, seed: int) -> Kernel:
    """Maximise the density of held-out scores, times a wide prior, over the kernel."""
    from scipy.optimize import minimize

    answers = base.answers
    n_benchmarks = len(answers.filled)
    rows = np.arange(len(folds))
    if len(rows) > TUNED_ON:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), TUNED_ON, replace=False))
    # By benchmarks of equal weight: the kernel that weighs them is not known yet.
    equal = np.ones(n_benchmarks)
    near, _ = nearest(answers.take(rows), answers, equal, (folds[rows], folds))
    systems = [
        (Systems.of(base, answers.take(part), near[at]), residuals(part, near[at]), own[part])
        for at in chunks(len(rows))
        for part in [rows[at]]
    ]
    spread = max(own.var(), 1e-6)
    start = np.array([np.log(spread / 2), np.log(spread / 4), *np.full(n_benchmarks, 1.0)])

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        kernel = Kernel.of(at)
        total = ((at - start) ** 2).sum() / (2 * LOG_PRIOR_SD**2)
        gradient = (at - start) / LOG_PRIOR_SD**2
        for system, residual, true in systems:
            mean, variance, of_mean, of_variance = system.solve(kernel, base, residual, True)
            scaled = (true - mean) / variance
            total += (np.log(variance) + (true - mean) * scaled).sum() / 2
            gradient += of_variance @ (1 / variance - scaled**2) / 2 - of_mean @ scaled
        return total, gradient

    bounds = [(start[0] - 9, start[0] + 5), (start[1] - 9, start[1] + 4)]
    bounds += [(-4, 6)] * n_benchmarks
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Kernel.of(best.x)
