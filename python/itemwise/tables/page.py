"""The data contract as a page for people: tables and JSON records."""

from __future__ import annotations

import csv
from pathlib import Path

from itemwise.tables.contract import Column, contract
from itemwise.tables.results import results

RECORDS_FILE = Path(__file__).with_name("records.csv")

INTRODUCTION = """# Data contract

Generated from `contract.csv`, `results.csv` and `records.csv` in `python/itemwise/tables/` by
`make docs`; do not edit. Python (`itemwise.tables.contract`) and R
(`R/itemwise/R/contract.R`) read the same contract, and check every table on read and on write.

All tables are parquet, flat, with snake_case columns and ids as strings. A null
response means *not administered*, never *wrong*. Columns beyond these are kept and
ignored. Files are written to a temporary name and renamed: a file is whole or absent.
Each page carries parquet's own checksum, which every read by Python compares.

`key` columns identify a row: no two rows share all of them. An `optional key` may be
absent as a column. Places are those within `results/<run>/`; by hand, every command
writes where its options say.
"""

RECORDS = """## Records

What a stage says of its work, JSON beside its table: `<stage>/<benchmark>.json`. A key such
as `sets.<set>.subjects` is nested, `<set>` standing for any name. Records are not checked on
read; a test compares those of a run with this list.
"""


def contract_page() -> str:
    """Return the contract as Markdown."""
    places = written_by()
    parts = [INTRODUCTION]
    for table in contract().values():
        parts.append(f"## {table.name}\n\nWritten by {', '.join(places[table.name])}.\n")
        parts.append("| column | type | presence | values | meaning |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(column)}" for column in table.columns.values()) + "\n"
    parts.append(RECORDS)
    for name, keys in records().items():
        place = "bank/bank.json" if name == "bank" else name
        parts.append(f"### Record of `{place}`\n")
        parts.append("| key | type | presence | meaning |\n|---|---|---|---|")
        parts[-1] += "".join(
            f"\n| `{key['key']}` | {key['type']} | {key['presence']} | {key['description']} |"
            for key in keys
        )
        parts[-1] += "\n"
    return "\n".join(parts)


def written_by() -> dict[str, list[str]]:
    """Return of each table what a sentence says of the stages that write it, and of the places."""
    places: dict[str, list[str]] = {}
    for row in filter(lambda row: row["table"], results().values()):
        file = row["file"].replace("{", "<").replace("}", ">")
        elsewhere = file and not file.startswith(f"{row['stage']}/")
        place = f"`{row['stage']}` as `{file}`" if elsewhere else f"`{file or row['stage']}`"
        places.setdefault(row["table"], []).append(place)
    return places


def records() -> dict[str, list[dict[str, str]]]:
    """Return the keys of each JSON record: `key`, `type`, `presence`, `description`."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in _rows(RECORDS_FILE):
        found.setdefault(row["record"], []).append(row)
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _row(column: Column) -> str:
    """Return one column as a row of the page."""
    values = ", ".join(f"`{choice}`" for choice in column.choices)
    if column.minimum is not None:
        values += f" >= {column.minimum:g}"
    if column.maximum is not None:
        values += f" <= {column.maximum:g}"
    if column.nullable:
        values += " or null"
    name = "*item id*" if column.name == "*" else f"`{column.name}`"
    return (
        f"| {name} | {column.type} | {column.presence} | {values.strip()} | {column.description} |"
    )
