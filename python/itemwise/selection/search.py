"""Search over calibration, scoring and selection by nested cross-validation.

Candidates are compared by the error of full scores of inner folds that took no part in
calibration, selection or read-out; what the search as a whole achieves is measured on an
outer fold that it never saw. Only training subjects enter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import optuna
import pandas as pd

from itemwise.errors import UserError
from itemwise.irt.calibration import fit
from itemwise.irt.model import fill_expected, item_information
from itemwise.irt.scoring import score
from itemwise.readout.gam import predict_full_scores
from itemwise.responses.matrix import Responses
from itemwise.selection.balance import Balance
from itemwise.selection.information_filter import ability_grid, budget_filter
from itemwise.selection.selectors import by_anchor_points, by_reconstruction, by_test_information

TARGETS = 121
"""Training abilities, as quantiles, that test information is maximised over."""
FEWEST_BINS = 10
START_TRIALS = 12
"""Candidates drawn at random before the optimiser has something to learn from."""


@dataclass(frozen=True)
class Candidate:
    """One setting of the searched stages; `bins` and `grid` are the information filter's."""

    model: str
    scoring: str
    method: str
    size: int
    bins: int | None = None
    grid: str | None = None

    def settings(self) -> dict:
        """Return the settings as a benchmark's part of the configuration."""
        selection = {"method": self.method, "budget": self.size}
        selection |= {"threshold": None, "penalty": None}  # which would overrule the budget
        if self.method == "information":
            selection |= {"bins": self.bins, "grid": self.grid}
        return {
            "irt": {"model": self.model},
            "scoring": {"method": self.scoring},
            "selection": selection,
        }


@dataclass(frozen=True)
class Space:
    """What is searched over.

    Attributes
    ----------
    models, scorings, methods : tuple of str
    sizes : tuple of int
        Smallest and largest form; equal where the size is fixed.
    penalty : float
        Points of RMSE that an item costs.
    """

    models: tuple[str, ...]
    scorings: tuple[str, ...]
    methods: tuple[str, ...]
    sizes: tuple[int, int]
    penalty: float = 0.0

    def suggest(self, trial: optuna.Trial) -> Candidate:
        """Draw a candidate."""
        low, high = self.sizes
        method = trial.suggest_categorical("method", self.methods)
        size = low if low == high else trial.suggest_int("size", low, high, log=True)
        filter_settings = {}
        if method == "information":
            filter_settings = {
                "bins": max(
                    FEWEST_BINS,
                    round(size * trial.suggest_categorical("bins_per_item", (1.25, 2, 4))),
                ),
                "grid": trial.suggest_categorical("grid", ("even", "subjects")),
            }
        return Candidate(
            trial.suggest_categorical("model", self.models),
            trial.suggest_categorical("scoring", self.scorings),
            method,
            size,
            **filter_settings,
        )


@dataclass(frozen=True)
class Data:
    """Training subjects of one benchmark.

    Attributes
    ----------
    responses : Responses
        Screened items.
    full_score : array, shape (n_subjects,)
        Points.
    folds : array of int, shape (n_subjects,)
    domains : array, shape (n_items,)
        Sub-domains to balance by; one value where there is no balance.
    seed : int
    threads : int
    """

    responses: Responses
    full_score: np.ndarray
    folds: np.ndarray
    domains: np.ndarray
    seed: int = 1
    threads: int = 1
    _calibrated: dict = field(default_factory=dict, repr=False)

    def calibrate(self, model: str, train: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        """Return item parameters and training abilities; each fit is made once."""
        key = model, train.tobytes()
        if key not in self._calibrated:
            part = self.responses.take(subjects=train)
            parameters, _ = fit(part, model=model, threads=self.threads, seed=self.seed)
            theta = score(part, parameters, threads=self.threads)["theta"].to_numpy()
            self._calibrated[key] = parameters, theta
        return self._calibrated[key]


def inner_and_outer(folds: np.ndarray, inner: int, outer: int) -> list[tuple]:
    """Return, for each outer fold, the fold held out and the inner fold of every subject.

    Folds of the split are never divided: the `outer` first are held out one after the
    other, those left are dealt to `inner` parts (-1 marks the subjects held out).

    Raises
    ------
    UserError
        Fewer folds than inner + 1 or outer.
    """
    names = np.unique(folds)
    if len(names) < inner + 1 or len(names) < outer:
        raise UserError(
            f"splits: {len(names)} folds cannot give {inner} inner folds beside one of {outer} "
            "outer folds; raise config key 'split.folds', or lower 'search.inner_folds' or "
            "'search.outer_folds'"
        )
    plans = []
    for held_out in names[:outer]:
        left = names[names != held_out]
        place = dict(zip(left, np.arange(len(left)) % inner, strict=True))
        plans.append((held_out, np.array([place.get(fold, -1) for fold in folds])))
    return plans


def select_positions(
    candidate: Candidate, data: Data, pool: pd.DataFrame, theta: np.ndarray, train: np.ndarray
) -> np.ndarray:
    """Select items for a candidate; positions in the pool."""
    at = pd.Index(data.responses.items).get_indexer(pool["item"])
    # Items that are constant among these subjects are not in the pool.
    size = min(candidate.size, len(pool))
    balance = Balance(data.domains[at], size)
    if candidate.method == "reconstruction":
        filled = fill_expected(data.responses.matrix[train][:, at], pool, theta)
        return by_reconstruction(filled, data.full_score[train], balance, size)[0]
    if candidate.method == "test-information":
        target = np.quantile(theta, (np.arange(TARGETS) + 0.5) / TARGETS)
        return by_test_information(pool, target, balance, size)
    if candidate.method == "anchors":
        return by_anchor_points(pool, balance, size, data.seed)
    nodes = ability_grid(theta, candidate.grid, candidate.bins)
    information = item_information(pool, nodes).T
    return budget_filter(nodes, information, candidate.bins, size).positions


def squared_errors(
    candidate: Candidate, data: Data, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Calibrate, select and read out on some subjects; return squared errors of others.

    Parameters
    ----------
    candidate : Candidate
    data : Data
    train, test : array of int
        Positions of subjects.

    Returns
    -------
    array, shape (len(test),)
        Squared points.
    """
    parameters, theta = data.calibrate(candidate.model, train)
    chosen = select_positions(candidate, data, parameters, theta, train)
    form = parameters.iloc[chosen]
    at = pd.Index(data.responses.items).get_indexer(form["item"])
    answered = data.responses.administered[:, at].any(axis=1)
    train, test = train[answered[train]], test[answered[test]]
    both = data.responses.take(np.concatenate([train, test]), at)
    ability = score(both, form, method=candidate.scoring, threads=data.threads)["theta"].to_numpy()
    filled = fill_expected(both.matrix, form, ability)
    n = len(train)
    predicted = predict_full_scores(
        (filled[:n], ability[:n]),
        data.full_score[train],
        data.folds[train],
        (filled[n:], ability[n:]),
    )
    return (predicted - data.full_score[test]) ** 2


def inner_error(candidate: Candidate, data: Data, parts: np.ndarray) -> float:
    """Return the root mean squared error over all inner folds, in points."""
    squares = [
        squared_errors(
            candidate, data, np.flatnonzero((parts >= 0) & (parts != part)),
            np.flatnonzero(parts == part),
        )
        for part in range(parts.max() + 1)
    ]  # fmt: skip
    return float(np.sqrt(np.concatenate(squares).mean()))


def outer_error(candidate: Candidate, data: Data, parts: np.ndarray) -> float:
    """Return the error on the outer fold of what a search has chosen, in points."""
    squares = squared_errors(candidate, data, np.flatnonzero(parts >= 0), np.flatnonzero(parts < 0))
    return float(np.sqrt(squares.mean()))


def propose(space: Space, past: Iterable[tuple[dict, dict, float]], number: int, seed: int):
    """Return the study and the trial of candidate `number`, given all earlier ones.

    The sampler starts anew with a seed of its own each time, so that a search which was
    interrupted goes on as if it had not been.

    Parameters
    ----------
    space : Space
    past : iterable of (params, distributions, value)
        Earlier trials in order.
    number, seed : int
    """
    sampler = optuna.samplers.TPESampler(
        seed=seed * 100_003 + number, n_startup_trials=START_TRIALS
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study
    study = optuna.create_study(sampler=sampler)
    for params, distributions, value in past:
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        )
    trial = study.ask()
    return space.suggest(trial), trial.params, trial.distributions
