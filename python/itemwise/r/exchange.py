"""The Python beside an R process that has no parquet package: it converts tables for it.

`R/itemwise/R/parquet.R` starts `python -m itemwise.r.exchange FOLDER` once and writes a line of
JSON for each table: `number`, `from`, `to` and, for a table that R wrote, `table`, its name in the
contract. The answer is the file FOLDER/<number>: empty, or what went wrong. The process ends
with its standard input, that is, with R.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa

from itemwise.tables.contract import arrow_type, open_parquet, write_parquet
from itemwise.tables.files import write_text
from itemwise.tables.rds import read_rds, write_rds


def main() -> None:
    """Answer requests until there are no more."""
    folder = Path(sys.argv[1])
    for line in sys.stdin.buffer:
        request = json.loads(line)
        write_text(answer(request), folder / str(request["number"]))


def answer(request: dict) -> str:
    """Convert a table; return nothing, or what went wrong."""
    try:
        convert(request["from"], request["to"], request.get("table"))
    except Exception as error:  # R tells it, in the words of its stage
        return str(error) or type(error).__name__
    return ""


def convert(source: str, target: str, table: str | None) -> None:
    """Make an RDS of a parquet file, or of an RDS the parquet file of a table."""
    if table is None:
        write_rds(open_parquet(source), target, source)
        return
    columns = read_rds(source)
    fields = [
        pa.field(field.name, arrow_type(table, field.name) or field.type)
        for field in columns.schema
    ]  # fmt: skip
    write_parquet(columns.cast(pa.schema(fields)), target)


if __name__ == "__main__":
    main()
