"""The manifest: the only truth of what was collected, one row a file.

SQLite in one file, written by one thread, one transaction a file: the state of a file and
its responses appear together or not at all. Responses are packed to one bit each, and
the items' order is stored once for all models that share it, so that a whole leaderboard
takes less space than its listing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.collect.models import Model
from itemwise.collect.reading import READER, ItemList, TaskResponses
from itemwise.errors import UserError

FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS models (
    subject TEXT PRIMARY KEY, repository TEXT NOT NULL, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    subject TEXT NOT NULL, benchmark TEXT NOT NULL, path TEXT NOT NULL,
    repository TEXT NOT NULL, revision TEXT, task TEXT, run TEXT, why TEXT, layout TEXT,
    metric TEXT, bytes INTEGER, bytes_read INTEGER, rows INTEGER, hash TEXT,
    state TEXT NOT NULL, reason TEXT, retry TEXT NOT NULL, attempts INTEGER NOT NULL,
    retries INTEGER NOT NULL, trouble TEXT, started TEXT, finished TEXT,
    reader INTEGER NOT NULL, token INTEGER NOT NULL, mean REAL, published REAL,
    model_revision TEXT, precision TEXT, sheet TEXT, responses BLOB,
    PRIMARY KEY (subject, benchmark, path));
CREATE TABLE IF NOT EXISTS sheets (sheet TEXT PRIMARY KEY, items BLOB NOT NULL);
"""
PAGE = 4096


@dataclass(frozen=True)
class FileRow:
    """What is recorded of one file; an empty path stands for a benchmark without one."""

    subject: str
    benchmark: str
    repository: str
    path: str = ""
    revision: str | None = None
    task: str | None = None
    run: str | None = None
    why: str | None = None
    layout: str | None = None
    metric: str | None = None
    bytes: int | None = None
    bytes_read: int | None = None
    rows: int | None = None
    hash: str | None = None
    state: str = "pending"
    reason: str | None = None
    attempts: int = 0
    retries: int = 0
    trouble: str | None = None
    started: str | None = None
    finished: str | None = None
    token: bool = False
    mean: float | None = None
    published: float | None = None
    model_revision: str | None = None
    precision: str | None = None

    @property
    def retry(self) -> str:
        """Whether the next run tries again by itself."""
        return "retryable" if self.state == "pending" else "final"


def now() -> str:
    """Return the time of day for records; nothing is decided by it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest:
    """The manifest of one collection, open for one process at a time.

    Parameters
    ----------
    path : path
        SQLite file; made where it is missing.
    source : str
        What is collected; a manifest holds one source.
    largest : int, optional
        Bytes that the file may grow to.

    Raises
    ------
    UserError
        The file is none of ours, of another source, in use, or the disk is full.
    """

    def __init__(self, path: Path, source: str, largest: int | None = None):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=1)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{path}: cannot be written ({error}); choose another --folder"
            ) from error
        try:
            self._prepare(source, largest)
        except UserError:
            self._db.close()
            raise

    def _prepare(self, source: str, largest: int | None) -> None:
        """Lock the file, make its tables, and check what it holds."""
        with self._explained():
            # The lock is held until the process ends, however it ends.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            # A kill loses nothing; a power cut may lose the last files, which are read again.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if largest is not None:
                self._db.execute(f"PRAGMA max_page_count = {max(largest // PAGE, 1)}")
            self._db.executescript(SCHEMA)
            self._check_about({"format": str(FORMAT), "source": source})

    def _check_about(self, wanted: dict[str, str]) -> None:
        known = dict(self._db.execute("SELECT name, value FROM about"))
        if known and known != wanted:
            raise UserError(
                f"{self.path}: holds {known}, not {wanted}; choose another --folder for it"
            )
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", wanted.items())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn failures of the database into what the user can do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            remedy = "choose another --folder"
            if "locked" in text:
                remedy = "another collector is using it: wait until it ends"
            elif "full" in text or "I/O" in text:
                remedy = "free space or raise --max-disk, and run again: all that is in it is kept"
            raise UserError(f"{self.path}: {text}; {remedy}") from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: {error}; it is no manifest: remove it") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def register(self, models: Iterable[Model]) -> None:
        """Note the models of the list; what is known of them is brought up to date."""
        with self._explained(), self._db:
            self._db.executemany(
                "INSERT INTO models (subject, repository, facts) VALUES (?, ?, ?) "
                "ON CONFLICT (subject) DO UPDATE SET repository = excluded.repository, "
                "facts = excluded.facts",
                [(m.subject, m.repository, json.dumps(m.facts, default=str)) for m in models],
            )

    def plan(self, rows: list[FileRow], note: str | None = None) -> None:
        """Write the files that a benchmark needs before they are read.

        Rows of the same files at the same commit stay as they are, with what was read;
        all others of the model and benchmark go.
        """
        first = rows[0]
        kept = [row.path for row in rows]
        with self._explained(), self._db:
            self._db.execute(
                "DELETE FROM files WHERE subject = ? AND benchmark = ? AND "
                f"(path NOT IN ({', '.join('?' * len(kept))}) OR revision IS NOT ?)",
                (first.subject, first.benchmark, *kept, first.revision),
            )
            for row in rows:
                self._insert(replace(row, reason=note), "DO NOTHING")

    def record(self, row: FileRow, answers: TaskResponses | None = None) -> None:
        """Write how a file ended, with its responses, in one transaction."""
        more: dict = {}
        with self._explained(), self._db:
            if answers is not None:
                key = answers.item_list.key
                known = self._db.execute("SELECT 1 FROM sheets WHERE sheet = ?", (key,))
                if known.fetchone() is None:
                    packed = answers.item_list.pack()
                    self._db.execute("INSERT INTO sheets VALUES (?, ?)", (key, packed))
                more = {"sheet": key, "responses": np.packbits(answers.responses).tobytes()}
            if not row.path and row.state != "pending":
                self._db.execute(
                    "DELETE FROM files WHERE subject = ? AND benchmark = ? AND path != ''",
                    (row.subject, row.benchmark),
                )
            self._insert(row, "DO UPDATE", more)

    def _insert(self, row: FileRow, conflict: str, more: dict | None = None) -> None:
        """Insert a row; where it exists attempts and retries add up."""
        values = {**asdict(row), "retry": row.retry, "reader": READER, **(more or {})}
        if conflict == "DO UPDATE":
            changes = [
                f"{c} = files.{c} + excluded.{c}"
                if c in ("attempts", "retries")
                else f"{c} = COALESCE(excluded.{c}, files.{c})"
                if c == "trouble"
                else f"{c} = excluded.{c}"
                for c in values
            ]
            conflict += " SET " + ", ".join(changes)
        self._db.execute(
            f"INSERT INTO files ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) "
            f"ON CONFLICT (subject, benchmark, path) {conflict}",
            tuple(values.values()),
        )

    def reopen(self, states: list[str], token: bool) -> int:
        """Open files again: of states asked for, and what a new reader or token may read.

        With a file its benchmark is opened whole, so that it is read at the newest commit.
        """
        marks = ", ".join("?" * len(states))
        with self._explained(), self._db:
            return self._db.execute(
                "UPDATE files SET retry = 'retryable' WHERE (subject, benchmark) IN ("
                "SELECT subject, benchmark FROM files WHERE retry = 'final' AND ("
                f"state IN ({marks}) OR (state = 'bad_schema' AND reader != ?) "
                "OR (state = 'gated' AND token < ?)))",
                (*states, READER, int(token)),
            ).rowcount

    def finished(self) -> set[tuple[str, str]]:
        """Return the pairs (subject, benchmark) that are done."""
        return set(
            self._db.execute(
                "SELECT subject, benchmark FROM files GROUP BY subject, benchmark "
                "HAVING SUM(retry = 'retryable') = 0"
            )
        )

    def read_files(self) -> dict[str, dict[tuple[str, str], str]]:
        """Return by subject the commit of each (benchmark, path) that was read."""
        found: dict[str, dict[tuple[str, str], str]] = {}
        rows = self._db.execute(
            "SELECT subject, benchmark, path, revision FROM files WHERE responses IS NOT NULL "
            "AND retry = 'final'"
        )
        for subject, benchmark, path, revision in rows:
            found.setdefault(subject, {})[benchmark, path] = revision
        return found

    def table(self) -> pd.DataFrame:
        """Return one row a file, without responses, sorted."""
        frame = pd.read_sql_query(
            "SELECT * FROM files ORDER BY benchmark, subject, task, path",
            self._db,
        )
        return frame.drop(columns=["token", "responses"])

    def share_read(self) -> float:
        """Return the part of the files' bytes that was read so far; 1 before anything was."""
        read, size = next(
            self._db.execute("SELECT SUM(bytes_read), SUM(bytes) FROM files WHERE state = 'ok'")
        )
        return min(read / size, 1.0) if size else 1.0

    def models(self) -> pd.DataFrame:
        """Return what is known of the models: `subject`, `repository`, `facts`."""
        return pd.read_sql_query("SELECT * FROM models ORDER BY subject", self._db)

    def item_list(self, key: str) -> ItemList:
        """Return a list of items by its hash."""
        found = self._db.execute("SELECT items FROM sheets WHERE sheet = ?", (key,))
        return ItemList.unpack(next(found)[0])

    def responses(self, benchmark: str, subject: str) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield task, key of the items and responses (int8) of a model's files that were read."""
        rows = self._db.execute(
            "SELECT task, sheet, rows, responses FROM files WHERE benchmark = ? AND subject = ? "
            "AND state = 'ok' ORDER BY task",
            (benchmark, subject),
        )
        for task, sheet, n_rows, packed in rows:
            bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=n_rows)
            yield task, sheet, bits.astype(np.int8)
