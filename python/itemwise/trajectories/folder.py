"""The folder of trajectories: every table as parquet and CSV, and the record of the build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import atomic_path, read_record, write_record

RECORD = "trajectories.json"
NEEDED = ("trajectories", "trajectory_measures")
OPTIONAL = (
    "trajectory_curves",
    "change_points",
    "run_comparisons",
    "run_differences",
    "analysis_correlations",
    "training_curves",
    "sequence_scores",
    "sequence_correlations",
)
"""Tables that are absent where they would have no rows."""


def write_folder(folder: str | Path, tables: dict[str, pd.DataFrame | None], record: dict) -> None:
    """Write tables and record: complete beside their place, then moved there.

    Raises
    ------
    UserError
        The folder holds something else.
    """
    folder = Path(folder)
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / RECORD).exists())
    ):
        raise UserError(f"{folder}: is not empty and no folder of trajectories; choose another")
    made = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        for name in (*NEEDED, *OPTIONAL):
            if tables.get(name) is not None:
                write_table(tables[name], made / f"{name}.parquet", name)
                with atomic_path(made / f"{name}.csv") as temporary:
                    tables[name].to_csv(temporary, index=False)
        write_record(record, made / RECORD)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def read_folder(folder: str | Path) -> tuple[dict[str, pd.DataFrame | None], dict]:
    """Read the tables (None where one is absent) and the record.

    Raises
    ------
    UserError
        No such folder, or a table that breaks the contract.
    """
    folder = Path(folder)
    record = read_record(folder / RECORD)
    tables: dict[str, pd.DataFrame | None] = {
        name: read_table(folder / f"{name}.parquet", name) for name in NEEDED
    }
    for name in OPTIONAL:
        path = folder / f"{name}.parquet"
        tables[name] = read_table(path, name) if path.exists() else None
    for name, table in tables.items():
        if table is not None and "group" in table:
            tables[name] = table.assign(group=table["group"].fillna(""))
    return tables, record
