"""Reading that several stages share."""

from __future__ import annotations

import numpy as np

from itemwise.responses.domains import domains_of
from itemwise.responses.matrix import Responses, check_answered, read_responses
from itemwise.tables.contract import read_table


def answered_responses(path: str) -> Responses:
    """Read responses, each subject having at least one."""
    responses = read_responses(path)
    check_answered(responses, path)
    return responses


def sub_domains(column: str | None, table: str | None, items: np.ndarray) -> np.ndarray:
    """Return each item's sub-domain by a column of the items table; one where there is none."""
    if column is None:
        return np.zeros(len(items), dtype=int)
    return domains_of(items, read_table(table, "items"), column, table)
