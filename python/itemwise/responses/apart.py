"""Items that differ between models though the questions agree: options shuffled for each run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.harness.names import APART
from itemwise.responses.matrix import Responses


def check_items_shared(responses: Responses, items: pd.DataFrame, coverage: float) -> None:
    """Refuse responses of which no subject covers the items, but some cover the questions.

    Questions are told by the items' text, else by task and row of the document.

    Parameters
    ----------
    responses : Responses
    items : data frame
        Table `items`, in the order of the responses.
    coverage : float
        Share that a subject must have answered.
    """
    answered = responses.administered
    questions, told_by = _questions(items)
    if questions is None or (answered.mean(axis=1) >= coverage).any():
        return
    order = np.argsort(questions, kind="stable")
    starts = np.unique(questions[order], return_index=True)[1]
    asked = np.logical_or.reduceat(answered[:, order], starts, axis=1)
    several = answered.shape[1] >= APART * asked.shape[1]
    once = answered.sum() < APART * asked.sum()
    if several and once and (asked.mean(axis=1) >= coverage).any():
        raise UserError(
            f"the subjects share hardly an item although their questions agree (by {told_by}): "
            f"{asked.shape[1]} questions are {answered.shape[1]} items, since the documents differ "
            "from run to run, as where options are shuffled; a lower 'coverage' would not help: "
            "evaluate all models with the options in one order, or give long tables whose column "
            "'item' names the question"
        )


def _questions(items: pd.DataFrame) -> tuple[np.ndarray | None, str]:
    """Return the number of each item's question, and what tells it; None where nothing does."""
    if "text" in items and items["text"].notna().all():
        return pd.factorize(items["text"])[0], "the items' text"
    if {"task", "doc_id"} <= set(items) and items["doc_id"].notna().all():
        rows = items.groupby(["task", "doc_id"], sort=False, dropna=False).ngroup()
        return rows.to_numpy(), "task and row of the documents"
    return None, ""
