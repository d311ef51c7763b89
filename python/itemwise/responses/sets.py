"""The wall between training and test: one cut of a benchmark's subjects, in two files.

`cut_sets` writes both tables. What chooses, calibrates or fits reads training tables; test
tables are read by what scores and judges the models in them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from itemwise.errors import UserError, listed
from itemwise.responses.matrix import Responses, answers, open_wide, write_wide
from itemwise.tables.contract import arrow_type, check_table, contract
from itemwise.tables.limits import limit_of

FEWEST_SUBJECTS = limit_of("training_subjects")
"""Training subjects without whom answers cannot be related to full scores."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subjects:
    """Subjects of a benchmark with their responses and full scores.

    Attributes
    ----------
    responses : Responses
    full_score : array, shape (n_subjects,)
        Score on the whole benchmark in points; not a number where unknown.
    """

    responses: Responses
    full_score: np.ndarray

    def take(self, subjects: np.ndarray):
        """Return the subjects at the given positions or mask."""
        along = {name: values[subjects] for name, values in vars(self).items()
                 if isinstance(values, np.ndarray)}  # fmt: skip
        return replace(self, responses=self.responses.take(subjects=subjects), **along)

    def scored(self):
        """Return the subjects whose full score is known."""
        return self.take(~np.isnan(self.full_score))

    def of_items(self, items: Sequence[str], source: str):
        """Return the part with the named items, of the subjects that answered any of them.

        Parameters
        ----------
        items : sequence of str
        source : str
            Where the subjects come from, for messages.

        Raises
        ------
        UserError
            An item has no column.
        """
        cut = replace(self, responses=self.responses.select_items(items, source))
        answered = cut.responses.administered.any(axis=1)
        if not answered.all():
            LOG.warning(
                "%s: left out %d subjects that answered screened-out items only: %s",
                source,
                (~answered).sum(),
                listed(self.responses.subjects[~answered]),
            )
        return cut.take(answered)

    @property
    def scores(self) -> pd.Series:
        """The known full scores, by subject."""
        return pd.Series(self.full_score, self.responses.subjects).dropna()


@dataclass(frozen=True)
class Training(Subjects):
    """Training subjects; `fold`, an array of int, is the cross-validation fold of each."""

    fold: np.ndarray

    @property
    def folds(self) -> pd.Series:
        """The folds, by subject."""
        return pd.Series(self.fold, self.responses.subjects)


def check_enough(
    n: int, source: str, purpose: str, have: str = "a full score", instead: str = ""
) -> None:
    """Refuse fewer training models than relate answers to full scores; R has the same words.

    Parameters
    ----------
    n : int
        Training models that can be used.
    source, purpose : str
        Where they come from, and what needs them.
    have : str
        What makes them usable.
    instead : str
        What else the user can do, ending in a comma and a space.

    Raises
    ------
    UserError
        They are fewer than `FEWEST_SUBJECTS`.
    """
    if n < FEWEST_SUBJECTS:
        raise UserError(
            f"{source}: {n} training models have {have}; {purpose} needs at least "
            f"{FEWEST_SUBJECTS}: {instead}add models, lower config key 'split.test', or let models "
            "that answered fewer items have a full score (config key 'coverage')"
        )


@dataclass(frozen=True)
class HeldOut(Subjects):
    """Subjects that nothing is chosen by; `set`, an array of str, is `test` or `validation`."""

    set: np.ndarray

    def of_set(self, name: str) -> HeldOut:
        """Return the subjects of a set."""
        return self.take(self.set == name)


def cut(
    responses: Responses, splits: pd.DataFrame, full_score: pd.Series, source: str = "splits"
) -> tuple[Training, HeldOut]:
    """Divide the subjects of a benchmark.

    Parameters
    ----------
    responses : Responses
    splits : data frame
        Table `splits`, with a row for each subject.
    full_score : series
        Points, by subject.
    source : str
        Where the splits come from, for messages.

    Raises
    ------
    UserError
        A training subject without a fold; fewer than 2 training subjects, no other.
    """
    known = splits.set_index("subject").loc[responses.subjects]
    score = full_score.reindex(responses.subjects).to_numpy(float)
    train = (known["set"] == "train").to_numpy()
    folds = known["fold"][train]
    if folds.isna().any():
        raise UserError(
            f"{source}: training subject '{folds.index[folds.isna()][0]}' has no fold; write the "
            "splits by split_subjects"
        )
    if train.sum() < 2 or train.all():
        raise UserError(
            f"{source}: {train.sum()} training and {(~train).sum()} other subjects have responses; "
            "at least 2 and 1 are needed: change config key 'split.test', or add subjects"
        )
    sets = known["set"].to_numpy(object)
    training = Training(responses.take(train), score[train], folds.to_numpy(int))
    return training, HeldOut(responses.take(~train), score[~train], sets[~train])


def read_training(path: str | Path) -> Training:
    """Read a training table, parquet or CSV.

    Raises
    ------
    UserError
        It is none, or breaks the contract; see `read_responses` too.
    """
    table = open_wide(path)
    known = _known_columns(table, "training", path, "fold")
    responses = answers(table, path)
    return Training(responses, known["full_score"].to_numpy(float), known["fold"].to_numpy(int))


def read_test(path: str | Path) -> HeldOut:
    """Read a test table, parquet or CSV.

    A plain table of responses counts as a test set whose full scores are unknown; a training
    table is refused.

    Raises
    ------
    UserError
        It is a training table, or breaks the contract; see `read_responses` too.
    """
    table = open_wide(path)
    if "fold" in table.column_names:
        raise UserError(f"{path}: is a training table; give a test table, which cut-sets writes")
    responses = answers(table, path)
    if not {"set", "full_score"} & set(table.column_names):
        n = len(responses.subjects)
        return HeldOut(responses, np.full(n, np.nan), np.full(n, "test", dtype=object))
    known = _known_columns(table, "test", path, "set")
    return HeldOut(responses, known["full_score"].to_numpy(float), known["set"].to_numpy(object))


def write_training(training: Training, path: str | Path) -> None:
    """Write a training table."""
    _write(training, {"fold": training.fold}, path, "training")


def write_test(test: HeldOut, path: str | Path) -> None:
    """Write a test table."""
    _write(test, {"set": test.set}, path, "test")


def _known_columns(table: pa.Table, name: str, path: str | Path, own: str) -> pd.DataFrame:
    """Return what a training or test table has besides responses, checked."""
    if own not in table.column_names:
        raise UserError(
            f"{path}: is no {name} table, for it lacks the column '{own}'; cut responses into "
            "training and test tables by cut-sets"
        )
    columns = [column for column in contract()[name].columns if column in table.column_names]
    known = table.select(columns).to_pandas()
    # The responses are checked apart: data frames of thousands of columns are slow.
    check_table(known, name, str(path), items=False)
    return known


def _write(subjects: Subjects, own: dict[str, np.ndarray], path: str | Path, name: str) -> None:
    """Write a table of subjects: what is known of each, and responses."""
    known = pd.DataFrame({"subject": subjects.responses.subjects, **own})
    known["full_score"] = subjects.full_score
    check_table(known, name, str(path), items=False)
    arrays = {
        column: pa.Array.from_pandas(known[column], type=arrow_type(name, column), safe=False)
        for column in (*own, "full_score")
    }
    write_wide(subjects.responses, arrays, path)
