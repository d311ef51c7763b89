"""Files that are whole or absent: write to a temporary name, then rename."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from itemwise.errors import UserError

REMEDIES = {
    errno.ENOSPC: "free space there and run again",
    errno.EDQUOT: "free space there, or have the quota raised, and run again",
    errno.EROFS: "make it writable, or choose another place",
    errno.EACCES: "make it writable, or choose another place",
}
"""What helps when the system refuses to write."""


def refusal(error: OSError) -> str | None:
    """Return what the system refuses to write and the remedy; None for other errors."""
    remedy = REMEDIES.get(error.errno)
    return remedy and f"cannot be written ({os.strerror(error.errno)}); {remedy}"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    A reader therefore sees the old file or the new one, never a part; after an
    exception nothing is left behind.

    Raises
    ------
    UserError
        `path` is a folder, or the system refuses to write there: a full disk, a quota, a
        read-only folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; choose another --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot create its folder ({error.strerror}); choose another --out"
        ) from error
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # Arrow's errors have no file name; one that names another file is about that.
        own = error.filename in (None, str(temporary), temporary)
        refused = refusal(error) if own else None
        if refused is None:
            raise
        raise UserError(f"{path}: {refused}") from error
    finally:
        with suppress(OSError):  # a read-only file system refuses even what is not there
            temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_record(record: dict, path: str | Path) -> None:
    """Write a JSON record atomically; not-a-number becomes null."""
    write_text(json.dumps(_plain(record), indent=2, ensure_ascii=False) + "\n", path)


def read_record(path: str | Path) -> dict:
    """Read a JSON record.

    Raises
    ------
    UserError
        The file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run the stage that writes it first") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: line {error.lineno}: not JSON ({error.msg}); write it again"
        ) from error


def _plain(value):
    """Convert NumPy scalars and arrays to what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
