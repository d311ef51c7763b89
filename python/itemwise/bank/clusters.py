"""Clusters of items that share a passage, document or subject."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.bank.model_scores import match_items
from itemwise.errors import UserError, did_you_mean, listed
from itemwise.tables.given import open_given


def with_clusters(
    evaluations: pd.DataFrame,
    column: str,
    items: str | Path | None = None,
    bank: Bank | None = None,
) -> pd.DataFrame:
    """Add the cluster of each row as column `cluster`; null where it is not known.

    Parameters
    ----------
    evaluations : data frame
        Table `evaluations`.
    column : str
        Column of the items table, if one is named, else of the evaluations, else of the bank's
        items.
    items : path, optional
    bank : Bank, optional

    Raises
    ------
    UserError
        There is no such column, it tells of no item, or an item is in two clusters.
    """
    if items is not None:
        source, known = str(items), read_items(items)
    elif column in evaluations or bank is None:
        source, known = "the results", evaluations
    else:
        source, known, evaluations = "the bank's items", bank.items, match_items(bank, evaluations)
    if column not in known:
        raise UserError(
            f"--cluster {column}: no such column in {source}, but {listed(known, 20)}"
            f"{did_you_mean(column, known)}; give a table with the columns 'item' and '{column}' "
            "by --items"
        )
    by_item = known[["item", column]].dropna().astype(str).drop_duplicates()
    twice = by_item["item"].duplicated()
    if twice.any():
        item = by_item.loc[twice, "item"].iloc[0]
        clusters = listed(by_item.loc[by_item["item"] == item, column])
        raise UserError(
            f"{source}: column '{column}': item '{item}' is in several clusters ({clusters}); keep "
            "one of them"
        )
    cluster = evaluations["item"].map(by_item.set_index("item")[column])
    if cluster.isna().all():
        raise UserError(
            f"{source}: column '{column}': no cluster of any item of the results, which are called "
            f"like {listed(evaluations['item'].unique(), 2)}; there, items are called like "
            f"{listed(known['item'].unique(), 2)}"
        )
    return evaluations.assign(cluster=cluster)


def read_items(path: str | Path) -> pd.DataFrame:
    """Read a table of items, parquet or CSV, of which only the column `item` is required.

    Raises
    ------
    UserError
        It cannot be read, or has no such column.
    """
    table = open_given(path, "items")
    if "item" not in table:
        raise UserError(
            f"{path}: lacks the column 'item'; it has {listed(table, 20)}: rename the column that "
            "holds the ids of the items"
        )
    return table
