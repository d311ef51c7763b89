"""What long tables hold, to say it where what was asked for is not there or is not unique."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from itemwise.errors import did_you_mean, listed

PAIR = ("metric", "filter")
SHOWN = 12
"""Names listed in a message."""


def distinct_rows(batches: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the distinct rows of batches, as texts: batches differ in their categories."""
    distinct = pd.DataFrame()
    for batch in batches:
        batch = batch.drop_duplicates()
        texts = batch.select_dtypes("category").columns
        batch = batch.astype(dict.fromkeys(texts, "str"))
        distinct = pd.concat([distinct, batch], ignore_index=True).drop_duplicates()
    return distinct


def pairs_text(rows: pd.DataFrame) -> str:
    """List the pairs of metric and filter: `acc (none), acc_norm (none)`."""
    columns = [name for name in PAIR if name in rows]
    pairs = rows[columns].drop_duplicates().sort_values(columns)
    return listed((f"{p[0]} ({p[1]})" if len(p) == 2 else p[0] for p in pairs.to_numpy()), SHOWN)


def explain_missing(rows: pd.DataFrame, asked: dict[str, str | None]) -> str:
    """Say what there is instead of a metric or filter that no row has.

    Parameters
    ----------
    rows : data frame
        Distinct `metric` and `filter` of the benchmark's rows, those that they have.
    asked : dict
        `metric` and `filter` asked for; None where any will do.
    """
    wrong = {k: v for k, v in asked.items() if v is not None and k in rows}
    if not wrong:
        return "check the benchmark's name and config key 'sources'"
    near = [did_you_mean(value, set(rows[key].dropna()) - {value}) for key, value in wrong.items()]
    keys = " or ".join(f"'{key}'" for key in wrong)
    return f"there are {pairs_text(rows)}: change config key {keys}{next(filter(None, near), '')}"
