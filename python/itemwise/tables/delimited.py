"""CSV files: which delimiter, which columns, and their cells as texts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from itemwise.errors import UserError

DELIMITERS = (",", ";", "\t", "|")
LANDMARKS = {"subject", "source", "item"}
"""Columns of response tables, by which the delimiter is known."""
BLOCK = 2**24
"""Bytes that are read at once; no line may be longer."""
TEXTS = pa.dictionary(pa.int32(), pa.string())
"""Cells are texts, each kept once: a column of 0 and 1 takes a few bytes a row."""


def csv_columns(path: Path) -> list[str]:
    """Return the names of the columns as the file writes them.

    Raises
    ------
    UserError
        The file cannot be read as CSV.
    """
    with _reading(path), _opened(path) as reader:
        return reader.schema.names


def open_csv(path: Path) -> pa.Table:
    """Read a CSV whole, every column as texts."""
    return pa.Table.from_batches(
        csv_batches(path), pa.schema([(n, TEXTS) for n in csv_columns(path)])
    )


def csv_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a CSV, every one as texts.

    Raises
    ------
    UserError
        The file cannot be read as CSV.
    """
    columns = csv_columns(path) if columns is None else columns
    options = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, TEXTS), include_columns=list(columns)
    )
    with _reading(path), _opened(path, options) as reader:
        yield from reader


def delimiter(path: Path) -> str:
    """Return what separates the columns, as the first line shows: comma, semicolon, tab or |."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line.strip("\r\n") for line in lines if line.strip()), "")
    parted = {mark: _parts(first, mark) for mark in DELIMITERS}
    several = [mark for mark, parts in parted.items() if len(parts) > 1]
    known = [mark for mark in several if LANDMARKS & set(parted[mark])]
    return next(iter([*known, *several, ","]))


def _parts(line: str, mark: str) -> list[str]:
    """Part a line at a delimiter, outside of quotes; one part where that is impossible."""
    try:
        return [part.strip() for part in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:  # a part of more than 131,072 characters
        return [line]


def _opened(path: Path, options: pa.csv.ConvertOptions | None = None) -> pa.csv.CSVStreamingReader:
    """Open a CSV for reading block by block."""
    return pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(block_size=BLOCK),
        pa.csv.ParseOptions(delimiter=delimiter(path), newlines_in_values=True),
        options,
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that cannot be read as CSV."""
    if not path.exists():
        raise UserError(f"{path}: no such file; check the path")
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as CSV ({str(error).strip().splitlines()[0]}); every line "
            "needs the columns of the first one, in UTF-8: write or download it again"
        ) from error
