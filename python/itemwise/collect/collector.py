"""The loop: workers read, one writer records.

A worker takes one model: it lists the repository, fixes the commit, chooses the runs and
reads file by file. It never touches the manifest; what it finds goes through a short
queue to the writer, so that memory stays bounded and a kill loses the files in flight.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from itemwise.collect.errors import Changed, CollectError, RevisionGone
from itemwise.collect.hub import Hub, HubFile, Listing
from itemwise.collect.leaderboard import Benchmark
from itemwise.collect.manifest import FileRow, Manifest, now
from itemwise.collect.models import Model
from itemwise.collect.reading import Selection, disagreement
from itemwise.collect.v1 import V1
from itemwise.collect.v2 import V2

READERS = {"v1": V1, "v2": V2, "samples": V2}
RELISTINGS = 5
"""Times that a repository is listed again in one run because its files changed."""


@dataclass
class Job:
    """What is left to do of one model.

    Attributes
    ----------
    model : Model
    benchmarks : list of Benchmark
    read : dict
        Commit of each (benchmark, path) that was read before.
    """

    model: Model
    benchmarks: list[Benchmark]
    read: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def pinned(self) -> str | None:
        """The commit at which a benchmark was begun; its other files must be of the same."""
        names = {b.name for b in self.benchmarks}
        return next((c for (name, _), c in sorted(self.read.items()) if name in names), None)


def jobs_left(manifest: Manifest, models: list[Model], benchmarks: list[Benchmark]) -> list[Job]:
    """Return what is left to do, by the manifest."""
    finished, read = manifest.finished(), manifest.read_files()
    jobs = [
        Job(
            model,
            [b for b in benchmarks if (model.subject, b.name) not in finished],
            read.get(model.subject, {}),
        )
        for model in models
    ]
    return [job for job in jobs if job.benchmarks]


class Stopped(Exception):
    """The run ends: a worker leaves its model as it is."""


class Collector:
    """Reads jobs with several workers.

    Parameters
    ----------
    hub : Hub
    source : {"v1", "v2", "samples"}
    manifest : Manifest
    workers : int
    """

    def __init__(self, hub: Hub, source: str, manifest: Manifest, workers: int):
        self._hub, self._manifest, self._workers = hub, manifest, workers
        self._reader = READERS[source]
        self._results: queue.Queue = queue.Queue(maxsize=2 * workers)
        self._stop = threading.Event()
        hub.on_pause(self._wait)

    def run(self, jobs: list[Job], progress: Callable[[str], None] = lambda what: None) -> None:
        """Read all jobs; return when everything is in the manifest.

        Parameters
        ----------
        jobs : list of Job
        progress : callable
            Told "file" or "model" for each that is done.

        Raises
        ------
        UserError
            The manifest cannot be written, or the hub cannot be used.
        """
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="collect")
        ahead: Iterable[Job] = iter(jobs)
        left = len(jobs)
        try:
            for _ in range(min(2 * self._workers, left)):
                pool.submit(self._work, next(ahead))
            while left:
                method, arguments = self._results.get()
                if method == "failed":
                    raise arguments[0]
                if method == "model":
                    left -= 1
                    following = next(ahead, None)
                    if following is not None:
                        pool.submit(self._work, following)
                else:
                    getattr(self._manifest, method)(*arguments)
                if method in ("model", "record"):
                    progress("model" if method == "model" else "file")
        finally:
            self._stop.set()
            while not self._results.empty():  # a worker may wait for room
                self._results.get_nowait()
            pool.shutdown(wait=True, cancel_futures=True)

    def _emit(self, method: str, *arguments) -> None:
        """Hand something to the writer."""
        while not self._stop.is_set():
            try:
                self._results.put((method, arguments), timeout=0.2)
                return
            except queue.Full:
                continue
        raise Stopped

    def _wait(self, seconds: float) -> None:
        """Wait between two attempts, not longer than the run lasts."""
        if self._stop.wait(seconds):
            raise Stopped

    def _work(self, job: Job) -> None:
        """Do one job; a fault of ours ends the run instead of a worker."""
        try:
            self._model(job)
            self._emit("model")
        except Stopped:
            pass
        except BaseException as error:
            self._emit("failed", error)

    def _model(self, job: Job) -> None:
        """List a repository and read what is left of it, again when it changes meanwhile."""
        note = None
        self._hub.take_failures()
        for turn in range(RELISTINGS):
            try:
                listing = self._list(job)
                self._benchmarks(job, listing, note)
                return
            except Changed as change:
                note = f"listed again: {change.reason}"
                job.read = {}
                failure: CollectError = change
                if turn + 1 < RELISTINGS:
                    self._hub.wait_before(turn + 1)
            except CollectError as error:
                failure = error
                break
        for benchmark in job.benchmarks:
            self._fail(job, benchmark, failure)

    def _list(self, job: Job) -> Listing:
        """Return the files at the commit at which the model was begun, else the newest."""
        repository = job.model.repository
        try:
            return self._hub.listing(repository, job.pinned)
        except RevisionGone:
            if job.pinned is None:
                raise
            # Its history was rewritten: what was read of unfinished benchmarks goes.
            job.read = {}
            return self._hub.listing(repository)

    def _benchmarks(self, job: Job, listing: Listing, note: str | None) -> None:
        """Read every benchmark that is left at one commit."""
        reader = self._reader(self._hub, job.model, listing)
        for benchmark in list(job.benchmarks):
            try:
                selection = reader.select(benchmark)
            except Changed:
                raise
            except CollectError as failure:
                self._fail(job, benchmark, failure, listing.revision)
                continue
            rows = self._planned(job, listing, benchmark, selection)
            self._emit("plan", list(rows.values()), note)
            for task, file in selection.files.items():
                if job.read.get((benchmark.name, file.path)) != listing.revision:
                    self._file(reader, rows[task], file, benchmark, selection, note)
            # What is whole stays, even where the rest of the model must be listed again.
            job.benchmarks.remove(benchmark)

    def _planned(
        self, job: Job, listing: Listing, benchmark: Benchmark, selection: Selection
    ) -> dict[str, FileRow]:
        """Return the rows of the files that serve a benchmark, by task."""
        retries, trouble = self._hub.take_failures()
        rows = {
            task: FileRow(
                subject=job.model.subject,
                benchmark=benchmark.name,
                repository=job.model.repository,
                path=file.path,
                revision=listing.revision,
                task=task,
                run=selection.run,
                why=selection.why,
                bytes=file.size,
                hash=file.hash,
                token=self._hub.token,
                published=_published(selection, benchmark, task),
                model_revision=selection.revision,
                precision=selection.precision,
            )
            for task, file in selection.files.items()
        }
        first = next(iter(rows))  # failures of listing and choosing go with it
        rows[first] = replace(rows[first], retries=retries, trouble=trouble)
        return rows

    def _file(
        self,
        reader: V1 | V2,
        row: FileRow,
        file: HubFile,
        benchmark: Benchmark,
        selection: Selection,
        note: str | None,
    ) -> None:
        """Read one file and hand it to the writer."""
        row = replace(row, started=now(), attempts=1, reason=note, retries=0, trouble=None)
        before = self._hub.bytes_of_thread()
        answers = None
        try:
            answers = reader.read(file, benchmark, row.task)
            answers.item_list.key  # noqa: B018 - hashed here, so that the writer need not
            fault = disagreement(answers, selection.published.get(row.task, {}))
            row = replace(
                row,
                state="acc_mismatch" if fault else "ok",
                reason=fault or note,
                layout=answers.layout,
                metric=answers.metric,
                rows=len(answers.responses),
                mean=float(answers.responses.mean()) if len(answers.responses) else None,
            )
        except Changed:
            raise
        except CollectError as failure:
            row = replace(row, state=failure.state, reason=failure.reason)
        retries, said = self._hub.take_failures()
        row = replace(
            row,
            bytes_read=self._hub.bytes_of_thread() - before,
            retries=retries,
            trouble=said,
            finished=now(),
        )
        self._emit("record", row, answers)

    def _fail(
        self, job: Job, benchmark: Benchmark, failure: CollectError, revision: str | None = None
    ) -> None:
        """Record that a benchmark has no file to read."""
        retries, said = self._hub.take_failures()
        row = FileRow(
            subject=job.model.subject,
            benchmark=benchmark.name,
            repository=job.model.repository,
            revision=revision,
            state=failure.state,
            reason=failure.reason,
            attempts=1,
            retries=retries,
            trouble=said,
            started=now(),
            finished=now(),
            token=self._hub.token,
        )
        self._emit("record", row)


def _published(selection: Selection, benchmark: Benchmark, task: str) -> float | None:
    """Return the score of a task that was published (0-1)."""
    stated = selection.published.get(task, {})
    if benchmark.score is not None:
        return stated.get(benchmark.score)
    known = [value for value in stated.values() if value is not None]
    return known[0] if len(known) == 1 else None
