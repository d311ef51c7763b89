"""Sub-domains of items, whose shares a form or a test keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.errors import UserError


def domains_of(items: np.ndarray, table: pd.DataFrame, column: str, source: str) -> np.ndarray:
    """Return each item's sub-domain.

    Parameters
    ----------
    items : array of str
    table : data frame
        Table `items`, with the column.
    column : str
    source : str
        Where the table comes from, for messages.

    Raises
    ------
    UserError
        No such column, or an item without a sub-domain.
    """
    if column not in table:
        raise UserError(
            f"{source}: lacks the column '{column}'; it has {', '.join(table.columns)}: give the "
            "column by config key 'item_metadata', or balance by another one"
        )
    domains = table.set_index("item")[column].reindex(items)
    if domains.isna().any():
        item = domains.index[domains.isna()][0]
        raise UserError(f"{source}: column '{column}': item '{item}' has no sub-domain; fill it in")
    return domains.to_numpy(object)
