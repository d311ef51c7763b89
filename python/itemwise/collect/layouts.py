"""The parquet files of leaderboard v1: three ways to the metric, two schemes of `example`.

- A, 2023: columns `acc`, `acc_norm`, ...; the text in `query`, a native id in `example`
  where the data set has one.
- B: the same metrics as columns `metrics.acc`, ...; the text in `example`.
- C, later: a struct `metrics`; the text in `example`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itemwise.collect.errors import CollectError
from itemwise.collect.items import Item

TEXTS = ("query", "example")


@dataclass(frozen=True)
class Details:
    """What one file says.

    Attributes
    ----------
    layout : str
        "A", "B" or "C".
    items : list of Item
        In the order of the rows.
    responses : int8 array (n_rows,)
    score : float
        Mean of the metric that the leaderboard publishes; NaN where it has one.
    """

    layout: str
    items: list[Item]
    responses: np.ndarray
    score: float


def open_details(file: io.RawIOBase) -> pq.ParquetFile:
    """Open a file; only its footer is read.

    Raises
    ------
    CollectError
        It is not parquet.
    """
    try:
        # In the caller's thread, which keeps account of its requests.
        return pq.ParquetFile(file, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise CollectError("bad_schema", f"not parquet: {str(error).splitlines()[0]}") from error


def find_metric(schema: pa.Schema, metric: str) -> tuple[str, str]:
    """Return layout and column of a metric.

    Raises
    ------
    CollectError
        No layout has it there.
    """
    if metric in schema.names:
        return "A", metric
    if f"metrics.{metric}" in schema.names:
        return "B", f"metrics.{metric}"
    if "metrics" in schema.names:
        kind = schema.field("metrics").type
        if pa.types.is_struct(kind) and kind.get_field_index(metric) >= 0:
            return "C", f"metrics.{metric}"
    raise CollectError(
        "bad_schema", f"no metric '{metric}'; columns: {', '.join(schema.names)[:200]}"
    )


def byte_ranges(metadata: pq.FileMetaData, columns: list[str]) -> list[tuple[int, int]]:
    """Return where in a file the pages of some columns lie."""
    ranges = []
    for group in range(metadata.num_row_groups):
        for position in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(position)
            if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in columns):
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                ranges.append((start, start + chunk.total_compressed_size))
    return ranges


def read_details(
    parquet: pq.ParquetFile,
    metric: str,
    score: str,
    prefetch: Callable[[list[tuple[int, int]]], None] = lambda ranges: None,
) -> Details:
    """Read what is needed of a file: texts, choices, gold answers and two metrics.

    `prefetch` is told the byte ranges that will be read.

    Raises
    ------
    CollectError
        `bad_schema` where metric or text are missing or the metric is not 0 or 1;
        `incomplete` where it is not a number.
    """
    schema = parquet.schema_arrow
    layout, column = find_metric(schema, metric)
    columns = {metric: column, score: find_metric(schema, score)[1]}
    texts = [name for name in TEXTS if name in schema.names]
    if not texts:
        raise CollectError("bad_schema", "neither 'query' nor 'example' holds the items' texts")
    others = [name for name in ("choices", "gold", "gold_index") if name in schema.names]
    wanted = [*texts, *others, *columns.values()]
    prefetch(byte_ranges(parquet.metadata, wanted))
    try:
        table = parquet.read(columns=wanted, use_threads=False)
    except pa.ArrowInvalid as error:
        raise CollectError("bad_schema", f"cannot be read: {str(error).splitlines()[0]}") from error
    values = {name: _metric(table, layout, name) for name in columns}
    responses = values[metric]
    if np.isnan(responses).any():
        raise CollectError(
            "incomplete", f"{int(np.isnan(responses).sum())} rows without a number in '{metric}'"
        )
    if not np.isin(responses, (0, 1)).all():
        raise CollectError("bad_schema", f"metric '{metric}' holds other values than 0 and 1")
    rows = table.select([*texts, *others]).to_pylist()
    score_mean = float(values[score].mean()) if len(rows) else float("nan")
    return Details(layout, [_item(row) for row in rows], responses.astype(np.int8), score_mean)


def _metric(table: pa.Table, layout: str, metric: str) -> np.ndarray:
    """Return a metric as floats."""
    if layout == "C":
        values = [None if row is None else row[metric] for row in table["metrics"].to_pylist()]
    else:
        values = table[metric if layout == "A" else f"metrics.{metric}"].to_pylist()
    try:
        return np.array([np.nan if v is None else float(v) for v in values], dtype=float)
    except (TypeError, ValueError) as error:
        raise CollectError("bad_schema", f"metric '{metric}' holds no numbers: {error}") from error


def _item(row: dict) -> Item:
    """Return what a row says of its item, by either scheme."""
    query, example = row.get("query"), row.get("example")
    text = query if query else example
    if not isinstance(text, str) or not text:
        raise CollectError("bad_schema", "an item without text")
    choices = row.get("choices")
    choices = (choices,) if isinstance(choices, str) else tuple(map(str, choices or ()))
    gold = _gold(row, choices)
    native = str(example) if query and example and example != query else None
    return Item(text, choices, gold, native)


def _gold(row: dict, choices: tuple[str, ...]) -> str:
    """Return the right answer: the number of a choice where layouts tell it, else its text."""
    stated = [
        g[0] if isinstance(g, list) and g else g for g in (row.get("gold_index"), row.get("gold"))
    ]
    gold = next((g for g in stated if g is not None and g != []), "")
    plain = [choice.strip() for choice in choices]
    if isinstance(gold, str) and gold.strip() in plain:
        return str(plain.index(gold.strip()))
    return str(gold)
