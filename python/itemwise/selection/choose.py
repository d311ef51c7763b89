"""The selectors applied to a pool: short forms, and what other sizes would bring."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
import pandas as pd

from itemwise.bank.power import minimum_detectable_difference
from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM, Selected, check_size, fold_form, random_forms
from itemwise.irt.model import fill_expected, item_information
from itemwise.irt.quadrature import LIMIT
from itemwise.readout.accuracy import rmse
from itemwise.responses.inputs import sub_domains
from itemwise.responses.sets import check_enough, read_training
from itemwise.selection.balance import Balance, assign_parallel_forms
from itemwise.selection.information_filter import ability_grid, budget_filter, information_filter
from itemwise.selection.selectors import (
    by_anchor_points,
    by_reconstruction,
    by_test_information,
    cross_fitted,
    first_of_each,
    penalised_size,
    prefix_rmse,
    ranked_without_folds,
)
from itemwise.tables.contract import read_table

SIZES = (5, 10, 20, 40, 80, 160, 320)
"""Numbers of items, besides that of the form, whose errors the record tells.

A pool of at most the last is reported to its end, a larger one to twice the form: ranking
costs subjects x items a step, in each fold.
"""
TABULATED = 121
"""Abilities at which the information table states each item's information."""


def choose(options, pool: pd.DataFrame) -> tuple[Selected, dict, dict[int, np.ndarray]]:
    """Apply the selector that was asked for.

    Returns
    -------
    Selected
        Its items.
    dict
        Where there is a training table: `optimism`, how much smaller errors look on the subjects
        that chose the items (only `reconstruction` looks at full scores), and `sizes`, how good
        other sizes are, from training subjects, cross-fitted.
    dict
        By fold, the items, as positions, that subjects select without it; none where the selector
        looks at no full score.
    """
    if options.budget is None:
        return _by_filter(options, pool), {"optimism": 1.0, "sizes": []}, {}
    check_size(options.budget, len(pool), options.forms)
    size = options.budget * options.forms
    domains = sub_domains(options.balance, options.items, pool["item"].to_numpy(object))
    if options.method == "reconstruction":
        return _by_reconstruction(options, pool, size, domains)
    select = selector(options, pool, domains)
    if options.training is None:
        return select(size), {"optimism": 1.0, "sizes": []}, {}
    target, filled, folds = _rebuilding(options, pool)
    if options.penalty is not None:
        errors = prefix_rmse(filled, target, lambda n: select(n).positions, size)
        size = max(penalised_size(errors, options.penalty), options.forms)
    chosen = [select(n).positions for n in reported_sizes(size, len(pool))]
    # A selector may find fewer items than it is asked for: each size is reported once.
    forms = list({len(positions): positions for positions in chosen}.values())
    predicted = cross_fitted(filled, target, folds, lambda seen: forms)
    rows = size_rows([len(positions) for positions in forms], predicted, target)
    return select(size), {"optimism": 1.0, "sizes": rows}, {}


def fold_table(
    options, items: np.ndarray, domains: np.ndarray, by_fold: dict[int, np.ndarray]
) -> pd.DataFrame:
    """Return the forms of what `choose` says of each fold, dealt as those of all models are."""
    parts = []
    for fold, positions in by_fold.items():
        dealt = np.arange(len(positions))
        forms = assign_parallel_forms(dealt, domains[positions], options.forms)
        for name, ranks in zip(form_names(len(forms)), forms, strict=True):
            parts.append(_form(options.benchmark, fold_form(name, fold), items, positions[ranks]))
    return pd.concat(parts, ignore_index=True)


def reported_sizes(size: int, n_pool: int) -> list[int]:
    """Return the numbers of items whose errors are reported: that of the form and others."""
    largest = n_pool if n_pool <= SIZES[-1] else min(2 * size, n_pool)
    return sorted({n for n in SIZES if n < largest} | {size, largest})


def size_rows(sizes: list[int], predicted: np.ndarray, target: np.ndarray) -> list[dict]:
    """Return the RMSE and the smallest detectable difference at each size, in points."""
    rows = []
    for n, row in zip(sizes, predicted, strict=True):
        table = pd.DataFrame({"full_score": target, "predicted": row})
        rows.append(
            {
                "n_items": n,
                "rmse": rmse(table["predicted"], table["full_score"]),
                "detectable": minimum_detectable_difference(table)["difference"],
            }
        )
    return rows


def selector(options, pool: pd.DataFrame, domains: np.ndarray) -> Callable[[int], Selected]:
    """Return the function from a number of items to the items, without full scores."""
    if options.method == "information":
        theta = ability_grid(_training_abilities(options), options.grid, options.bins)
        information = item_information(pool, theta).T
        return lambda size: budget_filter(theta, information, options.bins, size)
    if options.method == "test-information":
        theta = _training_abilities(options)
        # Equally likely abilities stand for the sample; more change nothing.
        target = np.quantile(theta, (np.arange(TABULATED) + 0.5) / TABULATED)

        def positions(size: int) -> np.ndarray:
            return by_test_information(pool, target, Balance(domains, size), size)

    elif options.method == "anchors":

        def positions(size: int) -> np.ndarray:
            return by_anchor_points(pool, Balance(domains, size), size, options.seed)

    else:

        def positions(size: int) -> np.ndarray:
            return drawn_forms(domains, size, 1, options.seed)[0]

    return lambda size: _with_information(positions(size), pool)


def selection_table(
    options, items: np.ndarray, domains: np.ndarray, chosen: Selected, forms: list[np.ndarray]
) -> pd.DataFrame:
    """Return the chosen forms, `A` first, and random forms of its size, balanced as it is."""
    parts = []
    for name, ranks in zip(form_names(len(forms)), forms, strict=True):
        part = _form(options.benchmark, name, items, chosen.positions[ranks])
        part["information"] = chosen.information[ranks]
        part["theta_at_maximum"] = chosen.theta[ranks]
        parts.append(part)
    drawn = drawn_forms(domains, len(forms[0]), options.random_forms, options.seed)
    width = len(str(len(drawn)))
    for number, positions in enumerate(drawn, start=1):
        parts.append(_form(options.benchmark, f"random{number:0{width}d}", items, positions))
    return pd.concat(parts, ignore_index=True)


def form_names(n_forms: int) -> list[str]:
    """Name forms A, B, ..., Z, A2, B2, ..."""
    letters = string.ascii_uppercase
    names = [letters[i % 26] + (str(i // 26 + 1) if i >= 26 else "") for i in range(n_forms)]
    assert names[0] == MAIN_FORM
    return names


def _by_filter(options, pool: pd.DataFrame) -> Selected:
    """Apply metabench's information filter with a given threshold."""
    theta = ability_grid(_training_abilities(options), options.grid, options.bins)
    information = item_information(pool, theta).T
    chosen = information_filter(theta, information, options.bins, options.threshold)
    if len(chosen.positions) < options.forms:
        raise UserError(
            f"benchmark '{options.benchmark}': {len(chosen.positions) or 'no'} item reaches an "
            f"information of {chosen.threshold:g} (the largest is {information.max():.3g}), for "
            f"{options.forms} form(s); lower config key 'selection.threshold'"
        )
    return chosen


def _by_reconstruction(
    options, pool: pd.DataFrame, size: int, domains: np.ndarray
) -> tuple[Selected, dict, dict[int, np.ndarray]]:
    """Select forward by full scores; the result is as of `choose`."""
    target, filled, folds = _rebuilding(options, pool)
    positions, errors = by_reconstruction(filled, target, Balance(domains, size), size)
    if options.penalty is not None:
        size = max(penalised_size(errors, options.penalty), options.forms)
        positions = positions[:size]
    reported = reported_sizes(size, len(pool))
    form = reported.index(size)
    # Quotas depend on the size: with sub-domains, larger forms are ranked apart.
    end = len(reported) if len(pd.unique(domains)) == 1 else form + 1
    groups = [sizes for sizes in (reported[:end], reported[end:]) if sizes]
    ranked = [
        ranked_without_folds(filled, target, folds, Balance(domains, sizes[-1]), sizes[-1])
        for sizes in groups
    ]
    honest = np.vstack([
        cross_fitted(filled, target, folds, first_of_each(each, folds, sizes))
        for each, sizes in zip(ranked, groups, strict=True)
    ])  # fmt: skip
    own = cross_fitted(filled, target, folds, lambda seen: [positions])[0]
    optimism = max(1.0, rmse(honest[form], target) / rmse(own, target))
    evaluation = {"optimism": optimism, "sizes": size_rows(reported, honest, target)}
    by_fold = {fold: each[:size] for fold, each in ranked[0].items()}
    return _with_information(positions, pool), evaluation, by_fold


def _rebuilding(options, pool: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return full scores, filled responses and folds of training subjects that have both."""
    training = read_training(options.training).scored()
    responses = training.responses.select_items(pool["item"].tolist(), options.training)
    theta = read_table(options.abilities, "abilities").set_index("subject")["theta"]
    theta = theta.reindex(responses.subjects).to_numpy()
    known = ~np.isnan(theta)
    check_enough(
        known.sum(), options.training, "selection by reconstruction, or with a penalty,",
        instead="choose another config key 'selection.method', ",
    )  # fmt: skip
    filled = fill_expected(responses.matrix[known], pool, theta[known])
    return training.full_score[known], filled, training.fold[known]


def drawn_forms(domains: np.ndarray, size: int, n_forms: int, seed: int) -> list[np.ndarray]:
    """Draw forms at random, each within the quotas of the sub-domains."""
    balance = Balance(domains, size)
    orders = random_forms(len(domains), len(domains), n_forms, seed)
    return [balance.first_of(order) for order in orders]


def _with_information(positions: np.ndarray, pool: pd.DataFrame) -> Selected:
    """Add each item's largest information, and where it is reached."""
    theta = np.linspace(-LIMIT, LIMIT, TABULATED)
    information = item_information(pool.iloc[positions], theta)
    return Selected(positions, information.max(axis=1), theta[information.argmax(axis=1)], None)


def information_table(benchmark: str, parameters: pd.DataFrame) -> pd.DataFrame:
    """Return the information of every item over the range of ability, long."""
    theta = np.linspace(-LIMIT, LIMIT, TABULATED)
    return pd.DataFrame(
        {
            "benchmark": benchmark,
            "item": np.repeat(parameters["item"].to_numpy(object), TABULATED),
            "theta": np.tile(theta, len(parameters)),
            "information": item_information(parameters, theta).ravel(),
        }
    )


def _form(benchmark: str, form: str, items: np.ndarray, positions: np.ndarray) -> pd.DataFrame:
    """Return the rows of one form."""
    return pd.DataFrame(
        {
            "benchmark": benchmark,
            "form": form,
            "rank": np.arange(1, len(positions) + 1),
            "item": items[positions],
            "information": np.nan,
            "theta_at_maximum": np.nan,
        }
    )


def _training_abilities(options) -> np.ndarray:
    """Return the abilities of training subjects from the whole pool."""
    theta = read_table(options.abilities, "abilities")["theta"].dropna().to_numpy()
    if len(theta) < 2:
        raise UserError(
            f"{options.abilities}: {len(theta)} training subjects have an ability; at least 2 are "
            "needed: score the training table by score-subjects"
        )
    return theta
