"""Sample logs of lm-evaluation-harness, of every layout since 2023, as evaluations.

One line a document and filter; before 0.4.7 lines name neither filter nor metrics.
Log-likelihoods and texts stay in the logs: only metric values are taken.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError, did_you_mean, listed
from itemwise.harness.names import OLD_FILTERS, benchmark_of, hash_document, hash_text, item_of
from itemwise.harness.sample_items import Items

FILE_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.\-]+)\.jsonl")
KNOWN_METRICS = (
    "acc", "acc_norm", "acc_mutual_info", "exact_match", "em", "f1", "mc1", "mc2",
    "pass@1", "pass_at_1", "brier_score", "likelihood_diff", "pct_stereotype",
    "prompt_level_strict_acc", "prompt_level_loose_acc",
)  # fmt: skip
"""Metrics looked for in lines that do not list theirs."""
KEY = ["subject", "benchmark", "item", "filter", "metric"]
"""What a model answered once; of several rows the last counts."""


@dataclass
class Imported:
    """Evaluations and what was passed over.

    Attributes
    ----------
    table : data frame
        Table `evaluations`.
    items : Items
        What the logs say of the items.
    skipped : list of str
        Files and lines that could not be read, with the reason.
    named_by_folder : set of str
        Models without an organization whose name is that of their folder alone.
    superseded : int
        Rows of earlier runs, replaced by a later run of the same task.
    repeated : list of dict
        `subject` and `task` that were evaluated more than once: `runs`, their time stamps,
        of which the last counts; `items`, how many were answered again; `different`, those
        answered differently.
    """

    table: pd.DataFrame
    items: Items = field(default_factory=Items)
    skipped: list[str] = field(default_factory=list)
    named_by_folder: set[str] = field(default_factory=set)
    superseded: int = 0
    repeated: list[dict] = field(default_factory=list)


def sample_files(paths: list[str | Path]) -> list[Path]:
    """Return the sample logs named and inside folders, in the order of their time stamps.

    Raises
    ------
    UserError
        A path does not exist, or no sample log is found.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [p for p in path.rglob("*.jsonl") if FILE_NAME.fullmatch(p.name)]
        elif path.exists():
            files.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; check the path")
    if not files:
        raise UserError(
            f"{listed(paths)}: no file named samples_<task>_<time>.jsonl; give the folder that "
            "lm-eval wrote with --log_samples --output_path"
        )
    return sorted(files, key=lambda path: (_time_of(path), str(path)))


def import_samples(
    paths: list[str | Path],
    subject: str | None = None,
    benchmarks: dict[str, str] | None = None,
    progress: Callable[[list], list] = lambda files: files,
) -> Imported:
    """Read sample logs into one table.

    A later run of the same model and task replaces the earlier one item by item: of two
    rows with the same subject, item, filter and metric the one with the later time stamp
    counts, within a file the later line.

    Parameters
    ----------
    paths : list of path
        Files, or folders to look through.
    subject : str, optional
        Name of the model; by default that of the folder that holds the log, `__` read
        as `/` as the harness writes it, or of the results file beside it.
    benchmarks : dict, optional
        Benchmark of each task, where it is not metabench's or the task's own name.
    progress : callable, optional
        Wraps the list of files.

    Raises
    ------
    UserError
        No log, no usable line, a log that names no model, or a benchmark given for a task
        that no log is of.
    """
    files, benchmarks = sample_files(paths), benchmarks or {}
    _check_tasks(benchmarks, {_task_of(path) for path in files})
    found = Imported(pd.DataFrame())
    parts = []
    for path in progress(files):
        rows = read_log(path, subject, benchmarks, found)
        if rows:
            parts.append(pd.DataFrame(rows))
    if not parts:
        raise UserError(f"no usable line in the logs: {listed(found.skipped)}")
    table = pd.concat(parts, ignore_index=True)
    check_identity(table, "samples")
    superseded = table.duplicated(KEY, keep="last")
    found.superseded = int(superseded.sum())
    found.repeated = _repeated(table, superseded)
    found.table = table[~superseded].drop(columns="run").reset_index(drop=True)
    return found


def _check_tasks(benchmarks: dict[str, str], tasks: set[str]) -> None:
    """Refuse a benchmark given for a task that no log is of."""
    for task in benchmarks:
        if task not in tasks:
            raise UserError(
                f"--benchmark-of {task}={benchmarks[task]}: no log is of task '{task}'; there are "
                f"logs of {listed(sorted(tasks), 20)}{did_you_mean(task, tasks)}"
            )


def _repeated(table: pd.DataFrame, superseded: pd.Series) -> list[dict]:
    """Return what `Imported.repeated` says of rows of which later ones replace earlier ones."""
    if not superseded.any():
        return []
    again = table[table.duplicated(KEY, keep=False)]
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
    path: Path, subject: str | None, benchmarks: dict[str, str], found: Imported
) -> list[dict]:
    """Return the rows of one log, with its time stamp as `run`; the rest is noted in `found`."""
    task = _task_of(path)
    benchmark = benchmarks.get(task, benchmark_of(task))
    results = _results_beside(path)
    who = subject or _subject_of(path, results)
    if not (subject or _stated_name(results) or "/" in who):
        found.named_by_folder.add(who)
    rows = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        samples = read_samples(lines, str(path), benchmark, task, results, found.skipped)
        for sample, known, values in samples:
            found.items.meet(sample, known)
            known = {"subject": who, "run": _time_of(path), **known}
            rows += [{**known, "metric": m, "response": value} for m, value in values.items()]
    return rows


def read_samples(
    lines: Iterable[str], source: str, benchmark: str, task: str, results: dict, skipped: list[str]
) -> Iterator[tuple[dict, dict, dict[str, float]]]:
    """Yield each sample of a log, what is known of it, and its metrics.

    Parameters
    ----------
    lines : iterable of str
    source : str
        Where the lines come from, for messages.
    benchmark, task : str
    results : dict
        Content of the results file of the same run, empty where there is none.
    skipped : list of str
        Lines that cannot be read are added, with the reason.
    """
    filters = _old_filters(task, benchmark, results)
    version = results.get("versions", {}).get(task)
    seen: Counter = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            doc, doc_id = sample["doc"], int(sample["doc_id"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            skipped.append(f"{source}: line {number}: cut off or no sample of the harness")
            continue
        filter_name = sample.get("filter")
        if filter_name is None:
            turn = seen[doc_id]
            filter_name = filters[turn] if turn < len(filters) else f"filter-{turn + 1}"
            seen[doc_id] += 1
        values = _metric_values(sample)
        if not values:
            skipped.append(f"{source}: line {number}: no metric with a number")
        doc_hash = sample.get("doc_hash") or hash_document(doc)
        known = {
            "benchmark": benchmark,
            "task": task,
            "item": item_of(benchmark, doc, doc_hash),
            "doc_id": doc_id,
            "doc_hash": doc_hash,
            "prompt_hash": sample.get("prompt_hash") or _prompt_hash(sample),
            "filter": filter_name,
            "harness": results.get("lm_eval_version"),
            "transformers": results.get("transformers_version"),
            "task_version": None if version is None else str(version),
        }
        yield sample, known, values


def _metric_values(sample: dict) -> dict[str, float]:
    """Return the metrics of a line that are numbers."""
    names = sample.get("metrics") or KNOWN_METRICS
    values = {name: sample[name] for name in names if name in sample}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _prompt_hash(sample: dict) -> str | None:
    """Return the hash of the first request's prompt, from either layout of arguments."""
    arguments = sample.get("arguments")
    try:
        first = arguments["gen_args_0"]["arg_0"] if isinstance(arguments, dict) else arguments[0][0]
    except (KeyError, IndexError, TypeError):
        return None
    return hash_text(first) if isinstance(first, str) else None


def _old_filters(task: str, benchmark: str, results: dict) -> list[str]:
    """Return the names of a task's filters in their order, for logs that lack them."""
    stated = results.get("configs", {}).get(task, {}).get("filter_list")
    if stated:
        return [entry["name"] for entry in stated]
    return list(OLD_FILTERS.get(benchmark, ("none",)))


def _results_beside(path: Path) -> dict:
    """Return the results file of the same run, if it lies beside the log."""
    for candidate in path.parent.glob(f"*results_{_time_of(path)}.json"):
        try:
            return json.loads(candidate.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return {}
    return {}


def _subject_of(path: Path, results: dict) -> str:
    """Name the model, by the results file, else by the folder; with its revision if stated.

    The harness writes all revisions of a model to one folder.
    """
    name = (_stated_name(results) or path.parent.name).replace("__", "/")
    if name in ("", ".."):
        raise UserError(
            f"{path}: neither a folder nor a results_<time>.json beside it names the model; give "
            "--subject organization/model"
        )
    revision = _revision(results.get("config") or {})
    return name if revision in (None, "main") else f"{name}@{revision}"


def _stated_name(results: dict) -> str | None:
    """Return the model's name as a results file states it."""
    return results.get("model_name") or results.get("model_name_sanitized")


def _revision(config: dict) -> str | None:
    """Return the revision that was asked for, from either form of the model's arguments."""
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        pairs = (part.partition("=")[::2] for part in re.split(r"[,\s]+", arguments))
        arguments = {name.strip(): value.strip() for name, value in pairs}
    return (arguments or {}).get("revision") or config.get("model_revision")


def _task_of(path: Path) -> str:
    """Return the task that a log's name states."""
    found = FILE_NAME.fullmatch(path.name)
    return found["task"] if found else path.stem.removeprefix("samples_")


def _time_of(path: Path) -> str:
    """Return the time stamp in a log's name, empty where there is none."""
    found = FILE_NAME.fullmatch(path.name)
    return found["time"] if found else ""
