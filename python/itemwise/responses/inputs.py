"""Reading that several stages share."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.responses.domains import domains_of
from itemwise.responses.matrix import Responses, check_answered, read_responses
from itemwise.tables.contract import read_table

FEWEST_SUBJECTS = 50
"""Training subjects without whom full scores cannot be related to items."""

LOG = logging.getLogger(__name__)


def answered_responses(path: str) -> Responses:
    """Read responses, each subject having at least one."""
    responses = read_responses(path)
    check_answered(responses, path)
    return responses


def screened_responses(responses: str, items: str | None) -> Responses:
    """Read responses, cut to the items that passed the screen."""
    matrix = answered_responses(responses)
    if items is None:
        return matrix
    table = read_table(items, "items")
    if "keep" not in table:
        raise UserError(f"{items}: lacks the column 'keep'; run screen_items.R first")
    kept = matrix.select_items(table.loc[table["keep"] == 1, "item"].tolist(), responses)
    answered = kept.administered.any(axis=1)
    if not answered.all():
        LOG.warning(
            "%s: left out %d subjects that answered screened-out items only: %s",
            responses,
            (~answered).sum(),
            listed(kept.subjects[~answered]),
        )
    return kept.take(subjects=answered)


def benchmark_scores(path: str, benchmark: str) -> pd.Series:
    """Return the full scores of a benchmark in points, by subject.

    Raises
    ------
    UserError
        The table holds none of the benchmark.
    """
    table = read_table(path, "full_scores")
    if benchmark not in set(table["benchmark"]):
        raise UserError(
            f"{path}: no full scores of benchmark '{benchmark}'; it holds "
            f"{listed(sorted(set(table['benchmark'])))}: give the full scores of the same run"
        )
    return table[table["benchmark"] == benchmark].set_index("subject")["full_score"]


def read_splits(splits: str, subjects: np.ndarray, source: str) -> pd.DataFrame:
    """Read a splits table that has a row for every one of some subjects.

    Raises
    ------
    UserError
        Subjects of `source` are missing: leaving them out would change every result.
    """
    table = read_table(splits, "splits")
    subjects = np.asarray(subjects, dtype=object)
    absent = subjects[~np.isin(subjects.astype(str), table["subject"].to_numpy(str))]
    if absent.size:
        raise UserError(
            f"{splits}: {absent.size} of {subjects.size} subjects of {source} have no row: "
            f"{listed(absent)}; give the splits of the same subjects, names written alike"
        )
    return table


def training_subjects(splits: str, subjects: np.ndarray, source: str) -> np.ndarray:
    """Return the subjects of the training set; all of `source` must be in the splits."""
    table = read_splits(splits, subjects, source)
    return table.loc[table["set"] == "train", "subject"].to_numpy(object)


def training_folds(splits: str) -> pd.Series:
    """Return the fold of each training subject, by subject."""
    table = read_table(splits, "splits")
    return table[table["set"] == "train"].set_index("subject")["fold"]


def training_responses(responses: Responses, splits: str | None) -> Responses:
    """Return the responses of training subjects, of all where there is no split."""
    if splits is None:
        return responses
    chosen = training_subjects(splits, responses.subjects, "the responses")
    training = responses.select_subjects(chosen)
    if len(training.subjects) < 2:
        raise UserError(
            f"{splits}: {len(training.subjects)} training subjects occur in the responses; "
            "at least 2 are needed: check that both name the models alike"
        )
    return training


def sub_domains(column: str | None, table: str | None, items: np.ndarray) -> np.ndarray:
    """Return each item's sub-domain by a column of the items table; one where there is none."""
    if column is None:
        return np.zeros(len(items), dtype=int)
    return domains_of(items, read_table(table, "items"), column, table)
