"""Tables made from the contract: one that keeps it, and every way to break it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from itemwise.tables.contract import Column, contract

ROWS = 4


def valid_table(name: str) -> pd.DataFrame:
    """Return a table with every column of the contract, nulls in the last row if allowed.

    Texts hold what separates or quotes cells in CSV, numbers need all their digits.
    """
    columns = contract()[name].columns
    known = [column for column in columns.values() if column.name != "*"]
    frame = pd.DataFrame({column.name: _values(column) for column in known})
    if "*" not in columns:
        return frame
    matrix = {"q 1": [1, 0, None, 1], "q,2": [0, 0, 1, None], "arc.3": [None] * ROWS}
    return pd.concat([frame, pd.DataFrame(matrix, dtype="float64")], axis=1)


def _values(column: Column) -> pd.Series:
    """Return values of one column, all different where the contract leaves room."""
    count = np.arange(ROWS)
    null = count == ROWS - 1 if column.nullable else np.zeros(ROWS, bool)
    if column.choices:
        texts = [column.choices[i % len(column.choices)] for i in count]
        return pd.Series(texts, dtype="str").mask(null)
    if column.type == "string":
        texts = [f'{column.name} "{i}", 00{i}, é' for i in count]
        return pd.Series(texts, dtype="str").mask(null)
    low = -2.0 if column.minimum is None else column.minimum
    if column.type == "integer":
        values = low + (count if column.maximum is None else count % 2)
        values = pd.Series(values.astype("int32"))
        return values.astype(float).mask(null) if null.any() else values
    if column.is_key:
        return pd.Series(low + count / 2)  # short, since messages show keys
    high = low + 1e6 if column.maximum is None else column.maximum
    return pd.Series(low + (high - low) * (count + 1) / 7).mask(null)


def breaches(name: str) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Yield each way to break a table: what it is, the table, what a message must name."""
    good = valid_table(name)
    table = contract()[name]
    yield "no rows", good.head(0), [name, "no rows"]
    key = [column for column in table.columns.values() if column.is_key]
    twice = pd.concat([good, good.iloc[[1]]], ignore_index=True)
    yield "key twice", twice, [f"row {ROWS + 1}", key[0].name, "occurs twice"]
    for column in table.columns.values():
        named = "q,2" if column.name == "*" else column.name
        if column.required:
            items = [c for c in good if c not in table.columns] if column.name == "*" else [named]
            yield f"without {named}", good.drop(columns=items), [name, "column"]
        for what, value in _wrong_values(column):
            bad = good.copy()
            if isinstance(value, str) or value is None:
                bad[named] = bad[named].astype(object)
            else:
                bad[named] = bad[named].astype(float)
            bad.loc[1, named] = value
            yield f"{named} {what}", bad, [f"column '{named}'", "row 2"]
        other = "text" if column.type != "string" else 7
        yield f"{named} of another type", good.assign(**{named: other}), [f"column '{named}'"]


def _wrong_values(column: Column) -> Iterator[tuple[str, float | str | None]]:
    """Yield values that the column must refuse."""
    if not column.nullable:
        yield "null", None
    if column.choices:
        yield "not a choice", "something else"
    if column.minimum is not None:
        yield "too low", column.minimum - 1
    if column.maximum is not None:
        yield "too high", column.maximum + 1
    if column.type == "integer":
        yield "not whole", (column.minimum or 0) + 0.5
        if column.maximum is None:
            yield "beyond 32 bits", 2.0**31
    if column.type == "number" and column.maximum is None:
        yield "infinite", np.inf
