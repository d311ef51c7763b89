"""Tables in R's own file format (RDS): how R and Python exchange them without a parquet package.

The file holds a named list: `columns`, the vectors by name, and `int64`, the names of those
that are 64-bit integers, which R holds as doubles. A vector of texts is a list of `levels`,
each text once, and `codes`, their numbers from 1: the library `rdata`, which reads and writes
the file, takes long over every single text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import rdata

from itemwise.errors import UserError
from itemwise.tables.files import atomic_path
from itemwise.tables.plain import plain_column


def write_rds(table: pa.Table, path: str | Path, source: str | Path) -> None:
    """Write a table for R.

    Parameters
    ----------
    table : Arrow table
        Columns of texts, booleans, whole numbers, floating numbers, dates and times.
    path : path
        RDS file to write.
    source : path
        Where the table comes from, for messages.

    Raises
    ------
    UserError
        A column has another type.
    """
    columns, int64 = {}, []
    for name, column in zip(table.column_names, table.columns, strict=True):
        plain = _as_r_holds_it(column.combine_chunks(), f"{source}: column '{name}'")
        if pa.types.is_int64(plain.type):
            int64.append(name)
        columns[name] = _vector(plain)
    content = {"columns": columns, "int64": np.array(int64, dtype=str)}
    with atomic_path(path) as temporary:
        rdata.write_rds(temporary, content, compression=None)


def read_rds(path: str | Path) -> pa.Table:
    """Read a table that R wrote (`R/itemwise/R/parquet.R`); not-a-number is null."""
    content = rdata.read_rds(path, default_encoding="utf-8")
    int64 = set(content["int64"])
    arrays = {
        name: _array(values, name in int64) for name, values in content["columns"].items()
    }  # fmt: skip
    return pa.table(arrays)


def _as_r_holds_it(column: pa.Array, where: str) -> pa.Array:
    """Cast a column to text, boolean, int32, int64 or double."""
    if pa.types.is_null(column.type):
        return column.cast(pa.bool_())  # as R's NA
    plain = plain_column(column)
    if plain is None:
        raise UserError(
            f"{where}: holds {column.type} values, which R cannot take; write them as text"
        )
    return plain


def _vector(column: pa.Array) -> np.ndarray | dict[str, np.ndarray]:
    """Return a column as what `rdata` makes an R vector of."""
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        levels = encoded.dictionary.to_pylist()
        codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32)
        null = column.is_null().to_numpy(zero_copy_only=False)
        return {
            "levels": np.array(levels, dtype=object if levels else str),
            "codes": np.ma.masked_array(codes + 1, mask=null, dtype=np.int32),
        }
    if pa.types.is_integer(column.type) and column.type.bit_width == 64:
        column = column.cast(pa.float64(), safe=False)  # R refuses what this rounds
    values = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    values = values.to_numpy(zero_copy_only=False)
    null = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        return np.where(null, np.nan, values)
    return np.ma.masked_array(values, mask=null)


def _array(values: np.ndarray | dict[str, np.ndarray], int64: bool) -> pa.Array:
    """Return an R vector as a column."""
    if isinstance(values, dict):
        levels = pa.array([str(level) for level in values["levels"]], pa.string())
        codes = np.ma.masked_array(values["codes"])
        indices = pa.array(codes.data - 1, pa.int32(), mask=np.ma.getmaskarray(codes))
        return pa.DictionaryArray.from_arrays(indices, levels).dictionary_decode()
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    column = pa.array(values, from_pandas=True)
    return column.cast(pa.int64()) if int64 else column
