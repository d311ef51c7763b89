"""Checksums inside parquet files, so that damage is found before a number is used.

Parquet detects little: of single flipped bits in a table of numbers most change a number
without an error. So every table carries the MD5 of its bytes, between the last page and
the footer. Readers go where the footer points and never look there; `R/lib/parquet.R`
writes and checks the same. Files of others have no seal and are read as they are.
"""

from __future__ import annotations

import errno
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from itemwise.errors import UserError

MARK = b"itemwise:md5:"
LENGTH = len(MARK) + 32
END = b"PAR1"


def seal_parquet(path: Path) -> None:
    """Insert the checksum of a parquet file into it.

    Raises
    ------
    OSError
        The file does not end as parquet does: its writer ran out of space.
    """
    content = path.read_bytes()
    if not content.endswith(END):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    seal = MARK + _digest(content)
    path.write_bytes(content[:footer] + seal + content[footer:])


def check_seal(path: Path) -> None:
    """Compare a file with its checksum; without one, or truncated, it is the reader's to judge.

    Raises
    ------
    UserError
        The file changed since it was written.
    """
    status = path.stat()
    if not _is_whole(path, status.st_size, status.st_mtime_ns):
        raise UserError(
            f"{path}: is damaged, its checksum differs; delete it and run again, so that it is "
            "written anew"
        )


@lru_cache(maxsize=64)
def _is_whole(path: Path, size: int, changed: int) -> bool:
    """Return whether the file is as it was written; once for each state of the file."""
    content = path.read_bytes()
    at = content.rfind(MARK)
    if at < 0 or not content.endswith(END):
        return True
    found = content[at + len(MARK) : at + LENGTH]
    return found == _digest(content[:at] + content[at + LENGTH :])


def _digest(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).hexdigest().encode()
