"""The table contract: what each parquet table holds, checked on read and on write.

`contract.csv` beside this file is the single source; `R/itemwise/R/contract.R` reads the same
file, and `docs/data-contract.md` is generated from it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from numbers import Real
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from itemwise.errors import UserError, listed
from itemwise.tables.files import atomic_path
from itemwise.tables.plain import further_column

CONTRACT_FILE = Path(__file__).with_name("contract.csv")
ARROW_TYPES = {"string": pa.string(), "integer": pa.int32(), "number": pa.float64()}
LARGEST_INTEGER = 2**31 - 1
"""R knows no larger integer, and the files hold no larger one."""


@dataclass(frozen=True)
class Column:
    """One column of a table as the contract states it."""

    name: str
    type: str
    presence: str
    nullable: bool
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    description: str

    @property
    def required(self) -> bool:
        """Whether a table without this column breaks the contract."""
        return self.presence in ("key", "required")

    @property
    def is_key(self) -> bool:
        """Whether the column is part of the key that identifies a row."""
        return self.presence.endswith("key")


@dataclass(frozen=True)
class Table:
    """One table of the contract."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)


@cache
def contract() -> dict[str, Table]:
    """Return every table of the contract by name."""
    tables: dict[str, Table] = {}
    with CONTRACT_FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            column = Column(
                name=row["column"],
                type=row["type"],
                presence=row["presence"],
                nullable=row["nullable"] == "yes",
                minimum=float(row["minimum"]) if row["minimum"] else None,
                maximum=float(row["maximum"]) if row["maximum"] else None,
                choices=tuple(row["choices"].split()),
                description=row["description"],
            )
            tables.setdefault(row["table"], Table(row["table"])).columns[column.name] = column
    return tables


def open_parquet(path: str | Path) -> pa.Table:
    """Read a parquet file into Arrow, or say what is wrong with it.

    Raises
    ------
    UserError
        The file is missing, is a folder, or cannot be read as parquet.
    """
    with reading_parquet(path):
        # One file, as it is: the data-set reader would add columns from folder names.
        return pq.ParquetFile(path, page_checksum_verification=True).read()


@contextmanager
def reading_parquet(path: str | Path) -> Iterator[None]:
    """Say what is wrong with a parquet file that is missing, damaged or cannot be read."""
    if not Path(path).exists():
        raise UserError(f"{path}: no such file; check the path, or run the stage that writes it")
    if Path(path).suffix == ".csv":
        raise UserError(
            f"{path}: is a CSV, and this table is read as parquet; convert it by itemwise "
            f"convert-table --in {path} --out {Path(path).with_suffix('.parquet')} --table NAME"
        )
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as parquet, it is damaged, cut off or of another format "
            f"({str(error).splitlines()[0]}); write or download it again"
        ) from error


def read_table(path: str | Path, table: str) -> pd.DataFrame:
    """Read a table and check it against the contract.

    Parameters
    ----------
    path : path
        Parquet file.
    table : str
        Name of the table in the contract.

    Raises
    ------
    UserError
        What breaks the contract, by file, column, row and remedy.
    """
    frame = open_parquet(path).to_pandas()
    check_table(frame, table, str(path))
    return frame


def read_any_rows(path: str | Path, table: str) -> pd.DataFrame:
    """Read a table that its stage may have written without rows (`write_no_rows`)."""
    frame = open_parquet(path).to_pandas()
    return frame if frame.empty else read_table(path, table)


def write_table(frame: pd.DataFrame, path: str | Path, table: str) -> None:
    """Check a table against the contract and write it atomically.

    Columns that the contract does not know are written as texts, booleans, whole or floating
    numbers, which every stage in either language can take; see `further_column`.
    """
    check_table(frame, table, str(path))
    arrays = {}
    for name in frame.columns:
        kind = arrow_type(table, name)
        values = frame[name]
        arrays[name] = (
            further_column(values)
            if kind is None
            else pa.Array.from_pandas(values, type=kind, safe=False)
        )
    write_arrow(pa.table(arrays), path)


def write_no_rows(path: str | Path, table: str) -> None:
    """Write a table without rows, of what a stage left out; `read_table` refuses it."""
    columns = [c for c in contract()[table].columns.values() if c.required]
    write_arrow(pa.table({c.name: pa.array([], ARROW_TYPES[c.type]) for c in columns}), path)


def arrow_type(table: str, column: str) -> pa.DataType | None:
    """Return the type of a column in files; None where the contract does not know it."""
    columns = contract()[table].columns
    rule = columns.get(column) or columns.get("*")
    return rule and ARROW_TYPES[rule.type]


def write_arrow(table: pa.Table, path: str | Path) -> None:
    """Write an Arrow table atomically, in what every parquet reader understands."""
    check_parquet_name(path)
    with atomic_path(path) as temporary:
        write_parquet(table, temporary)


def write_parquet(table: pa.Table, path: str | Path) -> None:
    """Write an Arrow table, each page with a checksum that Python's readers compare."""
    pq.write_table(
        table, path, compression="zstd", write_statistics=False, write_page_checksum=True
    )


def check_parquet_name(path: str | Path) -> None:
    """Refuse to write parquet to a file whose name promises CSV."""
    if Path(path).suffix == ".csv":
        name = Path(path).with_suffix(".parquet")
        raise UserError(
            f"{path}: tables are written as parquet; call it {name}, and make the CSV of it by "
            f"itemwise convert-table --in {name} --out {path}"
        )


def check_table(frame: pd.DataFrame, table: str, source: str, items: bool = True) -> None:
    """Check columns, types, nulls, ranges, choices and key of a data frame.

    Parameters
    ----------
    frame : data frame
        The rows.
    table : str
        Name of the table in the contract.
    source : str
        Where the rows come from, for messages.
    items : bool
        Whether a wide table's columns of items are there to be checked.

    Raises
    ------
    UserError
        At the first breach, naming column and row (counted from 1).
    """
    columns = dict(contract()[table].columns)
    if frame.columns.has_duplicates:
        name = frame.columns[frame.columns.duplicated()][0]
        raise UserError(f"{source}: column '{name}' occurs twice; keep one")
    every_other = columns.pop("*", None)
    missing = [name for name, c in columns.items() if c.required and name not in frame]
    if missing:
        raise UserError(
            f"{source}: table '{table}' lacks the column {listed(map(repr, missing))}; "
            f"it has {listed(map(repr, frame.columns))}: rename or add the column"
        )
    present = [c for name, c in columns.items() if name in frame]
    if every_other is not None and items:
        others = [name for name in frame if name not in columns]
        if not others:
            raise UserError(f"{source}: table '{table}' has no item column; add one column an item")
        present += [replace(every_other, name=name) for name in others]
    if frame.empty:
        raise UserError(f"{source}: table '{table}' has no rows; check the stage that writes it")
    for column in present:
        _check_column(frame[column.name], column, source)
    key = [c.name for c in present if c.is_key]
    _check_key(frame, key, source)


def _check_column(values: pd.Series, column: Column, source: str) -> None:
    """Check the type, nulls, range and choices of one column."""
    where = f"{source}: column '{column.name}'"
    known = values.dropna()
    if not column.nullable and len(known) < len(values):
        row = int(values.isna().to_numpy().argmax()) + 1
        raise UserError(f"{where}, row {row}: is null; give a value or leave the row out")
    if column.type == "string":
        wrong = _no_texts(known)
    elif not pd.api.types.is_numeric_dtype(known) and len(known):
        raise UserError(f"{where}: holds {known.dtype}, not {column.type}s; convert the column")
    elif column.type == "integer":
        wrong = (known.astype(float) % 1 != 0) | (known.astype(float).abs() > LARGEST_INTEGER)
    else:
        wrong = known.astype(float).abs() == float("inf")
    if column.minimum is not None:
        wrong |= known < column.minimum
    if column.maximum is not None:
        wrong |= known > column.maximum
    if column.choices:
        wrong |= ~known.isin(column.choices)
    if wrong.any():
        at = int(wrong.to_numpy().argmax())
        row = values.notna().to_numpy().nonzero()[0][at] + 1
        value = known.iloc[at]
        shown = f"{value:.15g}" if isinstance(value, Real) else value
        raise UserError(
            f"{where}, row {row}: '{shown}' is not {_expected(column)}; correct the value"
        )


def _no_texts(known: pd.Series) -> pd.Series:
    """Return which values are no texts; value by value only where some are not."""
    if pd.api.types.infer_dtype(known, skipna=False) in ("string", "empty"):
        return pd.Series(False, known.index)
    return ~known.map(lambda value: isinstance(value, str)).astype(bool)


def _expected(column: Column) -> str:
    """Describe the values that a column may take."""
    if column.choices:
        return f"one of {', '.join(column.choices)}"
    text = {"string": "a text", "integer": "a whole number", "number": "a finite number"}
    bounds = [
        f"at least {column.minimum:g}" if column.minimum is not None else "",
        f"at most {column.maximum:g}" if column.maximum is not None else "",
    ]
    return " ".join([text[column.type], " and ".join(b for b in bounds if b)]).strip()


def _check_key(frame: pd.DataFrame, key: list[str], source: str) -> None:
    """Check that no two rows have the same key."""
    duplicated = frame.duplicated(key)
    if duplicated.any():
        row = int(duplicated.to_numpy().argmax())
        value = ", ".join(f"{name} '{frame[name].iloc[row]}'" for name in key)
        raise UserError(f"{source}: row {row + 1}: {value} occurs twice; keep one row of each")
