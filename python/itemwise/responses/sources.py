"""Read files of item-wise results, whatever their shape, in pieces of bounded size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from itemwise.errors import UserError, listed
from itemwise.responses.available import distinct_rows, pairs_text
from itemwise.responses.growing import GrowingMatrix
from itemwise.responses.matrix import MISSING, Responses, check_items, from_arrow, from_frame
from itemwise.tables.contract import open_parquet, reading_parquet

SUFFIXES = (".parquet", ".csv")
ROWS = 1_000_000
"""Rows of a long table in memory at once."""
ARCHIVE = {"source": "subject", "item": "item", "correct": "response"}
"""Columns of metabench's archive, one file a benchmark, by the names they have here."""
TEXTS = {"item", "prompt"}
"""Columns of the archive's tables of prompts, `arc_prompts.csv` beside `arc.csv`."""
SAVED_INDEX = re.compile(r"__index_level_\d+__")
"""Columns in which pandas keeps the numbers of rows."""
UNSEEN = -2
"""Cell of a long table that no row has named yet."""


@dataclass(frozen=True)
class Reading:
    """How the sources of a benchmark are read.

    Attributes
    ----------
    benchmark : str
        Rows of other benchmarks in long tables are left out.
    metric, filter : str, optional
        Rows of long tables with another metric or filter are left out.
    binarize : float, optional
        Graded responses count as right from this value on; without it they are refused.
    """

    benchmark: str
    metric: str | None = None
    filter: str | None = None
    binarize: float | None = None

    def narrow(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a long table that are asked for."""
        for column in ("benchmark", "metric", "filter"):
            wanted = getattr(self, column)
            if wanted is not None and column in frame.columns:
                frame = frame[(frame[column] == wanted).to_numpy()]
        return frame


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
    path: Path, reading: Reading, progress: Callable[[int], None] = lambda n: None
) -> Responses | None:
    """Read one wide or long table; None where it holds no row of the benchmark.

    Parameters
    ----------
    path : Path
    reading : Reading
    progress : callable
        Called with the number of rows read since the last call.
    """
    columns = column_names(path)
    if set(columns) == TEXTS:
        return None
    if is_archive(columns) and archive_prefix(path, reading.benchmark) is None:
        return None
    if is_archive(columns) or {"item", "response"} <= set(columns):
        return _read_long(path, columns, reading, progress)
    check_narrowing(columns, reading, str(path))
    responses = _read_wide(path, columns, reading)
    progress(len(responses.subjects))
    return responses


def column_names(path: Path) -> list[str]:
    """Return the names of a table's columns, without reading it.

    Raises
    ------
    UserError
        The file is no table; a CSV has one column, or two of one name.
    """
    if path.suffix == ".parquet":
        with reading_parquet(path):
            return pq.read_schema(path).names
    with _reading_csv(path):
        header = pd.read_csv(path, header=None, nrows=1, dtype="str").iloc[0].tolist()
    # pandas would call the second column `q1` of a file `q1.1`.
    check_items(header, str(path))
    return header


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
    if path.suffix == ".parquet":
        table = open_parquet(path).to_pandas().astype("str")
    else:
        with _reading_csv(path):
            table = pd.read_csv(path, dtype="str", keep_default_na=False)
    return pd.DataFrame({"item": prefix + table["item"], "text": table["prompt"]})


def long_batches(path: Path, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield a long table in batches, rows numbered through; texts may be categories."""
    start = 0
    batches = _csv_batches if path.suffix == ".csv" else _parquet_batches
    for frame in batches(path, list(columns)):
        frame.index = range(start, start + len(frame))
        start += len(frame)
        yield frame


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Yield some columns of a parquet file."""
    with reading_parquet(path):
        schema = pq.read_schema(path)
        texts = [c for c in columns if pa.types.is_string(schema.field(c).type)]
        with pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            for batch in file.iter_batches(ROWS, columns=columns):
                yield batch.to_pandas()


def _csv_batches(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Yield some columns of a CSV, whose ids are texts even if they look like numbers."""
    texts = dict.fromkeys({"subject", "source", "item", "benchmark"} & set(columns), "str")
    with (
        _reading_csv(path),
        pd.read_csv(path, usecols=columns, dtype=texts, chunksize=ROWS) as chunks,
    ):
        yield from chunks


@contextmanager
def _reading_csv(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that cannot be read as CSV."""
    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as CSV ({str(error).strip()}); write or download it again"
        ) from error


def _read_long(
    path: Path, columns: list[str], reading: Reading, progress: Callable[[int], None]
) -> Responses | None:
    """Convert a long table to a response matrix, batch by batch."""
    source = str(path)
    names = ARCHIVE if is_archive(columns) else dict.fromkeys(("subject", "item", "response"))
    if "subject" not in columns and names is not ARCHIVE:
        raise UserError(f"{source}: lacks the column 'subject'; add the models' names")
    check_narrowing(columns, reading, source)
    wanted = [*names, *(c for c in ("benchmark", "metric", "filter") if c in columns)]
    cells = GrowingMatrix(UNSEEN)
    for frame in long_batches(path, wanted):
        progress(len(frame))
        frame = reading.narrow(frame)
        if names is ARCHIVE:
            frame = _from_archive(frame, archive_prefix(path, reading.benchmark))
        if len(frame):
            _fill(cells, frame, reading, source)
    if not len(cells.rows):
        return None
    return Responses(cells.rows, cells.columns, np.maximum(cells.matrix, MISSING))


def _from_archive(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return rows of metabench's archive under our names of columns and items."""
    frame = frame.rename(columns=ARCHIVE)
    items = frame["item"].astype("category")
    return frame.assign(item=items.cat.rename_categories(lambda number: f"{prefix}{number}"))


def _fill(cells: GrowingMatrix, frame: pd.DataFrame, reading: Reading, source: str) -> None:
    """Write the responses of some rows into the cells of their subjects and items."""
    subject_codes, subjects = _names(frame, "subject", "model", source)
    item_codes, items = _names(frame, "item", "item", source)
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
            + _remedy_of_doubled(Path(source), reading)
        )
    _check_graded(frame["response"], frame, reading, source)
    values = frame["response"].to_numpy(dtype=float, na_value=np.nan)
    right = values == 1 if reading.binarize is None else values >= reading.binarize
    matrix[row, column] = np.where(np.isnan(values), MISSING, right)


def held(files: Sequence[Path], reading: Reading | None = None) -> pd.DataFrame:
    """Return the distinct `benchmark`, `metric` and `filter` of long tables, those they have."""
    parts = []
    for path in files:
        names = [c for c in ("benchmark", "metric", "filter") if c in column_names(path)]
        if names:
            batches = long_batches(path, names)
            parts.append(distinct_rows(map(reading.narrow, batches) if reading else batches))
    return pd.concat(parts).drop_duplicates() if parts else pd.DataFrame()


def _remedy_of_doubled(path: Path, reading: Reading) -> str:
    """Say which metrics and filters there are to choose from, where there are several."""
    rows = held([path], reading).drop(columns="benchmark", errors="ignore").drop_duplicates()
    if len(rows) > 1:
        choice = "choose one with config keys 'metric' and 'filter', or "
        return f"there are {pairs_text(rows)}: {choice}keep one run of each model"
    return "keep one run of each model"


def _read_wide(path: Path, columns: list[str], reading: Reading) -> Responses:
    """Read a table with one column an item."""
    if path.suffix == ".csv":
        with _reading_csv(path):
            frame = pd.read_csv(path, dtype={"subject": "str"})
    elif reading.binarize is not None:
        frame = open_parquet(path).to_pandas()
    else:
        frame = None
    if "subject" not in columns:
        raise UserError(
            f"{path}: lacks the column 'subject' (it has {listed(map(repr, columns))}); "
            "a source is wide (subject, one column an item) or long (subject, item, response)"
        )
    if frame is None:
        table = open_parquet(path)
        kept = [i for i, name in enumerate(columns) if not SAVED_INDEX.fullmatch(name)]
        return from_arrow(table.select(kept), str(path))
    if reading.binarize is not None:
        frame = _binarized(frame.set_index("subject"), reading, path)
    return from_frame(frame, str(path))


def _binarized(values: pd.DataFrame, reading: Reading, path: Path) -> pd.DataFrame:
    """Return graded responses of a wide table as 0 and 1."""
    for position, kind in enumerate(values.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and values.iloc[:, position].notna().any():
            raise UserError(
                f"{path}: column '{values.columns[position]}' holds {kind}, not numbers; "
                "drop the column or convert it"
            )
    return (values >= reading.binarize).astype(float).where(values.notna())


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


def check_narrowing(columns: Sequence[str], reading: Reading, source: str) -> None:
    """Refuse a metric or filter that the source cannot be narrowed to."""
    for column in ("metric", "filter"):
        if getattr(reading, column) is not None and column not in columns:
            raise UserError(
                f"{source}: has no column '{column}' to choose '{getattr(reading, column)}' from; "
                f"leave config key '{column}' out, or give long tables"
            )


def _check_graded(values: pd.Series, frame: pd.DataFrame, reading: Reading, source: str) -> None:
    """Refuse responses that are neither 0 nor 1 unless a threshold is given."""
    if not pd.api.types.is_numeric_dtype(values):
        raise UserError(
            f"{source}: column 'response' holds {values.dtype}, not numbers; convert it"
        )
    graded = values.notna() & ~values.isin([0, 1])
    if reading.binarize is None and graded.any():
        position = int(graded.to_numpy().argmax())
        raise UserError(
            f"{source}: column 'response', row {frame.index[position] + 1} (subject "
            f"'{frame['subject'].iloc[position]}', item '{frame['item'].iloc[position]}'): "
            f"{values.iloc[position]:g} is neither 0 nor 1; set config key 'binarize' to the "
            "value from which a response counts as right"
        )
