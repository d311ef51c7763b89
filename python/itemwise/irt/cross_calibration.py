"""Calibrations without one fold each, so that no subject is scored by items it helped to calibrate.

What a read-out learns from subjects who calibrated the items themselves is too good: their
abilities fit their own noise. Abilities by items of the other folds are as noisy as those of
new subjects, so that errors and intervals learnt from them hold for new subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.irt.linking import link_by_items, transform
from itemwise.irt.model import to_beta
from itemwise.irt.native import check_varying, fit_native
from itemwise.irt.prior import Moments
from itemwise.responses.matrix import Responses

PARAMETERS = ["item", "a", "d", "g", "u"]
MAX_ITERATIONS = 1000


def calibrate_folds(
    responses: Responses,
    folds: pd.Series,
    reference: pd.DataFrame,
    model: str,
    prior: str,
    moments: Moments | None = None,
    points: int | None = None,
    threads: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, list[dict]]:
    """Calibrate the items without each fold, on the scale of one calibration of all.

    Each starts at the reference, from which it is a few steps away. The scales are linked
    through the items (Stocking & Lord 1983); negligible where models are many, but a fold of
    few has a mean ability of its own.

    Parameters
    ----------
    responses : Responses
        Training subjects.
    folds : series
        Fold of each training subject, by subject.
    reference : data frame
        Table `parameters` of the calibration with everybody. Items that it lacks are left out.
    model, prior : str
        Those of the reference.
    moments : Moments, optional
        Of its estimated prior. All folds have the same: these few numbers of all items tell
        nothing of any one model, and they keep the scale of a fold of few models.
    points : int, optional
        Points of its quadrature.
    threads : int
    progress : callable
        Told when a fold is done.

    Returns
    -------
    parameters : data frame
        Table `fold_parameters`. Without an
        estimated prior an item that all others answered alike lacks in its fold.
    records : list of dict
        Of each fold, the fit record.

    Raises
    ------
    UserError
        Fewer than two folds; a subject without a fold.
    """
    responses = responses.select_items(reference["item"].tolist(), "responses")
    fold = fold_of(responses.subjects, folds)
    reference = reference.set_index("item", drop=False)
    constant_items = "keep" if prior == "estimated" else "drop"
    tables, records = [], []
    for left_out in np.unique(fold):
        others, *_ = check_varying(responses.take(subjects=fold != left_out), constant_items)
        start = to_beta(reference.loc[others.items], model)
        table, record = fit_native(
            others,
            model,
            prior,
            points,
            False,
            threads,
            MAX_ITERATIONS,
            [start],
            moments=moments,
        )
        linked = transform(table, link_by_items(reference, table, standard_errors=False))
        tables.append(linked[PARAMETERS].assign(fold=int(left_out)))
        records.append({"fold": int(left_out), **record})
        progress()
    return pd.concat(tables, ignore_index=True)[["fold", *PARAMETERS]], records


def fold_of(subjects: np.ndarray, folds: pd.Series) -> np.ndarray:
    """Return the fold of each subject.

    Raises
    ------
    UserError
        A subject has none; all have the same.
    """
    fold = folds.reindex(subjects)
    if fold.isna().any():
        raise UserError(
            f"splits: training subject '{fold.index[fold.isna()][0]}' has no fold; "
            "run split_subjects again"
        )
    if fold.nunique() < 2:
        raise UserError("splits: training subjects are all in one fold; at least 2 are needed")
    return fold.to_numpy(int)


def by_fold(
    responses: Responses, folds: pd.Series, fold_parameters: pd.DataFrame, source: str
) -> Iterator[tuple[Responses, pd.DataFrame]]:
    """Yield each fold's subjects with the items that were calibrated without them.

    Parameters
    ----------
    responses : Responses
        Training subjects, to some of the items.
    folds : series
        Fold of each, by subject.
    fold_parameters : data frame
        Table of `calibrate_folds`.
    source : str
        What the parameters come from, for errors.

    Yields
    ------
    responses, parameters
        Of one fold: table `parameters` in the order of the responses' items; subjects that
        answered none of these items are left out.

    Raises
    ------
    UserError
        A fold without a calibration.
    """
    fold = fold_of(responses.subjects, folds)
    for left_out in np.unique(fold):
        rows = fold_parameters[fold_parameters["fold"] == left_out]
        if rows.empty:
            raise UserError(
                f"{source}: holds no calibration without fold {left_out}; run fit-folds again "
                "with the same splits"
            )
        rows = rows.drop(columns="fold").set_index("item", drop=False)
        known = [item for item in responses.items if item in rows.index]
        part = responses.take(subjects=fold == left_out).select_items(known, source)
        part = part.take(subjects=part.administered.any(axis=1))
        if len(part.subjects):
            yield part, rows.loc[known].reset_index(drop=True)
