"""The bank: a folder with all that scoring a model needs, without R.

bank.json, items.parquet, parameters.parquet (the whole calibrated pool, one ability scale
a benchmark), forms.parquet, readout/terms.parquet, readout/linear_predictors.parquet,
perhaps readout/reference.parquet (what the calibration models answered, without names),
tasks/ with harness tasks of the forms whose prompts are known, and README.md, the card for
people. Nothing in it names a place outside the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.bank.card import card_text
from itemwise.bank.guard import check_folder, check_place, check_record
from itemwise.errors import UserError
from itemwise.harness.export import write_tasks
from itemwise.readout.features import OVERALL
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record, write_text

FORMAT_VERSION = 3
"""2 brought the table `reference`; 3 its numbers that are the same in every benchmark, and with
them the joint process: joint read-outs were smooths before."""
TABLES = {
    "items": "items.parquet",
    "parameters": "parameters.parquet",
    "selection": "forms.parquet",
    "terms": "readout/terms.parquet",
    "linear_predictors": "readout/linear_predictors.parquet",
}
"""Tables of the contract and their place in the folder."""
OPTIONAL = {
    "reference": "readout/reference.parquet",
    "cat_calibration": "readout/cat_calibration.parquet",
}
"""Tables that a bank may lack."""


def write_bank(folder: str | Path, card: dict, tables: dict[str, pd.DataFrame]) -> None:
    """Write a bank: complete beside its place, then moved there.

    Parameters
    ----------
    folder : path
        An older bank there is replaced, once the new one is complete.
    card : dict
        `benchmarks` and what is said of them; format and checksums are added.
    tables : dict
        The tables of `TABLES`, perhaps those of `OPTIONAL`.

    Raises
    ------
    UserError
        The folder holds something else; an item id occurs twice.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "bank.json").exists():
        raise UserError(f"{folder}: is not empty and no bank; choose another --out")
    twice = tables["parameters"]["item"].duplicated()
    if twice.any():
        item = tables["parameters"].loc[twice, "item"].iloc[0]
        raise UserError(f"item '{item}' occurs in two benchmarks; make item ids unique")
    made, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        for name, place in {**TABLES, **OPTIONAL}.items():
            if name in TABLES or tables.get(name) is not None:
                write_table(tables[name], made / place, name)
        no_task = write_tasks(made / "tasks", tables["items"], tables["selection"])
        card = {**card, "without_task": no_task}
        write_text(card_text(card, tables), made / "README.md")
        files = sorted(path for path in made.rglob("*") if path.is_file())
        sums = {str(path.relative_to(made)): checksum(path) for path in files}
        head = {"format_version": FORMAT_VERSION, "itemwise": version("itemwise")}
        write_record({**head, **card, "sha256": sums}, made / "bank.json")
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
    finally:
        for place in (made, old):
            shutil.rmtree(place, ignore_errors=True)


def read_bank(folder: str | Path, benchmarks: Sequence[str] = ()) -> Bank:
    """Read a bank, check that it is whole, and that it is data and no code.

    Parameters
    ----------
    folder : path
    benchmarks : sequence of str
        Those to keep; none means all.

    Raises
    ------
    UserError
        No bank, a newer format, a missing or changed file, a table against the contract; code, a
        path outside the folder, a table that would fill memory; no such benchmark.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of a bank")
    check_record(folder / "bank.json")
    try:
        card = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
        newest, sums = int(card["format_version"]), dict(card["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        within = folder / "bank"
        hint = (
            f"did you mean {within}?"
            if (within / "bank.json").exists()
            else ("give the folder of a bank")
        )
        raise UserError(f"{folder}: holds no readable bank.json; {hint}") from None
    if newest > FORMAT_VERSION:
        raise UserError(
            f"{folder}: bank of format {newest}, this itemwise reads up to {FORMAT_VERSION}; "
            "update itemwise"
        )
    for place, expected in sums.items():
        check_place(folder, place)
        if not (folder / place).exists():
            raise UserError(f"{folder / place}: is missing; copy the whole bank again")
        if checksum(folder / place) != expected:
            raise UserError(f"{folder / place}: was changed or cut off; copy the bank again")
    present = {n: p for n, p in {**TABLES, **OPTIONAL}.items() if p in sums}
    check_folder(folder, [folder / place for place in present.values()])
    for name in TABLES.keys() - present.keys():
        raise UserError(f"{folder / TABLES[name]}: is missing; copy the whole bank again")
    tables = {name: read_table(folder / place, name) for name, place in present.items()}
    if newest < 3:
        tables["terms"] = renamed_overall(tables["terms"])
    whole = Bank(card, **tables)
    return whole.part(benchmarks) if benchmarks else whole


def renamed_overall(terms: pd.DataFrame) -> pd.DataFrame:
    """Return the terms of a bank of format 1 or 2, which called the mean of all `grand`."""
    return terms.assign(
        benchmark=terms["benchmark"].replace("grand", OVERALL),
        **{c: terms[c].str.replace(r"^grand\.", f"{OVERALL}.", regex=True)
           for c in ("variable", "variable2")},
    )  # fmt: skip


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
