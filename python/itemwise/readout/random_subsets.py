"""Full scores rebuilt from random subsets by one smooth of the sub-score.

metabench's baseline, and by cross-validation its choice of the items to calibrate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from itemwise.irt.gaps import gap_patterns
from itemwise.readout.splines import basis, fit_splines

BLOCK = 500
"""Draws at once: bounds memory to BLOCK sub-scores a subject."""
MOST_BASES = 20


def random_form_errors(
    responses: np.ndarray,
    full_score: np.ndarray,
    training: np.ndarray,
    size: int,
    n_draws: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return RMSE and MAE of test subjects for each of many random subsets.

    Each subset's sub-score (share of right answers) is related to the full score of the
    training subjects by one penalised spline (section 4 of metabench's method, with a
    P-spline chosen by GCV in place of mgcv's adaptive smooth). Sub-scores lie on the
    lattice j / size, so counts and sums at its points are sufficient; the share of right
    answers among fewer administered items is rounded to the lattice.

    Parameters
    ----------
    responses : array of int8, shape (n_subjects, n_items)
        -1 for not administered.
    full_score : array, shape (n_subjects,)
        Points.
    training : array of bool, shape (n_subjects,)
        The others are the test subjects.
    size, n_draws, seed : int
    progress : callable
        Called with the number of draws done since the last call.

    Returns
    -------
    rmse, mae : array, shape (n_draws,)
        Points.
    """
    rng = np.random.default_rng(seed)
    right = (responses == 1).astype(np.float32)
    given = gap_patterns(responses)
    lattice = basis(np.arange(size + 1) / size, 0, 1, min(MOST_BASES, size + 3))
    rmse, mae = np.empty(n_draws), np.empty(n_draws)
    for start in range(0, n_draws, BLOCK):
        drawn = slice(start, min(start + BLOCK, n_draws))
        forms = _draw(rng, right.shape[1], size, drawn.stop - start)
        place = _sub_scores(forms, right, given)
        rmse[drawn], mae[drawn] = _errors(place, full_score, training, lattice)
        progress(drawn.stop - start)
    return rmse, mae


def preselection_errors(
    responses: np.ndarray,
    full_score: np.ndarray,
    folds: np.ndarray,
    size: int,
    n_draws: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return many random subsets and the RMSE of each on every fold, by the other folds.

    The same items are read out by one smooth of their sub-score for all folds of a
    subset, each fold by the spline of the others (section 4 of metabench's method).

    Parameters
    ----------
    responses : array of int8, shape (n_subjects, n_items)
        Of training subjects; -1 for not administered.
    full_score : array, shape (n_subjects,)
        Points.
    folds : array, shape (n_subjects,)
    size, n_draws, seed : int
    progress : callable
        Called with the number of draws done since the last call.

    Returns
    -------
    forms : array of int, shape (n_draws, size)
        Columns of `responses`.
    rmse : array, shape (n_draws, n_folds)
        Points.
    """
    rng = np.random.default_rng(seed)
    right = (responses == 1).astype(np.float32)
    given = gap_patterns(responses)
    lattice = basis(np.arange(size + 1) / size, 0, 1, min(MOST_BASES, size + 3))
    names = np.unique(folds)
    forms = np.empty((n_draws, size), dtype=np.int32)
    rmse = np.empty((n_draws, len(names)))
    for start in range(0, n_draws, BLOCK):
        drawn = slice(start, min(start + BLOCK, n_draws))
        forms[drawn] = _draw(rng, right.shape[1], size, drawn.stop - start)
        place = _sub_scores(forms[drawn], right, given)
        for number, fold in enumerate(names):
            rmse[drawn, number], _ = _errors(place, full_score, folds != fold, lattice)
        progress(drawn.stop - start)
    return forms, rmse


def minimax_form(forms: np.ndarray, rmse: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the subset whose worst fold is best, its columns ascending, and its number."""
    best = int(rmse.max(axis=1).argmin())
    return np.sort(forms[best]), best


def _draw(rng: np.random.Generator, n_items: int, size: int, n_draws: int) -> np.ndarray:
    """Draw subsets without replacement within each, shape (n_draws, size)."""
    return np.stack([rng.permutation(n_items)[:size] for _ in range(n_draws)])


def _sub_scores(forms: np.ndarray, right: np.ndarray, given: tuple) -> np.ndarray:
    """Return sub-scores on the lattice 0..size, -1 without an administered item.

    Shape (n_subjects, n_draws); `given` holds the patterns of missing cells, and whose they are.
    """
    n_draws, size = forms.shape
    chosen = np.zeros((right.shape[1], n_draws), dtype=np.float32)
    chosen[forms.T, np.arange(n_draws)] = 1
    patterns, which = given
    hits, asked = right @ chosen, ((~patterns).astype(np.float32) @ chosen)[which]
    place = np.rint(size * hits / np.maximum(asked, 1)).astype(np.int64)
    return np.where(asked > 0, place, -1)


def _errors(place, full_score, training, lattice) -> tuple[np.ndarray, np.ndarray]:
    """Fit on training subjects, return the errors of test subjects, one a draw."""
    n_points, n_draws = len(lattice), place.shape[1]
    centre = full_score[training].mean()
    target = full_score - centre
    offset = np.arange(n_draws) * n_points
    seen = place[training] >= 0
    cell = np.where(seen, place[training] + offset, 0).ravel()

    def summed(values: np.ndarray) -> np.ndarray:
        weights = np.where(seen, values[training][:, None], 0).ravel()
        return np.bincount(cell, weights, n_points * n_draws).reshape(n_draws, n_points)

    counts, sums = summed(np.ones_like(target)), summed(target)
    gram = np.einsum("dp,pi,pj->dij", counts, lattice, lattice, optimize=True)
    total = summed(target**2).sum(axis=1)
    coefficients = fit_splines(gram, sums @ lattice, total, counts.sum(axis=1))
    curves = np.clip(centre + coefficients @ lattice.T, 0, 100)
    test = place[~training]
    predicted = curves[np.arange(n_draws), np.maximum(test, 0)]
    error = np.where(test >= 0, predicted - full_score[~training][:, None], np.nan)
    return np.sqrt(np.nanmean(error**2, axis=0)), np.nanmean(np.abs(error), axis=0)
