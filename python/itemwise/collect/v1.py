"""Leaderboard v1: `details_{org}__{model}`, parquet, many runs a repository."""

from __future__ import annotations

import json

from itemwise.collect.hub import Address, Hub, HubFile, Listing
from itemwise.collect.items import content_hash, normalise, number_duplicates
from itemwise.collect.layouts import open_details, read_details
from itemwise.collect.leaderboard import Benchmark
from itemwise.collect.models import Model
from itemwise.collect.reading import ItemList, Selection, TaskResponses
from itemwise.collect.remote import RemoteFile
from itemwise.collect.runs import choose_run, parse_results, published, results_of, runs_of


class V1:
    """Reader of one repository of leaderboard v1."""

    def __init__(self, hub: Hub, model: Model, listing: Listing):
        self._hub, self._model, self._listing = hub, model, listing
        self._results_files = results_of(listing.files.values())
        self._results: dict[str, dict] = {}
        self._open: dict[str, RemoteFile] = {}

    def select(self, benchmark: Benchmark) -> Selection:
        """Choose the run that serves a benchmark.

        Raises
        ------
        CollectError
        """
        runs = runs_of(self._listing.files.values(), benchmark)
        # Only runs with every task are candidates, so only their results are read.
        complete = [run for run in runs if len(run.files) == len(benchmark.tasks)]
        results = {run.time: self._read_results(run.time) for run in complete}
        choice = choose_run(
            runs,
            benchmark,
            results,
            self._rows,
            self._model.revision,
            self._model.precision,
        )
        stated = results[choice.run.time]
        metrics = dict.fromkeys((benchmark.metric, benchmark.score))
        general = stated.get("config_general", {})
        return Selection(
            choice.run.time,
            choice.why if stated else f"{choice.why}; no results file to compare with",
            choice.run.files,
            {
                task: {m: published(stated, benchmark, task, m) for m in metrics}
                for task in benchmark.tasks
            },
            general.get("model_sha") or None,
            general.get("model_dtype") or None,
        )

    def asked(self, benchmark: Benchmark) -> list[HubFile]:
        """Return the files that a benchmark would ask for, by the listing alone."""
        runs = runs_of(self._listing.files.values(), benchmark)
        complete = [run for run in runs if len(run.files) == len(benchmark.tasks)]
        stated = (self._results_files.get(run.time) for run in complete)
        data = [file for run in complete for file in run.files.values()]
        return [*data, *filter(None, stated)]

    def read(self, file: HubFile, benchmark: Benchmark, task: str) -> TaskResponses:
        """Read the answers of one file.

        Raises
        ------
        CollectError
        """
        remote = self._open.pop(file.path, None) or self._remote(file)
        details = read_details(
            open_details(remote), benchmark.metric, benchmark.score, remote.prefetch
        )
        texts = [normalise(item.question, item.choices) for item in details.items]
        golds = [item.gold for item in details.items]
        hashes = [content_hash(benchmark.name, task, *text) for text in texts]
        names = number_duplicates([f"{benchmark.name}.{h}" for h in hashes], golds)
        item_list = ItemList(
            [
                {
                    "item": name,
                    "doc_id": row,
                    "doc_hash": digest,
                    "text": text,
                    "choices": json.dumps(choices, ensure_ascii=False) if choices else None,
                    "gold": item.gold,
                    "native": item.native,
                }
                for row, (name, digest, (text, choices), item) in enumerate(
                    zip(names, hashes, texts, details.items, strict=True)
                )
            ]
        )
        mean = float(details.responses.mean()) if len(details.responses) else float("nan")
        scores = {benchmark.score: details.score, benchmark.metric: mean}
        return TaskResponses(details.layout, benchmark.metric, item_list, details.responses, scores)

    def _rows(self, file: HubFile) -> int:
        """Return the rows of a file by its footer, which is kept for reading on."""
        remote = self._open.setdefault(file.path, self._remote(file))
        return open_details(remote).metadata.num_rows

    def _remote(self, file: HubFile) -> RemoteFile:
        address = Address(self._listing.repository, self._listing.revision, file)
        return RemoteFile(self._hub, address)

    def _read_results(self, run: str) -> dict:
        """Return the content of a run's results file, empty where it has none."""
        file = self._results_files.get(run)
        if file is None:
            return {}
        if run not in self._results:
            body = self._hub.read(self._listing.repository, self._listing.revision, file)
            self._results[run] = parse_results(body, file.path)
        return self._results[run]
