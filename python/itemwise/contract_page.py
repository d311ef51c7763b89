"""The data contract as a page for people."""

from __future__ import annotations

from itemwise.tables import Column, contract

INTRODUCTION = """# Data contract

Generated from `python/itemwise/contract.csv` by `make docs`; do not edit. Python
(`itemwise.tables`) and R (`R/lib/io.R`) read the same file, and check every table on
read and on write.

All tables are parquet, flat, with snake_case columns and ids as strings. A null
response means *not administered*, never *wrong*. Columns beyond these are kept and
ignored. Files are written to a temporary name and renamed: a file is whole or absent.
Each carries a checksum before its footer (`itemwise.seal`), which every read compares.

`key` columns identify a row: no two rows share all of them. An `optional key` may be
absent as a column.
"""


def contract_page() -> str:
    """Return the contract as Markdown."""
    parts = [INTRODUCTION]
    for table in contract().values():
        parts.append(f"## {table.name}\n")
        parts.append("| column | type | presence | values | meaning |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(column)}" for column in table.columns.values()) + "\n"
    return "\n".join(parts)


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
