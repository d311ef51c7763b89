"""The response matrix: which subject answered which item, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from itemwise.errors import UserError, listed
from itemwise.tables.contract import open_parquet, write_arrow

MISSING = -1


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
        at = pd.Index(self.items).get_indexer(items)
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
    """Read a wide response table: `subject` and one 0/1 column an item.

    Raises
    ------
    UserError
        Missing or unreadable file, no subject column, no item or subject,
        duplicated ids, values other than 0, 1 and null.
    """
    table = open_parquet(path)
    names = table.column_names
    if "subject" not in names:
        raise UserError(
            f"{path}: table 'responses' lacks the column 'subject'; it has "
            f"{listed(map(repr, names))}: rename the column that names the models"
        )
    return from_arrow(table, str(path))


def from_arrow(table: pa.Table, source: str) -> Responses:
    """Convert an Arrow table (`subject`, one column an item) to responses."""
    names = table.column_names
    items = [name for name in names if name != "subject"]
    check_items(names, source)
    subjects = np.asarray(table.column("subject").to_pylist(), dtype=object)
    check_subjects(subjects, source)
    matrix = np.empty((len(subjects), len(items)), dtype=np.int8)
    for position, item in enumerate(items):
        matrix[:, position] = _binary_column(table.column(item), item, subjects, source)
    return Responses(subjects, np.asarray(items, dtype=object), matrix)


def check_items(names: Sequence[str], source: str) -> None:
    """Check the names of all columns: there are items, and no name occurs twice."""
    if len(names) < 2:
        raise UserError(f"{source}: table 'responses' has no item column; add one column an item")
    duplicated = pd.Index(names).duplicated()
    if duplicated.any():
        twice = names[int(duplicated.argmax())]
        raise UserError(f"{source}: item '{twice}' has two columns; keep one")


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
    names = ["subject", *responses.items.tolist()]
    check_items(names, str(path))
    check_subjects(responses.subjects, str(path))
    missing = responses.matrix == MISSING
    columns = [pa.array(responses.subjects.tolist(), type=pa.string())]
    for position, item in enumerate(responses.items):
        column = pa.array(responses.matrix[:, position], type=pa.int8(), mask=missing[:, position])
        _binary_column(column, item, responses.subjects, str(path))
        columns.append(column)
    write_arrow(pa.Table.from_arrays(columns, names=names), path)


def from_frame(frame: pd.DataFrame, source: str = "responses") -> Responses:
    """Convert a data frame (`subject` as column or index, items as columns) to responses."""
    if "subject" in frame.columns:
        frame = frame.set_index("subject")
    subjects = frame.index.to_numpy(dtype=object)
    check_subjects(subjects, source)
    items = frame.columns.to_numpy(dtype=object)
    check_items(["subject", *items], source)
    matrix = np.empty(frame.shape, dtype=np.int8)
    for position, item in enumerate(items):
        column = pa.chunked_array([pa.Array.from_pandas(frame.iloc[:, position])])
        matrix[:, position] = _binary_column(column, item, subjects, source)
    return Responses(subjects, items, matrix)


def _binary_column(
    column: pa.ChunkedArray, item: str, subjects: np.ndarray, source: str
) -> np.ndarray:
    """Return one item's responses as int8 with -1 for null, or name the first wrong cell."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), MISSING, dtype=np.int8)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        held = "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else kind
        raise UserError(
            f"{source}: column '{item}' holds {held}, not 0/1 responses; "
            "drop the column or convert it"
        )
    # Through float, so that integers, floats and booleans with nulls take one path.
    values = column.to_pandas().to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(values)
    wrong = ~missing & (values != 0) & (values != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{source}: column '{item}', row {row + 1} (subject '{subjects[row]}'): "
            f"{values[row]:g} is neither 0 nor 1; leave unanswered cells null, and "
            "binarise graded metrics (config key 'binarize'); or is this column no item? Leave it "
            "out"
        )
    return np.where(missing, MISSING, values).astype(np.int8)
