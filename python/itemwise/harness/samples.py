"""Sample logs of lm-evaluation-harness, of every layout since 0.4.0, as evaluations.

One record a document and filter; before 0.4.7 records name neither filter nor metrics.
Log-likelihoods and texts stay in the logs: only metric values are taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError, did_you_mean, listed
from itemwise.harness.foreign import foreign_file
from itemwise.harness.json_text import read_records
from itemwise.harness.logs import Log, find_logs
from itemwise.harness.names import (
    APART,
    are_ids,
    benchmark_of,
    item_by_hash,
    number_repeated,
)
from itemwise.harness.sample_items import Items
from itemwise.harness.sample_records import Skipped, read_samples, skip_messages

KEY = ["subject", "benchmark", "item", "filter", "metric"]
"""What a model answered once; of several rows the last counts."""


@dataclass
class Imported:
    """Evaluations and what was passed over.

    Attributes
    ----------
    table : data frame
        Table `evaluations`.
    items : data frame
        Table `items`: what the logs say of the items.
    skipped : list of Skipped
        Files, records and values that could not be read, with the reason.
    named_by_folder : set of str
        Models without an organization whose name is that of their folder alone.
    superseded : int
        Rows of earlier runs, replaced by a later run of the same task.
    repeated : list of dict
        `subject` and `task` that were evaluated more than once: `runs`, their time stamps,
        of which the last counts; `items`, how many were answered again; `different`, those
        answered differently.
    no_ids : list of str
        Tasks whose documents have a column that names several documents alike: it is not
        taken for the item's name.
    held_twice : dict
        By task, how many documents the data set holds again.
    in_several_tasks : dict
        Benchmarks whose tasks share documents: number of these, and the tasks.
    shuffled : dict
        Benchmarks whose models share questions but no items: number of items, of questions.
    """

    table: pd.DataFrame
    items: pd.DataFrame = field(default_factory=pd.DataFrame)
    skipped: list[Skipped] = field(default_factory=list)
    named_by_folder: set[str] = field(default_factory=set)
    superseded: int = 0
    repeated: list[dict] = field(default_factory=list)
    no_ids: list[str] = field(default_factory=list)
    held_twice: dict[str, int] = field(default_factory=dict)
    in_several_tasks: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    shuffled: dict[str, tuple[int, int]] = field(default_factory=dict)


def import_samples(
    paths: list[str | Path],
    subject: str | None = None,
    benchmarks: dict[str, str] | None = None,
    progress: Callable[[list], list] = lambda files: files,
) -> Imported:
    """Read sample logs into one table.

    A later run of the same model and task replaces the earlier one item by item: of two
    rows with the same subject, item, filter and metric the one with the later time stamp
    counts, within a file the later line. Documents that a data set holds several times
    are items of their own, numbered.

    Parameters
    ----------
    paths : list of path
        Files, or folders to look through.
    subject : str, optional
        Name of the model; by default that of the results file beside the log, or of the
        folder that holds it, `__` read as `/` as the harness writes it.
    benchmarks : dict, optional
        Benchmark of each task, where it is not metabench's or the task's own name.
    progress : callable, optional
        Wraps the list of logs.

    Raises
    ------
    UserError
        No log, no usable line, a log that names no model, one name for the logs of several
        models, or a benchmark given for a task that no log is of.
    """
    logs, benchmarks = find_logs(paths), benchmarks or {}
    _check_tasks(benchmarks, {log.task for log in logs})
    _check_subject(subject, logs)
    found, items = Imported(pd.DataFrame()), Items()
    parts = []
    for log in progress(logs):
        rows = read_log(log, subject, benchmarks, found, items)
        if rows:
            parts.append(pd.DataFrame(rows))
    if not parts:
        raise UserError(f"no usable line in the logs: {listed(skip_messages(found.skipped))}")
    table = pd.concat(parts, ignore_index=True)
    table["item"] = _item_names(table, found)
    check_identity(table, "samples")
    superseded = table.duplicated(KEY, keep="last")
    found.superseded = int(superseded.sum())
    found.repeated = _repeated(table)
    found.in_several_tasks = _in_several_tasks(table)
    found.table = table[~superseded].drop(columns=["run", "log"]).reset_index(drop=True)
    found.items = items.table(found.table)
    found.shuffled = _shuffled(found.table, found.items)
    return found


def _check_tasks(benchmarks: dict[str, str], tasks: set[str]) -> None:
    """Refuse a benchmark given for a task that no log is of."""
    for task in benchmarks:
        if task not in tasks:
            raise UserError(
                f"--benchmark-of {task}={benchmarks[task]}: no log is of task '{task}'; there are "
                f"logs of {listed(sorted(tasks), 20)}{did_you_mean(task, tasks)}"
            )


def _check_subject(subject: str | None, logs: list[Log]) -> None:
    """Refuse one name for what the results files say are several models."""
    stated = sorted({log.stated for log in logs if log.stated})
    if subject and len(stated) > 1:
        raise UserError(
            f"--subject {subject}: the logs are of {len(stated)} models: {listed(stated)}; leave "
            "--subject out, or import the logs of one model at a time"
        )


def _item_names(table: pd.DataFrame, found: Imported) -> np.ndarray:
    """Return the name of each row's item, and note in `found` what is odd about the names."""
    number = table.groupby(["log", "doc_id", "item", "doc_hash"], sort=False).ngroup()
    documents = table[~number.duplicated()].reset_index(drop=True)
    documents["item"] = _named_by_ids(documents, found.no_ids)
    return _numbered(documents, found.held_twice)[number]


def _named_by_ids(documents: pd.DataFrame, no_ids: list[str]) -> pd.Series:
    """Return the names of documents, by their hash in tasks without ids, which are noted."""
    for task, rows in documents.groupby("task"):
        if not all(are_ids(r["item"], r["doc_hash"]) for _, r in rows.groupby("log")):
            no_ids.append(task)
    names = documents["item"].astype(object)
    unnamed = documents["task"].isin(no_ids)
    pairs = documents.loc[unnamed, ["benchmark", "doc_hash"]].itertuples(index=False, name=None)
    names[unnamed] = [item_by_hash(*pair) for pair in pairs]
    return names


def _numbered(documents: pd.DataFrame, held_twice: dict[str, int]) -> np.ndarray:
    """Return the names with a number where a log has a document again; how often is noted."""
    names = documents["item"].copy()
    documents = documents.sort_values(["log", "doc_id"], kind="stable")
    again = documents[documents.duplicated(["log", "item"])]
    for task, rows in again.groupby("task"):
        held_twice[task] = int(rows.groupby("log").size().max())
    several = documents[documents.duplicated(["log", "item"], keep=False)]
    for _, rows in several.groupby("log"):
        names[rows.index] = number_repeated(rows["item"])
    return names.to_numpy()


def _in_several_tasks(table: pd.DataFrame) -> dict[str, tuple[int, list[str]]]:
    """Return what `Imported.in_several_tasks` says."""
    placed = table[["benchmark", "item", "task"]].drop_duplicates()
    shared = placed[placed.duplicated(["benchmark", "item"], keep=False)]
    return {
        benchmark: (rows["item"].nunique(), sorted(rows["task"].unique()))
        for benchmark, rows in shared.groupby("benchmark")
    }


def _repeated(table: pd.DataFrame) -> list[dict]:
    """Return what `Imported.repeated` says of rows of which later ones replace earlier ones."""
    again = table[table.duplicated([*KEY, "task"], keep=False)]
    if again.empty:
        return []
    differs = again.groupby(KEY)["response"].transform("nunique") > 1
    return [
        {
            "subject": subject,
            "task": task,
            "runs": sorted(rows["run"].unique()),
            "items": int(rows["item"].nunique()),
            "different": sorted(rows.loc[differs[rows.index], "item"].unique()),
        }
        for (subject, task), rows in again.groupby(["subject", "task"])
    ]


def _shuffled(table: pd.DataFrame, items: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return the items and questions of benchmarks whose documents differ between runs.

    Then no model answers two items of one question, though several models together do.
    """
    asked = table[["subject", "benchmark", "item"]].drop_duplicates()
    asked = asked.merge(items[["benchmark", "item", "text"]], on=["benchmark", "item"])
    found = {}
    for benchmark, rows in asked.groupby("benchmark"):
        n_items, n_questions = rows["item"].nunique(), rows["text"].nunique()
        own = rows.groupby("subject").nunique()
        if n_items >= APART * n_questions and own["item"].sum() < APART * own["text"].sum():
            found[benchmark] = n_items, n_questions
    return found


def check_identity(rows: pd.DataFrame, source: str) -> None:
    """Refuse an item id that two documents share."""
    hashes = rows.dropna(subset=["doc_hash"]).groupby("item")["doc_hash"].nunique()
    if (hashes > 1).any():
        raise UserError(
            f"{source}: item '{hashes.idxmax()}' stands for {hashes.max()} different documents "
            f"({(hashes > 1).sum()} such items); the models did not get the same items: keep "
            "results of one version of the benchmark"
        )


def read_log(
    log: Log, subject: str | None, benchmarks: dict[str, str], found: Imported, items: Items
) -> list[dict]:
    """Return the rows of one log, with its `run` and `log`; the rest is noted in `found`."""
    source = str(log.path)
    said = foreign_file(log.path)
    if said:
        found.skipped.append(Skipped(source, "", said))
        return []
    benchmark = benchmarks.get(log.task, benchmark_of(log.task))
    records = read_records(log.path)
    rows: list[dict] = []
    who = subject
    for sample in read_samples(records, source, benchmark, log.task, log.results, found.skipped):
        who = who or log.subject()
        items.meet(sample.record, sample.known)
        known = {"subject": who, "run": log.run, "log": source, **sample.known}
        for metric, value in sample.values.items():
            if math.isfinite(value):
                rows.append({**known, "metric": metric, "response": value})
            else:
                reason = f"'{metric}' is {json.dumps(value)}, no finite number"
                found.skipped.append(Skipped(source, sample.place, reason))
    if rows and not (subject or log.stated or "/" in who):
        found.named_by_folder.add(who)
    return rows
