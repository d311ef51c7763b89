"""Build one response matrix a benchmark from files of item-wise results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError, did_you_mean, listed
from itemwise.responses.available import SHOWN, explain_missing
from itemwise.responses.matrix import MISSING, Responses
from itemwise.responses.named_matrix import NamedMatrix
from itemwise.responses.names import clean
from itemwise.responses.sources import (
    SourceOptions,
    available_metrics,
    matches,
    read_source,
    source_files,
)
from itemwise.tables.contract import check_table, contract
from itemwise.tables.given import open_given, read_given


@dataclass
class Dropped:
    """What a build leaves out, by reason."""

    subjects_without_response: list[str] = field(default_factory=list)
    items_without_response: list[str] = field(default_factory=list)


def build_responses(
    paths: Sequence[str | Path],
    options: SourceOptions,
    progress: Callable[[int], None] = lambda n: None,
) -> tuple[Responses, Dropped]:
    """Read every source and join them on subject.

    Cells that no source holds are not administered. Forms of one benchmark may share
    subjects, not contradicting cells. One source after the other is read and joined, so
    that memory holds the matrix, the source at hand and a batch of its rows.

    Parameters
    ----------
    paths : sequence of path
        Files, folders, patterns.
    options : SourceOptions
    progress : callable
        Called with the number of rows read since the last call.

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
    if options.select:
        check_benchmarks(available_metrics(files), options, files)
    parts = ((str(path), read_source(path, options, progress)) for path in files)
    responses, dropped = drop_empty(join((name, part) for name, part in parts if part is not None))
    if not len(responses.items) and not dropped.items_without_response:
        rows = available_metrics(files)
        check_benchmarks(rows, options, files)
        if "benchmark" in rows:
            rows = rows[[matches(name, options.asked["benchmark"]) for name in rows["benchmark"]]]
        asked = {"metric": options.metric, "filter": options.filter}
        raise UserError(
            f"{listed(files)}: no row of benchmark '{options.benchmark}'{_narrowed(options)}; "
            + explain_missing(rows, asked)
        )
    n_subjects = len(responses.subjects)
    if n_subjects < 2:
        raise UserError(
            f"benchmark '{options.benchmark}': {n_subjects} subject{'s' * (n_subjects != 1)} with "
            f"responses in {listed(files)}; at least 2 are needed (and hundreds for a useful "
            "calibration)"
        )
    return responses, dropped


def check_benchmarks(rows: pd.DataFrame, options: SourceOptions, files: Sequence[Path]) -> None:
    """Refuse benchmarks that are asked for but in no long table.

    Parameters
    ----------
    rows : data frame
        Distinct `benchmark`, ... of the sources, as of `available_metrics`.
    options : SourceOptions
    files : sequence of path
    """
    if "benchmark" not in rows:
        return
    known = sorted(rows["benchmark"].dropna().unique())
    for wanted in options.asked["benchmark"]:
        if not any(matches(name, (wanted,)) for name in known):
            raise UserError(
                f"{listed(files)}: no row of benchmark '{wanted}'; column 'benchmark' has "
                f"{listed(known, SHOWN) or 'no value'}: config key 'select' says which of them to "
                "read, and where it is left out the key under 'benchmarks' must be one of them"
                f"{did_you_mean(wanted, known)}"
            )


def join(parts: Iterable[tuple[str, Responses]]) -> Responses:
    """Join response matrices on subject and item; equal cells may overlap."""
    joined = NamedMatrix(MISSING)
    for name, part in parts:
        cells = np.ix_(joined.row_numbers(part.subjects), joined.column_numbers(part.items))
        matrix = joined.matrix
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
    order = np.argsort(joined.rows)
    return Responses(joined.rows[order], joined.columns, joined.matrix[order])


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


def first_of_each(items: pd.DataFrame, column: str, source: str) -> np.ndarray:
    """Return which items do not repeat the value of an earlier item in a column.

    Raises
    ------
    UserError
        The items have no such column, or it is null for all of them.
    """
    if column not in items or items[column].isna().all():
        known = [name for name in items if items[name].notna().any()]
        raise UserError(
            f"{source}: nothing is known of the items' '{column}' (known: {listed(known)}), so "
            "that repeated items cannot be told; give it by config key 'item_metadata' or a table "
            "item, prompt among the 'sources', or leave 'distinct' out"
        )
    return ~(items[column].duplicated() & items[column].notna()).to_numpy()


def lowest_subjects(scores: pd.DataFrame, share: float) -> np.ndarray:
    """Return the subjects with the lowest full scores, which are hardly results at all.

    Those at or below the quantile of that share, by linear interpolation (type 7 of
    Hyndman & Fan 1996): section 3 of metabench's method, which leaves out 0.1 %.

    Parameters
    ----------
    scores : data frame
        Table `full_scores` of one benchmark.
    share : float
        Share of the subjects; 0 leaves out none.
    """
    if share == 0:
        return np.array([], dtype=object)
    limit = np.quantile(scores["full_score"], share)
    return scores.loc[scores["full_score"] <= limit, "subject"].to_numpy(object)


def given_scores(
    path: str | Path, responses: Responses, benchmark: str, select: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the full scores of these subjects from a `full_scores` table.

    Those of the benchmark by its name, else by the one value of `select`.

    Raises
    ------
    UserError
        The benchmark does not occur, or none of the subjects has a score.
    """
    table = _clean_names(read_given(path, "full_scores"), ("subject", "benchmark"))
    known = sorted(table["benchmark"].unique())
    named = benchmark if benchmark in known or len(select) != 1 else select[0]
    if named not in known:
        raise UserError(
            f"{path}: column 'benchmark' has no '{named}' (it has {listed(known)}); "
            "add the scores, or leave config key 'full_scores' out to use the mean response"
        )
    table = table[table["benchmark"] == named]
    twice = table["subject"].duplicated()
    if twice.any():
        raise UserError(
            f"{path}: row {table.index[twice.to_numpy().argmax()] + 1}: subject "
            f"'{table.loc[twice, 'subject'].iloc[0]}' occurs twice (blanks around names do not "
            "count); keep one row of each"
        )
    scores = table[table["subject"].isin(responses.subjects)]
    if scores.empty:
        raise UserError(
            f"{path}: no subject of benchmark '{named}' has both responses and a full score "
            f"(responses: {listed(responses.subjects, 3)}; scores: "
            f"{listed(table['subject'], 3)}); check how the models are named"
        )
    scores = scores.assign(benchmark=benchmark)
    return scores[["subject", "benchmark", "full_score"]].reset_index(drop=True)


def _clean_names(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table whose names have no blanks around them."""
    return table.assign(**{name: table[name].map(clean) for name in columns if name in table})


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
    """Read a table with one row for each value of `key`, "item" or "subject"."""
    table = open_given(path, f"{key}s")
    if key not in table.columns:
        raise UserError(
            f"{path}: lacks the column '{key}' (it has {listed(map(repr, table.columns))}); "
            "rename it"
        )
    table = _clean_names(table, (key,))
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


def _narrowed(options: SourceOptions) -> str:
    """Describe the metric and filter asked for."""
    asked = [f"{k} '{v}'" for k, v in (("metric", options.metric), ("filter", options.filter)) if v]
    return f" with {' and '.join(asked)}" if asked else ""
