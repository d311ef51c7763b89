"""What a bank that a stranger made must not do: run code, reach out of its folder, fill memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from itemwise.errors import UserError
from itemwise.harness.export import check_tasks

LARGEST_RECORD = 64 * 2**20
"""Bytes of bank.json; a card of 100 benchmarks takes 200 kB."""
MOST_ROWS = 5_000_000
LARGEST_TABLE = 2 * 2**30
"""Rows and bytes in memory of a table; the prompts of 30,000 items take some 200 MB."""
BATCH = 1024
"""Rows looked at a time: a small file may hold one long text many times."""


def check_record(path: Path) -> None:
    """Refuse a card that is too large to be one."""
    if path.is_file() and path.stat().st_size > LARGEST_RECORD:
        raise UserError(f"{path}: has {path.stat().st_size:,} bytes, no bank's card; do not use it")


def check_place(folder: Path, place: str) -> Path:
    """Return the path of a file that a bank names, where it lies in the bank.

    Raises
    ------
    UserError
        It is an absolute path, leads out by `..`, or is a link that does.
    """
    path = folder / place
    if Path(place).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{folder / 'bank.json'}: sha256: '{place}' lies outside the bank; do not use this bank"
        )
    return path


def check_folder(folder: Path, tables: list[Path]) -> None:
    """Refuse code, tasks that name code, and tables that would fill memory.

    Raises
    ------
    UserError
        Naming the file.
    """
    check_tasks(folder / "tasks")
    for path in tables:
        with pq.ParquetFile(path) as file:
            rows, size = file.metadata.num_rows, 0
            for batch in file.iter_batches(BATCH) if rows <= MOST_ROWS else ():
                size += batch.nbytes
                if size > LARGEST_TABLE:
                    break
        if rows > MOST_ROWS or size > LARGEST_TABLE:
            raise UserError(
                f"{path}: {rows:,} rows of more than {LARGEST_TABLE / 2**30:.0f} GiB in memory, or "
                f"more than {MOST_ROWS:,} rows, are no bank's; do not use this bank"
            )
