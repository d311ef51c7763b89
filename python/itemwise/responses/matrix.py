"""The response matrix: which subject answered which item, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from itemwise.errors import UserError, listed
from itemwise.responses.cells import GRADED, graded, numbers
from itemwise.responses.names import CSV_NULLS, NO_ITEMS, check_item_names, clean
from itemwise.tables.contract import check_table, open_parquet, write_arrow
from itemwise.tables.delimited import open_csv

MISSING = -1
SAVED_INDEX = re.compile(r"__index_level_\d+__")
"""Columns in which pandas keeps the numbers of rows."""


@dataclass(frozen=True)
class Responses:
    """Responses of subjects to the items of one benchmark.

    Attributes
    ----------
    subjects : array of str, shape (n_subjects,)
        Language models.
    items : array of str, shape (n_items,)
        Item ids.
    matrix : array of int8, shape (n_subjects, n_items)
        1 right, 0 wrong, -1 not administered.
    """

    subjects: np.ndarray
    items: np.ndarray
    matrix: np.ndarray

    @property
    def administered(self) -> np.ndarray:
        """Which cells hold a response, boolean of the matrix's shape."""
        return self.matrix != MISSING

    def take(
        self, subjects: np.ndarray | None = None, items: np.ndarray | None = None
    ) -> Responses:
        """Return the part with the subjects and items at the given positions or mask."""
        rows = slice(None) if subjects is None else subjects
        columns = slice(None) if items is None else items
        return Responses(self.subjects[rows], self.items[columns], self.matrix[rows][:, columns])

    def select_items(self, items: Sequence[str], source: str) -> Responses:
        """Return the part with the named items, in the order given.

        Raises
        ------
        UserError
            An item has no column in the responses.
        """
        at = pd.Index(self.items, dtype=object).get_indexer(items)
        if (at < 0).any():
            absent = np.asarray(items)[at < 0]
            raise UserError(
                f"{source}: {absent.size} items have no column in the responses: "
                f"{listed(absent)}; give the responses that the items were calibrated on"
            )
        return self.take(items=at)

    def select_subjects(self, subjects: Sequence[str]) -> Responses:
        """Return the part with those of the named subjects that occur, in matrix order."""
        return self.take(subjects=np.isin(self.subjects, np.asarray(subjects, dtype=object)))


def read_responses(path: str | Path) -> Responses:
    """Read a wide response table: `subject` and one 0/1 column an item, parquet or CSV.

    A training or test table is one too; of its other columns nothing is read.

    Raises
    ------
    UserError
        Missing or unreadable file, no subject column, no item or subject,
        duplicated ids, values other than 0, 1 and null, a long table.
    """
    return answers(open_wide(path), path)


def open_wide(path: str | Path) -> pa.Table:
    """Open a wide response table, parquet or CSV; see `read_responses`."""
    table = open_csv(Path(path)) if Path(path).suffix == ".csv" else open_parquet(path)
    names = [clean(name) for name in table.column_names]
    if {"subject", "item", "response"} <= set(names):
        raise UserError(
            f"{path}: is a long table (a row a response), and a wide one is needed (a column an "
            f"item); make it by itemwise build-responses --sources {path} --benchmark NAME"
        )
    if "subject" not in names:
        raise UserError(
            f"{path}: table 'responses' lacks the column 'subject'; it has "
            f"{listed(map(repr, names))}: rename the column that names the models"
        )
    return table


def answers(table: pa.Table, path: str | Path) -> Responses:
    """Return the responses in a wide table, without the other columns of training and test."""
    known = [name for name in NO_ITEMS if name in table.column_names]
    if known != ["subject"]:
        check_table(table.select(known).to_pandas(), "responses", str(path), items=False)
        known.remove("subject")
        table = table.drop_columns(known)
    return from_arrow(table, str(path))


def from_arrow(table: pa.Table, source: str, binarize: float | None = None) -> Responses:
    """Convert an Arrow table (`subject`, one column an item) to responses.

    Blanks around names do not count, columns in which row numbers are saved are left out.
    With `binarize` graded responses are right from that value on.
    """
    names = [clean(name) for name in table.column_names]
    kept = [place for place, name in enumerate(names) if not _is_saved_index(name, place)]
    table, names = table.select(kept), [names[place] for place in kept]
    check_items(names, source)
    subjects = [clean(name) for name in table.column(names.index("subject")).to_pylist()]
    if source.endswith(".csv"):
        subjects = [None if name in CSV_NULLS else name for name in subjects]
    subjects = np.asarray(subjects, dtype=object)
    check_subjects(subjects, source)
    at = {name: place for place, name in enumerate(names) if name != "subject"}
    items = list(at)
    matrix = np.empty((len(subjects), len(items)), dtype=np.int8)
    for position, item in enumerate(items):
        column = table.column(at[item])
        matrix[:, position] = _binary_column(column, item, subjects, source, binarize)
    return Responses(subjects, np.asarray(items, dtype=object), matrix)


def _is_saved_index(name: str | None, place: int) -> bool:
    """Return whether a column holds the names of rows, as pandas and R write them."""
    return bool(place == 0 if name is None else SAVED_INDEX.fullmatch(name))


def check_items(names: Sequence[str], source: str) -> None:
    """Check the names of all columns: there are items, and no name occurs twice."""
    if len(names) < 2:
        apart = (
            "; is it a CSV whose columns are apart by something else than comma, semicolon, tab "
            "or |? "
            if source.endswith(".csv")
            else "; "
        )
        raise UserError(
            f"{source}: table 'responses' has no item column{apart}add one column an item"
        )
    if None in names:
        raise UserError(f"{source}: column {names.index(None) + 1} has no name; name the item")
    duplicated = pd.Index(names).duplicated()
    if duplicated.any():
        twice = names[int(duplicated.argmax())]
        raise UserError(f"{source}: item '{twice}' has two columns; keep one")
    check_item_names([name for name in names if name != "subject"], source)


def check_subjects(subjects: np.ndarray, source: str) -> None:
    """Check that there are subjects, all named, each once."""
    if not len(subjects):
        raise UserError(f"{source}: table 'responses' has no rows; check what wrote it")
    for row, subject in enumerate(subjects, start=1):
        if not isinstance(subject, str):
            raise UserError(
                f"{source}: column 'subject', row {row}: {subject!r} is not a text; name the model"
            )
    duplicated = pd.Index(subjects).duplicated()
    if duplicated.any():
        row = int(duplicated.argmax())
        raise UserError(
            f"{source}: row {row + 1}: subject '{subjects[row]}' occurs twice; "
            "keep one row a model (runs of one model need different names)"
        )


def check_answered(responses: Responses, source: str) -> None:
    """Check that every subject has a response."""
    empty = ~responses.administered.any(axis=1)
    if empty.any():
        row = int(empty.argmax())
        raise UserError(
            f"{source}: row {row + 1}: subject '{responses.subjects[row]}' has no response "
            f"({empty.sum()} such subjects); leave them out"
        )


def write_responses(responses: Responses, path: str | Path) -> None:
    """Check the wide response table and write it atomically, one int8 column an item."""
    write_wide(responses, {}, path)


def write_wide(responses: Responses, known: dict[str, pa.Array], path: str | Path) -> None:
    """Write responses as `write_responses` does, further columns before the items."""
    names = ["subject", *responses.items.tolist()]
    check_items(names, str(path))
    check_subjects(responses.subjects, str(path))
    missing = responses.matrix == MISSING
    columns = [pa.array(responses.subjects.tolist(), type=pa.string()), *known.values()]
    for position, item in enumerate(responses.items):
        column = pa.array(responses.matrix[:, position], type=pa.int8(), mask=missing[:, position])
        _binary_column(column, item, responses.subjects, str(path))
        columns.append(column)
    write_arrow(pa.Table.from_arrays(columns, names=[names[0], *known, *names[1:]]), path)


def from_frame(frame: pd.DataFrame, source: str = "responses") -> Responses:
    """Convert a data frame (`subject` as column or index, items as columns) to responses."""
    if "subject" in frame.columns:
        frame = frame.set_index("subject")
    columns = [frame.index.to_series(), *(frame.iloc[:, i] for i in range(frame.shape[1]))]
    names = ["subject", *map(str, frame.columns)]
    return from_arrow(
        pa.Table.from_arrays(
            [_arrow(column, name, source) for column, name in zip(columns, names, strict=True)],
            names=names,
        ),
        source,
    )


def _arrow(column: pd.Series, name: str, source: str) -> pa.Array:
    """Convert a column of a data frame."""
    try:
        array = pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(
            f"{source}: column '{name}' mixes types ({str(error).splitlines()[0]}); convert it"
        ) from error
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _binary_column(
    column: pa.ChunkedArray | pa.Array,
    item: str,
    subjects: np.ndarray,
    source: str,
    binarize: float | None = None,
) -> np.ndarray:
    """Return one item's responses as int8 with -1 for null, or name the first wrong cell."""

    def label(row: int) -> str:
        return f"row {row + 1} (subject '{subjects[row]}')"

    values, wrong = graded(numbers(column, item, label, source), binarize)
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{source}: column '{item}', {label(row)}: {values[row]:g} is neither 0 nor 1; leave "
            f"unanswered cells null; {GRADED}; or is this column no item? Leave it out"
        )
    return np.where(np.isnan(values), MISSING, values).astype(np.int8)
