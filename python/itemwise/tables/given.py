"""Tables that users give, parquet or CSV; those that stages write are parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from itemwise.errors import UserError
from itemwise.tables.contract import check_table, contract, open_parquet
from itemwise.tables.delimited import csv_columns, delimiter


def open_given(path: str | Path, table: str) -> pd.DataFrame:
    """Read a table that a user gives, unchecked: `.csv` of any usual delimiter, else parquet.

    Parameters
    ----------
    path : path
    table : str
        Name in the contract. What it calls texts are texts in a CSV, too (an item `007`);
        other columns are what they look like. Blanks around names of columns do not count.

    Raises
    ------
    UserError
        There is no such file, or it cannot be read.
    """
    if Path(path).suffix != ".csv":
        return open_parquet(path).to_pandas()
    names = csv_columns(Path(path))  # says what is wrong with a file that is no CSV
    known = contract()[table].columns
    texts = {n: "str" for n in names if n.strip() in known and known[n.strip()].type == "string"}
    try:
        frame = pd.read_csv(path, sep=delimiter(Path(path)), dtype=texts, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error}); write it again") from error
    return frame.rename(columns=str.strip)


def read_given(path: str | Path, table: str) -> pd.DataFrame:
    """Read a table that a user gives and check it against the contract.

    Raises
    ------
    UserError
        It cannot be read, or breaks the contract.
    """
    frame = open_given(path, table)
    check_table(frame, table, str(path))
    return frame
