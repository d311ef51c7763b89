"""Cells of response tables as numbers, whatever type the file gives them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from itemwise.errors import UserError

WORDS = {"true": 1.0, "false": 0.0} | dict.fromkeys(
    ("", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a", "#na"), np.nan
)
"""What texts stand for, in lower case: R, pandas, SQL and spreadsheets write them so."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")

GRADED = (
    "config key 'binarize' counts responses as right from a value on (the full score is then the "
    "percentage of such responses and no longer the mean of the metric; 'full_scores' keeps that)"
)
"""The remedy for graded responses, and what it changes."""


def numbers(
    column: pa.ChunkedArray | pa.Array, name: str, label: Callable[[int], str], source: str
) -> np.ndarray:
    """Return a column as floating-point numbers, null as not-a-number.

    Numbers, decimals and booleans of any width, and texts that can be read one way only:
    `1`, `0.5`, `TRUE`, `NA`.

    Parameters
    ----------
    column : Arrow array
    name : str
        Of the column, for messages.
    label : callable
        Names the row at a position, for messages.
    source : str
        File, for messages.

    Raises
    ------
    UserError
        Another type, or the first cell that is no finite number.
    """
    values, texts = _numbers(column, name, source)
    wrong = np.isinf(values) if texts is None else texts
    if wrong.any():
        row = int(wrong.argmax())
        shown = column[row].as_py()
        shown = repr(shown) if isinstance(shown, str) else shown
        point = "; write decimals with a point" if re.fullmatch(r"'-?\d+,\d+'", str(shown)) else ""
        raise UserError(
            f"{source}: column '{name}', {label(row)}: {shown} is not a finite number{point}; "
            "correct the cell, or leave the column out if it is no item"
        )
    return values


def graded(values: np.ndarray, binarize: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return responses as 0, 1 and not-a-number, and which are neither.

    With `binarize` none is: those from it on are 1, those below 0.
    """
    missing = np.isnan(values)
    if binarize is not None:
        return np.where(missing, np.nan, values >= binarize), np.zeros(len(values), dtype=bool)
    return values, ~missing & (values != 0) & (values != 1)


def _numbers(column, name: str, source: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a column as numbers, and for texts which cells are none."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _decoded(column, name, source)
    if _is_text(kind):
        return _decoded(column.cast(pa.string()).dictionary_encode(), name, source)
    if not (pa.types.is_null(kind) or pa.types.is_boolean(kind) or _is_number(kind)):
        raise UserError(
            f"{source}: column '{name}' holds {kind}, not numbers; drop the column or convert it"
        )
    values = column.cast(pa.float64(), safe=False).to_pandas().to_numpy(float)
    return values, None


def _decoded(column, name: str, source: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a column whose distinct values are kept once, as `_numbers` does."""
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # of an empty table
            return np.empty(0), None
    distinct = column.dictionary
    codes = column.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    if not _is_text(distinct.type):
        values, wrong = _numbers(distinct, name, source)
        return np.append(values, np.nan)[codes], None
    read = [text_number(text) for text in distinct.to_pylist()]
    values = np.array([np.nan if v is None else v for v in read] + [np.nan])
    wrong = np.array([v is None for v in read] + [False])
    return values[codes], wrong[codes] | np.isinf(values[codes])


def text_number(text: str | None) -> float | None:
    """Return the number that a text stands for, not-a-number for a null; None for other texts."""
    plain = "" if text is None else text.strip().lower()
    if plain in WORDS:
        return WORDS[plain]
    return float(plain) if NUMBER.fullmatch(plain) else None


def _is_text(kind: pa.DataType) -> bool:
    """Return whether a type is of texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _is_number(kind: pa.DataType) -> bool:
    """Return whether a type is of numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
