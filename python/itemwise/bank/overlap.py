"""Which items two models both answered, and why the others do not match."""

from __future__ import annotations

import pandas as pd

SHUFFLED = (
    "the same rows of the data set with other content (options shuffled in each run, or another "
    "version of the data set; to match them, name them alike in column 'item' of both tables)"
)


def unmatched(rows: pd.DataFrame, asked: pd.DataFrame, first: str, second: str) -> list[str]:
    """Say of each model how many of its items are not compared, and why.

    Parameters
    ----------
    rows : data frame
        Rows of `evaluations` of one benchmark and metric, null responses among them.
    asked : data frame
        Rows of all that was asked, of items that a bank does not know too.
    first, second : str
        Subjects.

    Returns
    -------
    list of str
        Empty where both answered the same items.
    """
    found = []
    for subject, other in ((first, second), (second, first)):
        mine, theirs = rows[rows["subject"] == subject], rows[rows["subject"] == other]
        answered = mine[mine["response"].notna()].drop_duplicates("item")
        compared = answered["item"].isin(theirs.loc[theirs["response"].notna(), "item"])
        rest = answered[~compared]
        if rest.empty:
            continue
        reasons = _reasons(rest, theirs, asked[asked["subject"] == other], other)
        found.append(
            f"{len(rest)} of {len(answered)} items of {subject} are not compared: "
            + "; ".join(f"{n} {text}" for text, n in reasons.items() if n)
        )
    return found


def _reasons(
    rest: pd.DataFrame, theirs: pd.DataFrame, asked: pd.DataFrame, other: str
) -> dict[str, int]:
    """Count items without a partner by the reason for it."""
    null = rest["item"].isin(theirs["item"])
    changed = ~null & _places(rest).isin(_places(asked).dropna())
    return {
        f"without a value of {other}": int(null.sum()),
        SHUFFLED: int(changed.sum()),
        f"not asked of {other}": int((~null & ~changed).sum()),
    }


def _places(rows: pd.DataFrame) -> pd.Series:
    """Return task and row of the data set of each row, null where they are not known."""
    if "doc_id" not in rows:
        return pd.Series(index=rows.index, dtype=object)
    task = rows["task"].fillna(rows["benchmark"]) if "task" in rows else rows["benchmark"]
    return (task + ":" + rows["doc_id"].astype(str)).where(rows["doc_id"].notna())
