"""Build one response matrix a benchmark from files of item-wise results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.responses import MISSING, Responses, check_items, from_frame
from itemwise.tables import check_table, contract, open_parquet, read_table

SUFFIXES = (".parquet", ".csv")


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


@dataclass
class Dropped:
    """What a build leaves out, by reason."""

    subjects_without_response: list[str] = field(default_factory=list)
    items_without_response: list[str] = field(default_factory=list)


def source_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the parquet and CSV files named, those inside folders included.

    Raises
    ------
    UserError
        A path does not exist, a folder holds no table, a file has another suffix.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES)
            if not inside:
                raise UserError(f"{path}: folder holds no .parquet or .csv file; check the path")
            files += inside
        elif not path.exists():
            raise UserError(f"{path}: no such file or folder; check config key 'sources'")
        elif path.suffix not in SUFFIXES:
            raise UserError(f"{path}: neither .parquet nor .csv; convert the file")
        else:
            files.append(path)
    return files


def build_responses(paths: Sequence[str | Path], reading: Reading) -> tuple[Responses, Dropped]:
    """Read every source and join them on subject.

    Cells that no source holds are not administered. Forms of one benchmark may share
    subjects, not contradicting cells.

    Returns
    -------
    responses : Responses
        Subjects sorted by name; items in the order of the sources.
    dropped : Dropped
        Subjects and items without any response.

    Raises
    ------
    UserError
        What is wrong with a source, or fewer than two subjects left.
    """
    files = source_files(paths)
    parts = [(str(path), read_source(path, reading)) for path in files]
    parts = [(name, part) for name, part in parts if part is not None]
    if not parts:
        raise UserError(
            f"{listed(files)}: no row of benchmark '{reading.benchmark}'"
            f"{_narrowed(reading)}; check the benchmark's name and config key 'sources'"
        )
    joined = join(parts)
    responses, dropped = drop_empty(joined)
    n_subjects = len(responses.subjects)
    if n_subjects < 2:
        raise UserError(
            f"benchmark '{reading.benchmark}': {n_subjects} subject{'s' * (n_subjects != 1)} with "
            f"responses in {listed(files)}; at least 2 are needed (and hundreds for a useful "
            "calibration)"
        )
    return responses, dropped


def read_source(path: Path, reading: Reading) -> Responses | None:
    """Read one wide or long table; None where it holds no row of the benchmark."""
    frame = _read_csv(path) if path.suffix == ".csv" else open_parquet(path).to_pandas()
    if {"item", "response"} <= set(frame.columns):
        return _from_long(frame, reading, str(path))
    _check_narrowing(frame, reading, str(path))
    if reading.binarize is not None and "subject" in frame.columns:
        return from_frame(_binarized(frame.set_index("subject"), reading, path), str(path))
    if "subject" not in frame.columns:
        raise UserError(
            f"{path}: lacks the column 'subject' (it has {listed(map(repr, frame.columns))}); "
            "a source is wide (subject, one column an item) or long (subject, item, response)"
        )
    return from_frame(frame, str(path))


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV whose ids are texts, even if they look like numbers."""
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype="str").iloc[0]
        frame = pd.read_csv(path, dtype={"subject": "str", "item": "str", "benchmark": "str"})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as CSV ({str(error).strip()}); write or download it again"
        ) from error
    # pandas would call the second column `q1` of a file `q1.1`.
    check_items(header.tolist(), str(path))
    return frame


def _binarized(values: pd.DataFrame, reading: Reading, path: Path) -> pd.DataFrame:
    """Return graded responses of a wide table as 0 and 1."""
    for position, kind in enumerate(values.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and values.iloc[:, position].notna().any():
            raise UserError(
                f"{path}: column '{values.columns[position]}' holds {kind}, not numbers; "
                "drop the column or convert it"
            )
    return (values >= reading.binarize).astype(float).where(values.notna())


def join(parts: list[tuple[str, Responses]]) -> Responses:
    """Join response matrices on subject and item; equal cells may overlap."""
    subjects = pd.Index(np.unique(np.concatenate([part.subjects for _, part in parts])))
    items = pd.Index(pd.unique(np.concatenate([part.items for _, part in parts])))
    matrix = np.full((len(subjects), len(items)), MISSING, dtype=np.int8)
    for name, part in parts:
        rows, columns = subjects.get_indexer(part.subjects), items.get_indexer(part.items)
        cells = np.ix_(rows, columns)
        known = matrix[cells]
        clash = (known != MISSING) & part.administered & (known != part.matrix)
        if clash.any():
            row, column = np.argwhere(clash)[0]
            raise UserError(
                f"{name}: subject '{part.subjects[row]}', item '{part.items[column]}': "
                f"response {part.matrix[row, column]} contradicts another source "
                f"({clash.sum()} such cells); keep one run of each model"
            )
        matrix[cells] = np.where(part.administered, part.matrix, known)
    return Responses(subjects.to_numpy(object), items.to_numpy(object), matrix)


def drop_empty(responses: Responses) -> tuple[Responses, Dropped]:
    """Leave out subjects and items without any response."""
    subjects = responses.administered.any(axis=1)
    items = responses.administered.any(axis=0)
    dropped = Dropped(responses.subjects[~subjects].tolist(), responses.items[~items].tolist())
    return responses.take(subjects, items), dropped


def mean_scores(responses: Responses, benchmark: str, coverage: float) -> pd.DataFrame:
    """Return full scores as the percentage of right answers.

    Subjects that answered less than `coverage` of the items get none: their mean
    would be of another benchmark.
    """
    answered = responses.administered
    enough = answered.mean(axis=1) >= coverage
    right = (responses.matrix == 1).sum(axis=1)
    return pd.DataFrame(
        {
            "subject": responses.subjects[enough],
            "benchmark": benchmark,
            "full_score": 100 * right[enough] / answered[enough].sum(axis=1),
        }
    )


def given_scores(path: str | Path, responses: Responses, benchmark: str) -> pd.DataFrame:
    """Return the full scores of these subjects from a `full_scores` table.

    Raises
    ------
    UserError
        The benchmark does not occur, or none of the subjects has a score.
    """
    table = read_table(path, "full_scores")
    known = sorted(table["benchmark"].unique())
    if benchmark not in known:
        raise UserError(
            f"{path}: column 'benchmark' has no '{benchmark}' (it has {listed(known)}); "
            "add the scores, or leave config key 'full_scores' out to use the mean response"
        )
    scores = table[table["benchmark"] == benchmark]
    scores = scores[scores["subject"].isin(responses.subjects)]
    if scores.empty:
        raise UserError(
            f"{path}: no subject of benchmark '{benchmark}' has both responses and a full score "
            f"(responses: {listed(responses.subjects, 3)}; scores: "
            f"{listed(table.loc[table['benchmark'] == benchmark, 'subject'], 3)}); "
            "check how the models are named"
        )
    return scores[["subject", "benchmark", "full_score"]].reset_index(drop=True)


def describe_subjects(subjects: np.ndarray, metadata: Sequence[str | Path] | None) -> pd.DataFrame:
    """Return the `subjects` table: what is known of each model.

    Without metadata (tables), organization and model are read from `organization/model@revision`.
    """
    names = pd.Series(subjects, dtype="str")
    path, _, revision = (names.str.partition("@")[i] for i in range(3))
    organization, slash, model = (path.str.partition("/")[i] for i in range(3))
    has_slash = slash == "/"
    table = pd.DataFrame({"subject": names})
    table["organization"] = organization.where(has_slash)
    table["model"] = model.where(has_slash, path)
    table["revision"] = revision.where(revision != "")
    for column in contract()["subjects"].columns.values():
        if column.name not in table:
            kind = "str" if column.type == "string" else float
            table[column.name] = pd.Series(np.nan, index=table.index, dtype=kind)
    if not metadata:
        return table
    given = pd.concat([_read_metadata(path, "subject") for path in metadata]).set_index("subject")
    twice = given.index.duplicated()
    if twice.any():
        raise UserError(
            f"{listed(metadata)}: subject '{given.index[twice][0]}' is in two tables; keep one"
        )
    for name in given.columns.intersection(table.columns):
        values = names.map(given[name])
        table[name] = values.where(values.notna(), table[name])
    check_table(table, "subjects", listed(metadata))
    return table


def describe_items(items: np.ndarray, benchmark: str, metadata: str | Path | None) -> pd.DataFrame:
    """Return the `items` table, with what a metadata file says of the items."""
    table = pd.DataFrame({"benchmark": benchmark, "item": pd.Series(items, dtype="str")})
    if metadata is None:
        return table
    given = _read_metadata(metadata, "item").drop(columns="benchmark", errors="ignore")
    return table.merge(given, on="item", how="left")


def _read_metadata(path: str | Path, key: str) -> pd.DataFrame:
    """Read a table with one row for each value of `key`."""
    table = open_parquet(path).to_pandas()
    if key not in table.columns:
        raise UserError(
            f"{path}: lacks the column '{key}' (it has {listed(map(repr, table.columns))}); "
            "rename it"
        )
    for row, name in enumerate(table[key], start=1):
        if not isinstance(name, str):
            raise UserError(
                f"{path}: column '{key}', row {row}: {name!r} is not a text; convert the column"
            )
    twice = table[key].duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise UserError(
            f"{path}: row {row + 1}: {key} '{table[key].iloc[row]}' occurs twice; keep one row"
        )
    return table


def _from_long(frame: pd.DataFrame, reading: Reading, source: str) -> Responses | None:
    """Convert a long table to a response matrix."""
    if "subject" not in frame.columns:
        raise UserError(f"{source}: lacks the column 'subject'; add the models' names")
    _check_narrowing(frame, reading, source)
    for column, wanted in (
        ("benchmark", reading.benchmark),
        ("metric", reading.metric),
        ("filter", reading.filter),
    ):
        if wanted is not None and column in frame.columns:
            frame = frame[frame[column] == wanted]
    if frame.empty:
        return None
    subject_codes, subjects = _names(frame, "subject", "model", source)
    item_codes, items = _names(frame, "item", "item", source)
    twice = frame.duplicated(["subject", "item"])
    if twice.any():
        first = frame[twice].iloc[0]
        raise UserError(
            f"{source}: row {frame.index[twice.to_numpy().argmax()] + 1}: subject "
            f"'{first['subject']}', item '{first['item']}' occurs twice; choose one with config "
            "keys 'metric' and 'filter', or keep one run of each model"
        )
    _check_graded(frame["response"], frame, reading, source)
    values = frame["response"]
    if reading.binarize is not None:
        values = (values >= reading.binarize).astype(float).where(values.notna())
    matrix = np.full((len(subjects), len(items)), MISSING, dtype=np.int8)
    known = values.notna().to_numpy()
    matrix[subject_codes[known], item_codes[known]] = values[known].to_numpy(dtype=np.int8)
    return Responses(subjects, items, matrix)


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


def _check_narrowing(frame: pd.DataFrame, reading: Reading, source: str) -> None:
    """Refuse a metric or filter that the source cannot be narrowed to."""
    for column in ("metric", "filter"):
        if getattr(reading, column) is not None and column not in frame.columns:
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


def _narrowed(reading: Reading) -> str:
    """Describe the metric and filter asked for."""
    asked = [f"{k} '{v}'" for k, v in (("metric", reading.metric), ("filter", reading.filter)) if v]
    return f" with {' and '.join(asked)}" if asked else ""
