"""Convert a table between parquet and CSV, with the types of the data contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from itemwise.cli.options import add
from itemwise.errors import UserError
from itemwise.responses.matrix import read_responses, write_responses
from itemwise.tables.contract import check_table, contract, open_parquet, write_table
from itemwise.tables.delimited import delimiter
from itemwise.tables.files import atomic_path


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--in", dest="source", required=True, help="table to read")
    add(parser, "out")
    parser.add_argument(
        "--table", choices=sorted(contract()), help="table of the contract; needed for parquet"
    )


def run(options) -> None:
    """Convert by the suffixes of the two names."""
    suffixes = (Path(options.source).suffix, Path(options.out).suffix)
    if suffixes == (".parquet", ".csv"):
        frame = open_parquet(options.source).to_pandas(integer_object_nulls=True)
        with atomic_path(options.out) as temporary:
            frame.to_csv(temporary, index=False, quoting=2)
    elif suffixes == (".csv", ".parquet"):
        if options.table is None:
            raise UserError(f"{options.out}: say which table of the contract it is with --table")
        _to_parquet(options)
    else:
        raise UserError(
            f"{options.source} to {options.out}: one must end in .parquet and the other in .csv"
        )


def _to_parquet(options) -> None:
    """Read a CSV with the contract's types and write it as parquet."""
    if options.table == "responses":
        write_responses(read_responses(options.source), options.out)
        return
    columns = contract()[options.table].columns
    texts = {name: "str" for name, c in columns.items() if c.type == "string"}
    try:
        frame = pd.read_csv(
            options.source,
            sep=delimiter(Path(options.source)),
            dtype=texts,
            keep_default_na=False,
            na_values=[""],
        )
    except (FileNotFoundError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{options.source}: cannot be read as CSV ({error}); check it") from error
    check_table(frame, options.table, options.source)
    write_table(frame, options.out, options.table)
