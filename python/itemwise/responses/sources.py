"""Read files of item-wise results, whatever their shape, in pieces of bounded size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from itemwise.errors import UserError, listed
from itemwise.responses.available import distinct_rows, pairs_text
from itemwise.responses.cells import GRADED, graded, numbers
from itemwise.responses.matrix import MISSING, Responses, check_items, from_arrow
from itemwise.responses.named_matrix import NamedMatrix
from itemwise.responses.names import CSV_NULLS, check_item_names, clean, cleaned
from itemwise.tables.contract import open_parquet, reading_parquet
from itemwise.tables.delimited import csv_batches, csv_columns, open_csv

SUFFIXES = (".parquet", ".csv")
ROWS = 1_000_000
"""Rows of a long table in memory at once."""
ARCHIVE = {"source": "subject", "item": "item", "correct": "response"}
"""Columns of metabench's archive, one file a benchmark, by the names they have here."""
TEXTS = {"item", "prompt"}
"""Columns of the archive's tables of prompts, `arc_prompts.csv` beside `arc.csv`."""
IDS = ("subject", "source", "item")
"""Columns of names, which must be texts."""
LABELS = ("benchmark", "metric", "filter")
"""Columns by which rows of long tables are chosen."""
UNSEEN = -2
"""Cell of a long table that no row has named yet."""


@dataclass(frozen=True)
class SourceOptions:
    """How the sources of a benchmark are read.

    Attributes
    ----------
    benchmark : str
        Rows of other benchmarks in long tables are left out.
    metric, filter : str, optional
        Rows of long tables with another metric or filter are left out.
    binarize : float, optional
        Graded responses count as right from this value on; without it they are refused.
    select : tuple of str
        Values of the column `benchmark` to read, `*` for any characters; where there are
        none, the benchmark's name.
    """

    benchmark: str
    metric: str | None = None
    filter: str | None = None
    binarize: float | None = None
    select: tuple[str, ...] = ()

    def narrow(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a long table that are asked for."""
        for column, wanted in self.asked.items():
            if wanted and column in frame.columns:
                values = frame[column].astype("category").cat
                chosen = [matches(name, wanted) for name in values.categories]
                frame = frame[np.array([*chosen, False])[values.codes]]
        return frame

    @property
    def asked(self) -> dict[str, tuple[str, ...]]:
        """The values of each column of `LABELS` to read; none where any will do."""
        return {
            "benchmark": self.select or (self.benchmark,),
            "metric": (self.metric,) if self.metric is not None else (),
            "filter": (self.filter,) if self.filter is not None else (),
        }


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name is one of the patterns, in which `*` stands for any characters."""
    return any(
        name == pattern or re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)
        for pattern in patterns
    )


def source_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the parquet and CSV files named, those inside folders included.

    Names may be patterns (`mmlu_*.csv`).

    Raises
    ------
    UserError
        A path does not exist, a folder holds no table, a file has another suffix.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        matching = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
        if not matching:
            raise UserError(f"{path}: no file has such a name; correct the pattern")
        for match in matching:
            files += _files_at(match)
    return files


def _files_at(path: Path) -> list[Path]:
    """Return a file, or those inside a folder."""
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES)
        if not inside and any(path.rglob("samples_*.json*")):
            raise UserError(
                f"{path}: holds sample logs; make one table of them first by itemwise "
                f"import-samples --samples {path} --out results.parquet, and give that"
            )
        if not inside:
            raise UserError(f"{path}: folder holds no .parquet or .csv file; check the path")
        return inside
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder; correct the path (it is looked for from {Path.cwd()})"
        )
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: neither .parquet nor .csv; convert the file")
    return [path]


def read_source(
    path: Path, options: SourceOptions, progress: Callable[[int], None] = lambda n: None
) -> Responses | None:
    """Read one wide or long table; None where it holds no row of the benchmark.

    Parameters
    ----------
    path : Path
    options : SourceOptions
    progress : callable
        Called with the number of rows read since the last call.
    """
    columns = column_names(path)
    if set(columns) == TEXTS:
        return None
    if is_archive(columns) and archive_prefix(path, options.benchmark) is None:
        return None
    if is_archive(columns) or {"item", "response"} <= set(columns):
        return _read_long(path, columns, options, progress)
    check_narrowing(columns, options, str(path))
    responses = _read_wide(path, columns, options)
    progress(len(responses.subjects))
    return responses


def column_names(path: Path) -> list[str]:
    """Return the names of a table's columns, without blanks around them, not reading the rest.

    Raises
    ------
    UserError
        The file is no table; it has one column, or two of one name.
    """
    names = [clean(name) for name in raw_names(path)]
    names = names[1:] if names[:1] == [None] else names
    check_items(names, str(path))
    return names


def raw_names(path: Path) -> list[str]:
    """Return the names of a table's columns as the file writes them."""
    if path.suffix == ".csv":
        return csv_columns(path)
    with reading_parquet(path):
        return pq.read_schema(path).names


def is_archive(columns: Sequence[str]) -> bool:
    """Return whether a table has the form of metabench's archive."""
    return set(ARCHIVE) <= set(columns) and "subject" not in columns


def archive_prefix(path: Path, benchmark: str) -> str | None:
    """Return what items of a file of metabench's archive are called before their number.

    Its tables name no benchmark, their files do: item 5 of `arc.csv` is `arc.5`, item 5 of
    `mmlu_anatomy.csv` is `mmlu.anatomy.5`; None for files of other benchmarks.
    """
    stem, name = path.stem.removesuffix("_prompts").lower(), benchmark.lower()
    if stem == name:
        return f"{benchmark}."
    part = stem.removeprefix(f"{name}_")
    return None if part == stem else f"{benchmark}.{part}."


def item_texts(path: Path, benchmark: str) -> pd.DataFrame | None:
    """Return `item` and `text` of one of the archive's tables of prompts, None of others."""
    prefix = archive_prefix(path, benchmark)
    if prefix is None or set(column_names(path)) != TEXTS:
        return None
    table = open_parquet(path) if path.suffix == ".parquet" else open_csv(path)
    table = table.rename_columns([clean(name) for name in table.column_names]).to_pandas()
    table = table.astype("str")
    return pd.DataFrame({"item": prefix + table["item"].str.strip(), "text": table["prompt"]})


def long_batches(path: Path, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield a long table in batches, rows numbered through.

    Names, benchmarks, metrics and filters are categories, without blanks around them.
    """
    raw = {clean(name): name for name in raw_names(path)}
    start = 0
    batches = csv_batches if path.suffix == ".csv" else _parquet_batches
    for batch in batches(path, [raw[name] for name in columns]):
        for offset in range(0, batch.num_rows, ROWS):
            part = batch.slice(offset, ROWS)
            frame = _frame(part.select([raw[name] for name in columns]), columns, path)
            frame.index = range(start, start + len(frame))
            start += len(frame)
            yield frame


def _frame(batch: pa.RecordBatch, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """Return rows as a data frame with clean names."""
    series = {}
    for name, array in zip(columns, batch.columns, strict=True):
        kind = array.type
        if pa.types.is_nested(kind):
            raise UserError(f"{path}: column '{name}' holds {kind}, not single values; convert it")
        if name in LABELS and not pa.types.is_dictionary(kind):
            array = array.cast(pa.string())
        if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
            array = array.cast(pa.float64(), safe=False)
        values = array.to_pandas()
        if name in (*IDS, *LABELS):
            nulls = CSV_NULLS if name in IDS and path.suffix == ".csv" else ()
            values = cleaned(pd.Series(values), nulls)
        series[name] = values
    return pd.DataFrame(series)


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a parquet file."""
    with reading_parquet(path):
        schema = pq.read_schema(path)
        texts = [c for c in columns if pa.types.is_string(schema.field(c).type)]
        with pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            yield from file.iter_batches(ROWS, columns=columns)


def _read_long(
    path: Path, columns: list[str], options: SourceOptions, progress: Callable[[int], None]
) -> Responses | None:
    """Convert a long table to a response matrix, batch by batch."""
    source = str(path)
    names = ARCHIVE if is_archive(columns) else dict.fromkeys(("subject", "item", "response"))
    if "subject" not in columns and names is not ARCHIVE:
        raise UserError(f"{source}: lacks the column 'subject'; add the models' names")
    check_narrowing(columns, options, source)
    wanted = [*names, *(c for c in ("benchmark", "metric", "filter") if c in columns)]
    cells = NamedMatrix(UNSEEN)
    for frame in long_batches(path, wanted):
        progress(len(frame))
        frame = options.narrow(frame)
        if names is ARCHIVE:
            frame = _from_archive(frame, archive_prefix(path, options.benchmark))
        if len(frame):
            _fill(cells, frame, options, source)
    if not len(cells.rows):
        return None
    return Responses(cells.rows, cells.columns, np.maximum(cells.matrix, MISSING))


def _from_archive(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return rows of metabench's archive under our names of columns and items."""
    frame = frame.rename(columns=ARCHIVE)
    items = frame["item"].astype("category")
    return frame.assign(item=items.cat.rename_categories(lambda number: f"{prefix}{number}"))


def _fill(cells: NamedMatrix, frame: pd.DataFrame, options: SourceOptions, source: str) -> None:
    """Write the responses of some rows into the cells of their subjects and items."""
    subject_codes, subjects = _names(frame, "subject", "model", source)
    item_codes, items = _names(frame, "item", "item", source)
    check_item_names(items, source)
    row = cells.row_numbers(subjects)[subject_codes]
    column = cells.column_numbers(items)[item_codes]
    matrix = cells.matrix
    twice = pd.Index(row * matrix.shape[1] + column).duplicated()
    twice |= matrix[row, column] != UNSEEN
    if twice.any():
        first = frame[twice].iloc[0]
        raise UserError(
            f"{source}: row {frame.index[twice.argmax()] + 1}: subject "
            f"'{first['subject']}', item '{first['item']}' occurs twice; "
            + _remedy_of_doubled(Path(source), options)
        )
    values = _responses(frame, options, source)
    matrix[row, column] = np.where(np.isnan(values), MISSING, values)


def available_metrics(files: Sequence[Path], options: SourceOptions | None = None) -> pd.DataFrame:
    """Return the distinct `benchmark`, `metric` and `filter` of long tables, those they have."""
    parts = []
    for path in files:
        names = [c for c in ("benchmark", "metric", "filter") if c in column_names(path)]
        if names:
            batches = long_batches(path, names)
            parts.append(distinct_rows(map(options.narrow, batches) if options else batches))
    return pd.concat(parts).drop_duplicates() if parts else pd.DataFrame()


def _remedy_of_doubled(path: Path, options: SourceOptions) -> str:
    """Say which metrics and filters there are to choose from, where there are several."""
    rows = available_metrics([path], options)
    several = rows["benchmark"].unique() if "benchmark" in rows else ()
    if len(several) > 1:
        return (
            f"'select' takes {listed(several)} together: make item ids unique over them, "
            f"such as '{several[0]}.1', or keep one run of each model"
        )
    rows = rows.drop(columns="benchmark", errors="ignore").drop_duplicates()
    if len(rows) > 1:
        choice = "choose one with config keys 'metric' and 'filter', or "
        return f"there are {pairs_text(rows)}: {choice}keep one run of each model"
    return "keep one run of each model"


def _read_wide(path: Path, columns: list[str], options: SourceOptions) -> Responses:
    """Read a table with one column an item."""
    if "subject" not in columns:
        raise UserError(
            f"{path}: lacks the column 'subject' (it has {listed(map(repr, columns))}); "
            "a source is wide (subject, one column an item) or long (subject, item, response)"
        )
    if "item" in columns:
        raise UserError(
            f"{path}: has the columns 'subject' and 'item' of a long table, but lacks 'response'; "
            "call the column of right and wrong answers so"
        )
    table = open_csv(path) if path.suffix == ".csv" else open_parquet(path)
    return from_arrow(table, str(path), options.binarize)


def _names(frame: pd.DataFrame, column: str, what: str, source: str) -> tuple:
    """Return the number of each row's name and the names, which must be texts."""
    codes, names = pd.factorize(frame[column])
    names = np.asarray(names, object)
    wrong = np.flatnonzero([not isinstance(name, str) for name in names])
    for number, fault in [(-1, "is null"), *((w, f"{names[w]!r} is not a text") for w in wrong)]:
        found = codes == number
        if found.any():
            row = frame.index[found.argmax()] + 1
            raise UserError(f"{source}: column '{column}', row {row}: {fault}; name the {what}")
    return codes, names


def check_narrowing(columns: Sequence[str], options: SourceOptions, source: str) -> None:
    """Refuse a metric or filter that the source cannot be narrowed to."""
    keys = {"select": "benchmark", "metric": "metric", "filter": "filter"}
    for key, column in keys.items():
        if getattr(options, key) and column not in columns:
            raise UserError(
                f"{source}: has no column '{column}' to choose "
                f"{listed(map(repr, options.asked[column]))} from; "
                f"leave config key '{key}' out, or give long tables"
            )


def _responses(frame: pd.DataFrame, options: SourceOptions, source: str) -> np.ndarray:
    """Return the responses of some rows as 0, 1 and not-a-number, or name the first other."""

    def label(position: int) -> str:
        subject, item = frame["subject"].iloc[position], frame["item"].iloc[position]
        return f"row {frame.index[position] + 1} (subject '{subject}', item '{item}')"

    column = pa.Array.from_pandas(frame["response"])
    values, wrong = graded(numbers(column, "response", label, source), options.binarize)
    if wrong.any():
        position = int(wrong.argmax())
        raise UserError(
            f"{source}: column 'response', {label(position)}: {values[position]:g} is neither 0 "
            f"nor 1; {GRADED}"
        )
    return values
