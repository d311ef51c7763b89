"""The mean of all benchmarks, read out of a bank."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from itemwise.readout.features import OVERALL, calibration_errors, joined_features
from itemwise.readout.implied import beside
from itemwise.readout.interval import opened
from itemwise.readout.process_tables import JOINT, JOINT_SMOOTHS, read_joint_processes
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import Responses

if TYPE_CHECKING:
    from itemwise.bank.bank import Bank


def overall_scores(
    bank: Bank, responses: Responses, features: dict[str, pd.DataFrame], form: str
) -> list[pd.DataFrame]:
    """Score subjects on the mean of all benchmarks.

    By the joint process, of subjects that answered items of every benchmark; where the bank has
    joint smooths alone, of those who answered every form completely.

    Parameters
    ----------
    bank : Bank
    responses : Responses
    features : dict
        Of every benchmark, from `bank.features`.
    form : str

    Returns
    -------
    list of data frames
        Rows of the table `scores`; empty where nobody can be scored, or the form is not joined.
    """
    terms = bank.terms[(bank.terms["benchmark"] == OVERALL) & (bank.terms["form"] == form)]
    by_name = dict(iter(terms.groupby("readout")))
    if JOINT in by_name and "kernel" in set(by_name[JOINT]["kind"]):
        return _by_process(bank, by_name[JOINT], responses, features, form)
    # Up to format 2 the smooths are called `joint`.
    name = JOINT_SMOOTHS if JOINT_SMOOTHS in by_name else JOINT
    return _by_smooths(by_name[name], features, form, name) if name in by_name else []


def _by_process(
    bank: Bank,
    terms: pd.DataFrame,
    responses: Responses,
    features: dict[str, pd.DataFrame],
    form: str,
) -> list[pd.DataFrame]:
    """Score whoever answered items of every benchmark."""
    subjects = _in_all(features)
    if not len(subjects):
        return []
    parts = {n: of.set_index("subject", drop=False).loc[subjects] for n, of in features.items()}
    answers = beside([bank.answers(responses, parts[name], name, form) for name in parts])
    reference = bank.reference[bank.reference["form"] == form]
    process = read_joint_processes(
        terms, {name: reference[reference["benchmark"] == name] for name in parts},
        {name: bank.form_parameters(name, form) for name in parts},
        {name: bank.pool(name) for name in parts},
    )[OVERALL]  # fmt: skip
    predicted = process.predict(answers).drop(columns="distance").assign(extrapolated=False)
    return [_rows(parts, predicted, form, JOINT, process.level)]


def _by_smooths(
    terms: pd.DataFrame, features: dict[str, pd.DataFrame], form: str, name: str
) -> list[pd.DataFrame]:
    """Score whoever answered every form completely."""
    complete = {benchmark: of[of["complete"]] for benchmark, of in features.items()}
    wide = joined_features(complete)
    if wide.empty:
        return []
    errors = {}
    for benchmark in complete:
        errors |= calibration_errors(wide, f"{benchmark}.")
    readout = Readout(f"{OVERALL}, form {form}, {name}", terms)
    predicted = readout.widen(readout.predict(wide), wide, errors)
    parts = {n: of.set_index("subject", drop=False).loc[wide["subject"]]
             for n, of in complete.items()}  # fmt: skip
    return [_rows(parts, predicted, form, name, readout.level)]


def _in_all(features: dict[str, pd.DataFrame]) -> np.ndarray:
    """Return the subjects that every benchmark has, in the order of the first."""
    subjects = [of["subject"].to_numpy() for of in features.values()]
    shared = reduce(np.intersect1d, subjects)
    return subjects[0][np.isin(subjects[0], shared)]


def _rows(
    parts: dict[str, pd.DataFrame], predicted: pd.DataFrame, form: str, readout: str, level: float
) -> pd.DataFrame:
    """Return rows of the table `scores`, open where the calibration cannot tell.

    Parameters
    ----------
    parts : dict
        Features of each benchmark, along the rows of `predicted`.
    """
    of_each = list(parts.values())
    sides = [np.mean([of[side] for of in of_each], axis=0) for side in ("open_lower", "open_upper")]
    about = pd.DataFrame({
        "subject": of_each[0]["subject"].to_numpy(), "benchmark": OVERALL, "form": form,
        "readout": readout, "level": level, "theta": np.nan, "se": np.nan, "person_fit": np.nan,
        "n_items": sum(of["n_items"].to_numpy() for of in of_each),
    })  # fmt: skip
    return pd.concat([about, opened(predicted, *sides)], axis=1)
