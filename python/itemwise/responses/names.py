"""Names of models and items: without blanks around them, and none that means something else."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.tables.contract import contract

NO_ITEMS = tuple(name for name in contract()["responses"].columns if name != "*")
"""What tables of responses, training and test tables among them, have besides items."""

RESERVED_ITEMS = (*NO_ITEMS, "(intercept)", "GroupPars")
"""What tables of responses, linear predictors and mirt's fits call something else."""

CSV_NULLS = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"}
"""Cells of a CSV that name nothing."""

LOG = logging.getLogger(__name__)


def clean(name: object) -> object:
    """Return a name without the blanks around it, None for an empty one.

    What is no text is left as it is, for a check to name it.
    """
    return (name.strip() or None) if isinstance(name, str) else name


def cleaned(values: pd.Series, nulls: Iterable[str] = ()) -> pd.Series:
    """Return a column of names as categories, without blanks around them.

    Parameters
    ----------
    values : series
        Of any type; what is no text is kept.
    nulls : iterable of str
        Texts that name nothing.
    """
    column = values.astype("category").cat
    names = [clean(name) for name in column.categories]
    names = [None if isinstance(name, str) and name in nulls else name for name in names]
    codes, distinct = pd.factorize(np.array([*names, None], dtype=object))
    return pd.Series(pd.Categorical.from_codes(codes[column.codes], distinct), values.index)


def check_item_names(names: Sequence[str], source: str) -> None:
    """Refuse names of items that mean something else in later tables."""
    taken = [name for name in names if name in RESERVED_ITEMS]
    if taken:
        raise UserError(
            f"{source}: item '{taken[0]}': that name means something else in later tables; "
            "rename the item"
        )


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that differ by case, blanks within, or forms of letters alone."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = unicodedata.normalize("NFKC", name).casefold()
        groups.setdefault("".join(plain.split()), []).append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def warn_of_look_alikes(names: Iterable[str], what: str, source: str) -> list[tuple[str, ...]]:
    """Print a notice of names that are hardly distinct, and return them in groups."""
    groups = look_alikes(names)
    if groups:
        shown = listed((" and ".join(map(repr, group)) for group in groups), 3)
        LOG.warning(
            "%s: %d %s have names that differ by case or blanks alone, and count as different: "
            "%s; write them alike where they are the same",
            source,
            sum(map(len, groups)),
            what,
            shown,
        )
    return groups
