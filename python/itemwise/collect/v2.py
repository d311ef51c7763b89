"""Leaderboard v2, and any data set of lm-eval sample logs: one record a document."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

import numpy as np

from itemwise.collect.errors import CollectError
from itemwise.collect.hub import Address, Hub, HubFile, Listing
from itemwise.collect.items import number_duplicates
from itemwise.collect.leaderboard import Benchmark
from itemwise.collect.models import Model
from itemwise.collect.reading import ItemList, Selection, TaskResponses
from itemwise.collect.remote import CHUNK, RemoteFile
from itemwise.collect.runs import TIME, agree, parse_results, run_key
from itemwise.errors import UserError
from itemwise.harness.json_text import records_in
from itemwise.harness.names import main_metric, name_items
from itemwise.harness.results_files import mapping_at, text_at
from itemwise.harness.sample_items import item_content
from itemwise.harness.sample_records import Skipped, read_samples

LOG = re.compile(rf"(?:(?P<folder>.*)/)?samples_(?P<task>.+)_(?P<time>{TIME})\.jsonl?")
RESULTS = re.compile(rf"(?:(?P<folder>.*)/)?results_(?P<time>{TIME})\.json")


@dataclass
class _Logs:
    """The logs of one run by task, and its results file."""

    files: dict[str, HubFile] = field(default_factory=dict)
    results: HubFile | None = None


def folders_with_logs(listing: Listing) -> list[str]:
    """Return the folders of a repository that hold sample logs, sorted."""
    found = (LOG.fullmatch(path) for path in listing.files)
    return sorted({match["folder"] or "" for match in found if match})


def tasks_with_logs(listing: Listing) -> list[str]:
    """Return the tasks that a repository holds sample logs of, sorted."""
    found = (LOG.fullmatch(path) for path in listing.files)
    return sorted({match["task"] for match in found if match})


class V2:
    """Reader of one model's sample logs in a repository."""

    def __init__(self, hub: Hub, model: Model, listing: Listing):
        self._hub, self._model, self._listing = hub, model, listing
        self._runs: dict[str, _Logs] = {}
        self._results: dict[str, dict] = {}
        for path, file in sorted(listing.files.items()):
            for pattern in (LOG, RESULTS):
                match = pattern.fullmatch(path)
                if not match or model.folder not in (None, match["folder"] or ""):
                    continue
                logs = self._runs.setdefault(run_key(match["time"]), _Logs())
                if pattern is LOG:
                    logs.files[match["task"]] = file
                else:
                    logs.results = file

    def select(self, benchmark: Benchmark) -> Selection:
        """Choose, task by task, the run with most documents, then the latest.

        Raises
        ------
        CollectError
        """
        files, runs, published, facts = {}, {}, {}, {}
        for task in benchmark.tasks:
            found = self._logs_of(task)
            if not found:
                raise CollectError("incomplete", f"no sample log of task {task}")
            found = {time: file for time, file in found.items() if self._fits(time, len(found))}
            if not found:
                raise CollectError(
                    "incomplete", f"no run of task {task} at this commit and precision"
                )
            sizes = {time: self._documents(time, task, len(found)) for time in found}
            best = max(found, key=lambda time: (sizes[time], time))
            files[task], runs[task] = found[best], best
            stated = self._read_results(best)
            published[task] = _published(stated, task, benchmark.score)
            facts = mapping_at(stated, "config") or facts
        several = len({*runs.values()}) > 1
        why = "most documents, then latest" + (", task by task" if several else "")
        return Selection(
            ", ".join(sorted(set(runs.values()))),
            why,
            files,
            published,
            text_at(facts, "model_sha"),
            text_at(facts, "model_dtype"),
        )

    def asked(self, benchmark: Benchmark) -> list[HubFile]:
        """Return the files that a benchmark would ask for, by the listing alone."""
        found = filter(None, map(self._logs_of, benchmark.tasks))
        latest = [max(logs.items()) for logs in found]
        stated = {self._runs[time].results for time, _ in latest}
        return [*(file for _, file in latest), *filter(None, stated)]

    def read(self, file: HubFile, benchmark: Benchmark, task: str) -> TaskResponses:
        """Read the answers of one log, in chunks.

        Raises
        ------
        CollectError
        """
        address = Address(self._listing.repository, self._listing.revision, file)
        remote = io.BufferedReader(RemoteFile(self._hub, address, CHUNK), 1 << 20)
        log = io.TextIOWrapper(remote, encoding="utf-8", errors="replace")
        match = LOG.fullmatch(file.path)
        results = self._read_results(run_key(match["time"]))
        skipped: list[Skipped] = []
        rows = []
        available = set()
        for sample in read_samples(
            records_in(log), file.path, benchmark.name, task, results, skipped
        ):
            available |= {(sample.known["filter"], metric) for metric in sample.values}
            rows.append((sample.known, sample.values, item_content(sample.record)))
        if skipped:
            raise CollectError("bad_schema", f"{skipped[0]} ({len(skipped)} such lines)")
        if not rows:
            raise CollectError("incomplete", f"{file.path}: no line")
        try:
            chosen, metric = main_metric(benchmark.name, available, benchmark.metric)
        except UserError as error:
            raise CollectError("bad_schema", str(error)) from error
        # Lines are in the order of completion: documents are put in their own order.
        kept = sorted((r for r in rows if r[0]["filter"] == chosen), key=lambda r: r[0]["doc_id"])
        if any(metric not in values for _, values, _ in kept):
            raise CollectError("bad_schema", f"{file.path}: lines without metric '{metric}'")
        responses = np.array([values[metric] for _, values, _ in kept], dtype=float)
        if np.isnan(responses).any():
            raise CollectError("incomplete", f"rows without a number in '{metric}'")
        if not np.isin(responses, (0, 1)).all():
            raise CollectError("bad_schema", f"metric '{metric}' holds other values than 0 and 1")
        golds = [facts["gold"] for _, _, facts in kept]
        known = [row[0] for row in kept]
        names = name_items(
            benchmark.name, [k["item"] for k in known], [k["doc_hash"] for k in known]
        )
        names = number_duplicates(names, golds)
        item_list = ItemList(
            [
                {
                    "item": name,
                    "doc_id": known["doc_id"],
                    "doc_hash": known["doc_hash"],
                    **facts,
                    "native": None,
                }
                for name, (known, _, facts) in zip(names, kept, strict=True)
            ]
        )
        return TaskResponses(
            "samples",
            metric,
            item_list,
            responses.astype(np.int8),
            {metric: float(responses.mean())},
        )

    def _logs_of(self, task: str) -> dict[str, HubFile]:
        """Return the logs of a task by run; lists of 2024 where no later ones replaced them."""
        found = {t: logs.files[task] for t, logs in self._runs.items() if task in logs.files}
        later = {time: file for time, file in found.items() if file.path.endswith(".jsonl")}
        return later or found

    def _fits(self, time: str, candidates: int) -> bool:
        """Whether a run is of the commit and precision asked for; looked up among several."""
        if candidates == 1:
            return True
        stated = mapping_at(self._read_results(time), "config")
        pairs = (
            (self._model.revision, text_at(stated, "model_sha")),
            (self._model.precision, text_at(stated, "model_dtype")),
        )
        return all(agree(wanted, said) for wanted, said in pairs if wanted and said)

    def _documents(self, time: str, task: str, candidates: int) -> int:
        """Return how many documents a run had of a task, as its results file says."""
        if candidates == 1:
            return 0
        count = mapping_at(self._read_results(time), "n-samples", task).get("effective")
        return count if isinstance(count, int) else 0

    def _read_results(self, time: str) -> dict:
        """Return the content of a run's results file, empty where it has none."""
        file = self._runs[time].results
        if file is None:
            return {}
        if time not in self._results:
            body = self._hub.read(self._listing.repository, self._listing.revision, file)
            self._results[time] = parse_results(body, file.path)
        return self._results[time]


def _published(results: dict, task: str, metric: str | None) -> dict[str, float | None]:
    """Return the published scores of a task (0-1) by metric, of one filter alone."""
    stated: dict[str, float | None] = {}
    for key, value in mapping_at(results, "results", task).items():
        name, _, _ = key.partition(",")
        if metric not in (None, name) or not isinstance(value, int | float):
            continue
        # Several filters: which one was published is not known.
        stated[name] = None if name in stated or value != value else float(value)
    return stated
