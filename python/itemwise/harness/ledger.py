"""The response ledger: what a model answered, on disk before the next question is asked.

One file for everything that may change answers (model, dtype, batch, prompts, versions).
The first line says what that is; every further line is one chunk of documents, written
at once, so that a killed run loses at most the chunk it was in.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from itemwise.errors import UserError

LOCAL = ("device_name", "task_versions", "num_fewshot", "location")
"""Provenance that is recorded without making another ledger: a document's key knows its task
and prompt, and the hash of a folder's files what lies there."""


class Ledger:
    """Answers of one model under one set of conditions.

    Parameters
    ----------
    folder : path
        Holds one ledger for every model and set of conditions.
    provenance : dict
        What answers may depend on.

    Raises
    ------
    UserError
        Another process is writing the same ledger; the folder is a file; the file of this
        model holds answers of another.
    """

    def __init__(self, folder: str | Path, provenance: dict):
        check_folder(folder)
        text = decisive(provenance)
        name = provenance["subject"].replace("/", "__")
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.path = Path(folder) / f"{name}.{digest[:12]}.jsonl"
        self.answers: dict[str, dict] = {}
        self.batch_sizes: set[int] = set()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        _lock(self._file, self.path)
        self._read(provenance)

    def _read(self, provenance: dict) -> None:
        """Read whole lines; cut off what a kill left of the last one."""
        self._file.seek(0)
        whole = 0
        for line in self._file:
            try:
                chunk = json.loads(line)
            except json.JSONDecodeError:
                break
            if not line.endswith(b"\n"):
                break
            if whole == 0:
                self._check(chunk.get("provenance"), provenance)
            whole += len(line)
            for key, answer in chunk.get("answers", {}).items():
                self.answers[key] = answer
            if "batch_size" in chunk:
                self.batch_sizes.add(chunk["batch_size"])
        self._file.truncate(whole)
        if whole == 0:
            self._append({"provenance": provenance})

    def _check(self, stored: dict | None, provenance: dict) -> None:
        """Refuse a file whose first line says that it is of another model or condition."""
        if stored is not None and decisive(stored) == decisive(provenance):
            return
        known = stored or {}
        raise UserError(
            f"{self.path}: line 1: holds answers of {known.get('subject', 'an unknown model')} "
            f"(model_hash {str(known.get('model_hash', 'not stated'))[:12]}), not of "
            f"{provenance['subject']} ({str(provenance.get('model_hash', 'not stated'))[:12]}); "
            "ledgers must not be renamed or edited: give it its old name, or remove it"
        )

    def add(self, answers: dict[str, dict], batch_size: int) -> None:
        """Keep the answers of a chunk: document key to filter to metric to value."""
        self._append({"batch_size": batch_size, "answers": answers})
        self.answers.update(answers)
        self.batch_sizes.add(batch_size)

    def _append(self, line: dict) -> None:
        """Write one line through to the disk."""
        self._file.write(json.dumps(line, ensure_ascii=False, default=str).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and let others write it."""
        self._file.close()


def decisive(provenance: dict) -> str:
    """Return the part of a provenance that makes another ledger, as text."""
    kept = {key: value for key, value in provenance.items() if key not in LOCAL}
    return json.dumps(kept, sort_keys=True, default=str)


def check_folder(folder: str | Path) -> None:
    """Refuse a ledger that is a file.

    Raises
    ------
    UserError
        Before anything is loaded for it.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UserError(f"{folder}: is a file; --ledger names the folder that keeps answers")


def _lock(file, path: Path) -> None:
    """Take the file for this process; the lock goes when the process does."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(
            f"{path}: another process is evaluating the same model; wait for it or stop it"
        ) from error
