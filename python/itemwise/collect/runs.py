"""Which run of a model serves a task.

A repository holds many runs: of other shots, of one subject, cut by `--limit`. Neither
the newest nor the first match will do. A run can serve a benchmark when it has every
task with the right shots; of those the one with most rows is taken, then the latest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from itemwise.collect.errors import CollectError
from itemwise.collect.hub import HubFile
from itemwise.collect.leaderboard import Benchmark

TIME = r"(\d{4})[-_](\d\d)[-_](\d\d)T(\d\d)[-:_](\d\d)[-:_](\d\d)(?:\.(\d+))?"
DETAILS = re.compile(
    rf"(?:.*/)?details_harness\|(?P<task>[^|]+)\|(?P<shots>\d+)_(?P<time>{TIME})\.parquet"
)
RESULTS = re.compile(rf"(?:.*/)?results_(?P<time>{TIME})\.json")
OLD_MMLU = 0
"""Version of the harness's MMLU tasks whose prompts were wrong."""


@dataclass
class Run:
    """One run's files of one benchmark, by task."""

    time: str
    files: dict[str, HubFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The run that serves a benchmark, and why."""

    run: Run
    why: str


def run_key(text: str) -> str:
    """Return a run's time in one spelling; files, folders and cards have three.

    Raises
    ------
    ValueError
        The text is no time.
    """
    found = re.fullmatch(TIME, text)
    if not found:
        raise ValueError(f"'{text}' is no time of a run")
    year, month, day, hour, minute, second, fraction = found.groups()
    return f"{year}-{month}-{day}T{hour}-{minute}-{second}.{(fraction or '0'):0<6}"


def runs_of(files: Iterable[HubFile], benchmark: Benchmark) -> list[Run]:
    """Return the runs that hold anything of a benchmark with its shots, earliest first."""
    runs: dict[str, Run] = {}
    for file in sorted(files, key=lambda f: f.path):
        found = DETAILS.fullmatch(file.path)
        if not found or int(found["shots"]) != benchmark.shots:
            continue
        if found["task"] in benchmark.tasks:
            key = run_key(found["time"])
            runs.setdefault(key, Run(key)).files[found["task"]] = file
    return [runs[key] for key in sorted(runs)]


def results_of(files: Iterable[HubFile]) -> dict[str, HubFile]:
    """Return the results files by run."""
    found = ((RESULTS.fullmatch(file.path), file) for file in files)
    return {run_key(match["time"]): file for match, file in found if match}


def choose_run(
    runs: list[Run],
    benchmark: Benchmark,
    results: dict[str, dict],
    rows: Callable[[HubFile], int],
    revision: str | None = None,
    precision: str | None = None,
) -> Choice:
    """Choose the run that serves a benchmark.

    Parameters
    ----------
    runs : list of Run
    benchmark : Benchmark
    results : dict
        Content of the results file of each run that has one.
    rows : callable
        Rows of a file; asked only where several runs are complete.
    revision, precision : str, optional
        Runs that state another commit or precision of the model are not taken.

    Raises
    ------
    CollectError
        `incomplete`: no run will do, with what is wrong with each.
    """
    if not runs:
        raise CollectError("incomplete", f"no run of {benchmark.name} with {benchmark.shots} shots")
    usable, refused = [], []
    for run in runs:
        fault = _fault(run, benchmark, results.get(run.time, {}), revision, precision)
        if fault:
            refused.append(f"{run.time}: {fault}")
        else:
            usable.append(run)
    if not usable:
        shown = "; ".join(refused[-3:])
        raise CollectError("incomplete", f"none of {len(runs)} runs is complete ({shown})")
    if len(usable) == 1:
        return Choice(usable[0], f"only complete run of {len(runs)}")
    counts = {run.time: sum(rows(f) for f in run.files.values()) for run in usable}
    best = max(usable, key=lambda run: (counts[run.time], run.time))
    why = f"{counts[best.time]} rows, most of {len(usable)} complete runs"
    tied = sum(count == counts[best.time] for count in counts.values())
    return Choice(best, f"{why}; latest of {tied}" if tied > 1 else why)


def _fault(
    run: Run, benchmark: Benchmark, results: dict, revision: str | None, precision: str | None
) -> str | None:
    """Say why a run cannot serve a benchmark."""
    lacking = len(benchmark.tasks) - len(run.files)
    if lacking:
        return f"lacks {lacking} of {len(benchmark.tasks)} tasks"
    if benchmark.name == "mmlu":
        versions = results.get("versions", {})
        named = [versions.get(result_key(t, benchmark.shots)) for t in benchmark.tasks]
        if OLD_MMLU in named:
            return "old MMLU (versions == 0)"
    general = results.get("config_general", {})
    for what, wanted, stated in (
        ("commit", revision, general.get("model_sha")),
        ("precision", precision, general.get("model_dtype")),
    ):
        if wanted and stated and not agree(wanted, stated):
            return f"of {what} {stated}, not {wanted}"
    return None


def agree(wanted: str, stated: str) -> bool:
    """Whether two spellings of a commit or precision are the same."""
    first, second = (str(t).lower().removeprefix("torch.") for t in (wanted, stated))
    return first.startswith(second) or second.startswith(first)


def result_key(task: str, shots: int) -> str:
    """Return the name of a task in results files."""
    return f"harness|{task}|{shots}"


def published(results: dict, benchmark: Benchmark, task: str, metric: str) -> float | None:
    """Return a published score of a task (0-1); None where there is none or it is NaN."""
    value = results.get("results", {}).get(result_key(task, benchmark.shots), {}).get(metric)
    return float(value) if isinstance(value, int | float) and value == value else None


def parse_results(body: bytes, path: str) -> dict:
    """Return the content of a results file.

    Raises
    ------
    CollectError
        It is not JSON.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        raise CollectError("bad_schema", f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise CollectError("bad_schema", f"{path}: holds no mapping")
    return content
