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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from itemwise.readout.gam import fit_additive
from itemwise.readout.implied import FormAnswers
from itemwise.readout.interval import with_ends
from itemwise.readout.kriging import Base, Kernel, Systems, chunks, krige, nearest

TUNED_ON = 600
"""Training models whose held-out density chooses the kernel, drawn at random."""
N_NODES = 201
"""Nodes of the tabulated spline."""
SPLINE_COST = 8
"""By how many mean squared errors a spline must beat the implied score: twice its parameters."""
USUAL_SIGNAL = 1 / 8
"""Share of the residual variance that answers explain, before training models say."""
LOG_PRIOR_SD = 1.0
"""Standard deviation of the logarithms of kernel parameters: few models leave them open."""

FEWEST_IN_GROUP = 100
MOST_GROUPS = 4
"""Groups of models by distance, each with a quantile of its own."""

one_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""With several threads the last digits of sums depend on their number."""


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


def weighted(means: Sequence[Mean], weights: np.ndarray) -> Mean:
    """Return the weighted sum of means, each of one benchmark, over the scores of all."""
    return Mean(
        float(np.dot([mean.intercept for mean in means], weights)),
        np.vstack([mean.nodes for mean in means]),
        np.vstack([mean.values * weight for mean, weight in zip(means, weights, strict=True)]),
    )


@dataclass(frozen=True)
class Quantiles:
    """Half widths of intervals in predictive standard deviations, by distance.

    Attributes
    ----------
    starts : array, shape (n_groups,)
        Distance to the nearest training model from which each holds; the first is 0.
    values : array, shape (n_groups,)
    """

    starts: np.ndarray
    values: np.ndarray

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Return the quantile of models at a distance."""
        return self.values[np.searchsorted(self.starts[1:], distance, side="right")]

    @classmethod
    def of(cls, scaled: np.ndarray, distance: np.ndarray, level: float) -> Quantiles:
        """Return the conformal quantiles of |error| / SD in groups of equal size by distance.

        The ceil((n + 1) level)-th smallest of the n in a group (Lei et al. 2018, JASA 113:1094;
        within groups: Vovk 2012, Asian Conference on Machine Learning 25:475). There are up to
        four, of at least `FEWEST_IN_GROUP`: the 90 % quantile of so many is known to 3 %.
        """
        n_groups = int(np.clip(len(scaled) // FEWEST_IN_GROUP, 1, MOST_GROUPS))
        starts = np.quantile(distance, np.arange(n_groups) / n_groups)
        starts = np.unique(np.concatenate([[0.0], starts[1:]]))
        group = np.searchsorted(starts[1:], distance, side="right")
        values = [_conformal(scaled[group == number], level) for number in range(len(starts))]
        return cls(starts, np.array(values))


def _conformal(scaled: np.ndarray, level: float) -> float:
    """Return the quantile that so many errors tell; infinite where they are too few."""
    rank = int(np.ceil((len(scaled) + 1) * level - 1e-9))
    return float(np.sort(scaled)[rank - 1]) if rank <= len(scaled) else np.inf


ONE_SD = Quantiles(np.zeros(1), np.ones(1))


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
    quantiles : Quantiles
        Of the intervals: predicted +- quantile x predictive SD.
    level : float
    """

    kernel: Kernel
    mean: Mean
    answers: FormAnswers
    full_score: np.ndarray
    quantiles: Quantiles
    level: float

    @one_thread
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
        base = Base(self.answers, self.full_score)
        near, distance = nearest(answers, base, self.kernel.decay)
        residual = self.full_score - self.mean(self.answers.implied)
        error, variance = krige(self.kernel, base, answers, near, residual[near])
        variance += _excess(self.mean, answers)
        predicted = np.clip(self.mean(answers.implied) + error, 0, 100)
        half = self.quantiles.at(distance) * np.sqrt(variance)
        return with_ends(
            pd.DataFrame({"predicted": predicted, "half_lower": half, "half_upper": half,
                          "distance": distance})
        )  # fmt: skip


@dataclass(frozen=True)
class CrossFitted:
    """Training models predicted from those of other folds, by what these know.

    Attributes
    ----------
    predicted, sd, distance : array, shape (n,)
        Points; predictive standard deviation; share of answers in which the nearest model of
        another fold differs.
    """

    predicted: np.ndarray
    sd: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class FoldForm:
    """Answers to a form as the models of all folds but one choose it.

    Attributes
    ----------
    rows : array of int, shape (n,)
        Of the training models, those that answered it.
    answers : FormAnswers
        Theirs.
    """

    rows: np.ndarray
    answers: FormAnswers


@one_thread
def fit_process(
    answers: FormAnswers,
    full_score: np.ndarray,
    folds: np.ndarray,
    level: float = 0.9,
    implied: Mean | None = None,
    like: Process | None = None,
    seed: int = 0,
    fold_forms: Mapping[int, FoldForm] = MappingProxyType({}),
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
        Coverage of the intervals, whose quantiles are those of the cross-fitted |error| / SD.
    implied : Mean, optional
        Taken where no spline predicts models of other folds better, by more than chance
        (`implied_mean`).
    like : Process, optional
        Of another form of the same size, whose kernel and quantile are taken over; nothing is
        cross-fitted then.
    seed : int
        Of the draw of models that choose the kernel.
    fold_forms : mapping
        By fold, the answers to the form that the models of all other folds choose. Where it is
        given the models of the fold are predicted by it, so that their errors and the
        quantiles hold what the choice of items costs.

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
        if (as_implied**2).sum() <= (own**2).sum() * (1 + SPLINE_COST / len(own)):
            mean, own = implied, as_implied
            means, held_out = dict.fromkeys(names, mean), np.tile(own, (len(names), 1))
    base = Base(answers, full_score)

    def residuals(rows: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Return residuals of neighbours, from the mean fitted without the fold of the row."""
        return held_out[np.searchsorted(names, folds[rows])[:, None], near]

    kernel = _tune(base, own, folds, residuals, seed)
    near, distance = nearest(answers, base, kernel.decay, (folds, folds))
    rows = np.arange(len(folds))
    error, variance = krige(kernel, base, answers, near, residuals(rows, near))
    for fold in names:
        out = folds == fold
        variance[out] += _excess(means[fold], answers.take(out))
    crossed = CrossFitted(np.clip(full_score - own + error, 0, 100), np.sqrt(variance), distance)
    fitted = Process(kernel, mean, answers, full_score, ONE_SD, level)
    for fold, form in fold_forms.items():
        _by_form_of_others(fitted, crossed, folds, fold, form)
    scaled = np.abs(full_score - crossed.predicted) / crossed.sd
    quantiles = Quantiles.of(scaled, crossed.distance, level)
    return replace(fitted, quantiles=quantiles), crossed


def _by_form_of_others(
    fitted: Process, crossed: CrossFitted, folds: np.ndarray, fold: int, form: FoldForm
) -> None:
    """Predict the models of a fold by the form that those of other folds choose; into `crossed`."""
    out = folds[form.rows] == fold
    seen, full_score = form.answers.take(~out), fitted.full_score[form.rows[~out]]
    mean = fitted.mean if fitted.mean.is_implied else _fit_mean(seen, full_score)
    process = replace(fitted, mean=mean, answers=seen, full_score=full_score)
    found = process.predict(form.answers.take(out))
    rows = form.rows[out]
    crossed.predicted[rows], crossed.sd[rows] = found["predicted"], found["half_upper"]
    crossed.distance[rows] = found["distance"]


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
    near, _ = nearest(answers.take(rows), base, equal, (folds[rows], folds))
    systems = [
        (Systems.of(base, answers.take(part), near[at]), residuals(part, near[at]), own[part])
        for at in chunks(len(rows))
        for part in [rows[at]]
    ]
    spread = max(own.var(), 1e-6)
    start = np.array([
        np.log(USUAL_SIGNAL * spread), np.log((1 - USUAL_SIGNAL) / 2 * spread),
        *np.full(n_benchmarks, 1.0),
    ])  # fmt: skip

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
