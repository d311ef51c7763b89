"""Scores of models predicted from the nearest training models: the linear algebra of the process.

`itemwise.readout.process` says what is modelled; here are its covariances, who is near, and the
systems of equations, one a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemwise.readout.implied import FormAnswers

N_NEIGHBOURS = 64
"""Training models that a prediction rests on; with twice as many no error changes by 3 %."""
MEAN_SD = 0.1
"""Standard deviation of intercept and slope around the spline, as a share of the scores' SD."""
CHUNK = 64
"""Predictions at once: their systems stay in a core's cache."""
SEARCHED = 256
"""Targets whose neighbours are sought at once."""
TIE_BREAK = 0.03
"""Distance of implied scores that are a standard deviation apart; below that of one answer."""
TIE = 1e-9
"""Distances that differ by less are equal: the last digits depend on how a product is computed."""
GOLDEN = (5**0.5 - 1) / 2
JITTER = 1e-9
"""Least noise, relative to the variance of the scores: duplicates keep systems regular."""


@dataclass(frozen=True)
class Kernel:
    """Covariance of the scores.

    Attributes
    ----------
    variance, noise : float
        Points squared; noise where v is that of the average training model.
    decay : array, shape (n_benchmarks,)
        By how much covariance falls, as a logarithm, with answers that all differ.
    """

    variance: float
    decay: np.ndarray
    noise: float

    @classmethod
    def of(cls, logarithms: np.ndarray) -> Kernel:
        """Return the kernel of the logarithms of variance, noise and decays."""
        values = np.exp(logarithms)
        return cls(float(values[0]), values[2:], float(values[1]))


@dataclass(frozen=True)
class Base:
    """Training models as covariances take them.

    Attributes
    ----------
    answers : FormAnswers
    full_score : array, shape (n,)
        Points.
    """

    answers: FormAnswers
    full_score: np.ndarray

    def __len__(self) -> int:
        return len(self.full_score)

    @cached_property
    def place(self) -> np.ndarray:
        """Place of each model in an order that knows no rows, within [0, 1).

        Models are ranked by their scores, and the multiples of the golden ratio spread the ranks:
        of models that tie, those taken have the scores of all of them.
        """
        rank = np.argsort(np.lexsort((*self.answers.implied.T, self.full_score)))
        return rank * GOLDEN % 1

    @property
    def mean_variance(self) -> float:
        """Variance of the mean's intercept and slope, points squared."""
        return (MEAN_SD * self.full_score.std()) ** 2

    def standard(self, implied: np.ndarray) -> np.ndarray:
        """Return implied scores, averaged over benchmarks, standardised."""
        mine = self.answers.implied.mean(axis=1)
        return (implied.mean(axis=1) - mine.mean()) / max(mine.std(), 1e-9)

    def noise(self, kernel: Kernel, shape: np.ndarray) -> np.ndarray:
        """Return the variance of the errors, points squared."""
        least = JITTER * self.full_score.var() + 1e-12
        return kernel.noise * shape / self.answers.shape.mean() + least


def nearest(
    targets: FormAnswers,
    base: Base,
    decay: np.ndarray,
    apart: tuple[np.ndarray, np.ndarray] | None = None,
    n: int = N_NEIGHBOURS,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the training models that answer most nearly as each target does.

    Parameters
    ----------
    targets : FormAnswers
    base : Base
        Training models. Which of them are taken depends neither on the order of their rows, nor
        on how many targets there are: distances are rounded, and ties have an order.
    decay : array, shape (n_benchmarks,)
        Weights of the benchmarks.
    apart : pair of arrays, shapes (n_targets,) and (n_training,), optional
        Folds of both, where targets are training models: those of the own fold are left out.
    n : int
        How many; all where there are no more.

    Returns
    -------
    array of int, shape (n_targets, n)
        By increasing distance.
    array, shape (n_targets,)
        Share of answers in which the nearest is expected to differ, over all benchmarks.
    """
    answers = base.answers
    widths = np.array([block.shape[1] for block in answers.filled])
    scale = np.sqrt(decay / decay.sum() / widths)
    implied = answers.implied.mean(axis=1)
    unit = TIE_BREAK / max(implied.std(), 1e-9)

    def flat(of: FormAnswers) -> np.ndarray:
        blocks = [block * weight for block, weight in zip(of.filled, scale, strict=True)]
        score = unit * (of.implied.mean(axis=1) - implied.mean())
        return np.column_stack([*blocks, score])

    all_rows, others = flat(targets), flat(answers)
    size = (others**2).sum(axis=1) + (answers.unsure * scale**2).sum(axis=1)
    ties = TIE * base.place
    largest = 0 if apart is None else int(np.unique(apart[1], return_counts=True)[1].max())
    n = min(n, len(base) - largest)
    found = np.empty((len(targets), n), dtype=int)
    for rows in chunks(len(targets)):
        mine = all_rows[rows]
        distance = size - 2 * mine @ others.T + (mine**2).sum(axis=1, keepdims=True)
        distance = np.round(distance / TIE) * TIE + ties
        if apart is not None:
            distance[apart[0][rows, None] == apart[1]] = np.inf
        part = np.argpartition(distance, n - 1, axis=1)[:, :n]
        order = np.argsort(np.take_along_axis(distance, part, axis=1), axis=1, kind="stable")
        found[rows] = np.take_along_axis(part, order, axis=1)
    share = sum(
        ((mine - other[found[:, 0]]) ** 2).sum(axis=1)
        for mine, other in zip(targets.filled, answers.filled, strict=True)
    )
    # Of answers that were not given the expectation is as far as it is unsure.
    share += targets.unsure.sum(axis=1) + answers.unsure.sum(axis=1)[found[:, 0]]
    return found, share / widths.sum()


@dataclass(frozen=True)
class Systems:
    """What covariances of targets with their neighbours depend on, but for the kernel.

    Attributes
    ----------
    among : array, shape (n_benchmarks, n_targets, n, n)
        Distances among neighbours, as shares of items.
    to : array, shape (n_benchmarks, n_targets, n)
        Distances from the target.
    t_near, t : array, shape (n_targets, n) and (n_targets,)
        Standardised implied scores.
    shape_near, shape : array
        Binomial variances.
    """

    among: np.ndarray
    to: np.ndarray
    t_near: np.ndarray
    t: np.ndarray
    shape_near: np.ndarray
    shape: np.ndarray

    @classmethod
    def of(cls, base: Base, targets: FormAnswers, near: np.ndarray) -> Systems:
        """Compute the distances of targets and their neighbours."""
        among, to = [], []
        blocks = zip(targets.filled, base.answers.filled, strict=True)
        for number, (mine, others) in enumerate(blocks):
            own = base.answers.unsure[:, number][near]
            other = others[near]
            product = other @ other.transpose(0, 2, 1)
            size = np.einsum("nii->ni", product) + own
            pairs = size[:, :, None] + size[:, None, :] - 2 * product
            pairs[:, np.arange(near.shape[1]), np.arange(near.shape[1])] = 0
            among.append(np.maximum(pairs, 0) / mine.shape[1])
            other -= mine[:, None, :]
            across = np.einsum("nij,nij->ni", other, other) + own
            to.append((across + targets.unsure[:, number][:, None]) / mine.shape[1])
        t = base.standard(base.answers.implied)
        return cls(
            np.stack(among), np.stack(to), t[near], base.standard(targets.implied),
            base.answers.shape[near], targets.shape,
        )  # fmt: skip

    def solve(
        self, kernel: Kernel, base: Base, residual: np.ndarray, gradients: bool = False
    ) -> tuple[np.ndarray, ...]:
        """Return mean and variance of the targets' residuals, given those of neighbours.

        With `gradients` also their derivatives by the logarithms of variance, noise and decays,
        each of shape (n_parameters, n_targets).
        """
        line = base.mean_variance
        among = kernel.variance * np.exp(-np.tensordot(kernel.decay, self.among, axes=1))
        to = kernel.variance * np.exp(-np.tensordot(kernel.decay, self.to, axes=1))
        noise_near, noise = base.noise(kernel, self.shape_near), base.noise(kernel, self.shape)
        matrix = among + line * (1 + self.t_near[:, :, None] * self.t_near[:, None, :])
        places = np.arange(matrix.shape[1])
        matrix[:, places, places] += noise_near
        right = to + line * (1 + self.t_near * self.t[:, None])
        prior = kernel.variance + line * (1 + self.t**2)
        solved = np.linalg.solve(matrix, np.stack([right, residual], axis=2))
        weights, pulled = solved[:, :, 0], solved[:, :, 1]
        mean = (weights * residual).sum(axis=1)
        variance = np.maximum(prior - (weights * right).sum(axis=1), 0) + noise
        if not gradients:
            return mean, variance
        # d mean = dk' K^-1 r - w' dK K^-1 r,  d variance = d prior - 2 w' dk + w' dK w + d noise.
        slopes = [
            _slopes(weights, pulled, among, to) + np.array([[0.0], [1.0]]) * kernel.variance,
            np.stack([-(weights * noise_near * pulled).sum(axis=1),
                      (weights**2 * noise_near).sum(axis=1) + noise]),
        ]  # fmt: skip
        for decay, near, far in zip(kernel.decay, self.among, self.to, strict=True):
            slopes.append(_slopes(weights, pulled, -decay * near * among, -decay * far * to))
        of_mean, of_variance = np.stack(slopes, axis=1)
        return mean, variance, of_mean, of_variance


def _slopes(
    weights: np.ndarray, pulled: np.ndarray, among: np.ndarray, to: np.ndarray
) -> np.ndarray:
    """Return by how much mean and variance change with the covariances, shape (2, n_targets)."""
    along = (among @ np.stack([pulled, weights], axis=2)) * weights[:, :, None]
    along = along.sum(axis=1)
    return np.stack([(to * pulled).sum(axis=1) - along[:, 0],
                     along[:, 1] - 2 * (weights * to).sum(axis=1)])  # fmt: skip


def krige(
    kernel: Kernel, base: Base, targets: FormAnswers, near: np.ndarray, residual: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the targets' residuals, in chunks."""
    parts = [
        Systems.of(base, targets.take(rows), near[rows]).solve(kernel, base, residual[rows])
        for rows in chunks(len(targets))
    ]
    means, variances = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(variances)


def chunks(n: int, size: int = CHUNK) -> list[np.ndarray]:
    """Return the row numbers of each chunk; one empty chunk where there are no rows."""
    return np.array_split(np.arange(n), max(1, -(-n // size)))
