"""Columns in the types that Python, R and parquet share."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def plain_column(column: pa.Array) -> pa.Array | None:
    """Cast a column to text, boolean, int32, int64 or double; None where it is none of these.

    Dates and times become text in ISO 8601, times to the second and, where they name a zone,
    in UTC: `R/itemwise/R/parquet.R` writes them so, too.
    """
    kind = column.type
    if types.is_dictionary(kind):
        return plain_column(column.dictionary_decode())
    if types.is_boolean(kind):
        return column
    if any(is_text(kind) for is_text in (types.is_string, types.is_large_string,
                                         types.is_string_view, types.is_null)):  # fmt: skip
        return column.cast(pa.string())
    if types.is_date(kind):
        return pc.strftime(column, format="%Y-%m-%d")
    if types.is_timestamp(kind):
        return pc.strftime(column.cast(pa.timestamp("s"), safe=False), format="%Y-%m-%dT%H:%M:%S")
    if types.is_floating(kind) or types.is_decimal(kind):
        return column.cast(pa.float64())
    if types.is_integer(kind):
        small = kind.bit_width < 32 or types.is_int32(kind)
        return column.cast(pa.int32() if small else pa.int64())
    return None


def further_column(values: pd.Series) -> pa.Array:
    """Return a column that the contract does not know, in a type that both languages have.

    What `plain_column` cannot cast becomes text: lists and mappings as JSON, and so does a
    column that mixes types.
    """
    try:
        array = pa.Array.from_pandas(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    plain = None if array is None else plain_column(array)
    if plain is not None:
        return plain
    texts = [None if _is_null(value) else _as_text(value) for value in values]
    return pa.array(texts, pa.string())


def _is_null(value) -> bool:
    """Return whether a cell is null; a list, whose elements might be, is not."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _as_text(value) -> str:
    """Return a cell as text."""
    if isinstance(value, str):
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict | list | tuple | bool | int | float):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
