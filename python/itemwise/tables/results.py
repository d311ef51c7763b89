"""Where the results of a run lie: one table, which rules, report and R read."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

RESULTS_FILE = Path(__file__).with_name("results.csv")


@cache
def results() -> dict[tuple[str, str], dict[str, str]]:
    """Return the rows of `results.csv` by stage and name.

    Each has the `file` below the folder of the run, `{benchmark}` standing for any (empty where
    an option alone says which), and the `table` of the contract that it holds (empty for none).
    """
    with RESULTS_FILE.open(encoding="utf-8", newline="") as lines:
        return {(row["stage"], row["name"]): row for row in csv.DictReader(lines)}


def file_of(stage: str, name: str) -> str:
    """Return where a stage writes a result, below the folder of the run.

    Raises
    ------
    KeyError
        No such stage or result.

    Examples
    --------
    >>> file_of("fit_readout", "terms")
    'fit_readout/{benchmark}.terms.parquet'
    >>> file_of("screen_items", "training")
    'training/{benchmark}.parquet'
    """
    return results()[stage, name]["file"]


def names_of(stage: str) -> list[str]:
    """Return the names of the results of a stage, in their order."""
    return [name for of, name in results() if of == stage]


def read_result(run: Path, stage: str, name: str, **wildcards: str):
    """Read a result of a run: a table of the contract, or a record.

    Parameters
    ----------
    run : Path
        `results/<run>`.
    stage, name : str
        As in `results.csv`.
    **wildcards : str
        `benchmark` and whatever else its file is named after.

    Returns
    -------
    data frame or dict
    """
    path = run / file_of(stage, name).format(**wildcards)
    table = results()[stage, name]["table"]
    return read_table(path, table) if table else read_record(path)


def optional_result(run: Path, stage: str, name: str, **wildcards: str):
    """Read a result that a run need not have; None where it has none."""
    there = (run / file_of(stage, name).format(**wildcards)).exists()
    return read_result(run, stage, name, **wildcards) if there else None
