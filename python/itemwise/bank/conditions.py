"""How answers were made: what makes results unlike a bank's calibration, or unlike each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.errors import listed
from itemwise.harness.names import metric_name
from itemwise.responses.item_facts import RUN_CONDITIONS

CONDITIONS = {
    "num_fewshot": "number of shots",
    "chat_template": "use of a chat template",
    "task_version": "version of the task",
    "harness": "version of the harness",
    "dtype": "number format",
}
"""Columns of evaluations on which answers depend, and what they are called."""
IN_PROMPTS = ("num_fewshot", "chat_template")
"""What equal prompts show to be equal, whatever tables say: a bank's tasks freeze prompts."""
HASHES = (
    ("prompt_hash", "prompts differ", "other shots, chat template or system instruction"),
    ("doc_hash", "documents differ", "another version of the data set under the same ids"),
)


def unlike_calibration(
    bank: Bank, name: str, rows: pd.DataFrame, said: str, metrics: dict
) -> list[str]:
    """Say how results were made otherwise than the bank's calibration data.

    Parameters
    ----------
    bank : Bank
    name : str
        Benchmark.
    rows : data frame
        Its rows of `evaluations`, of one metric.
    said : str
        That metric, as `metric_text` writes it.
    metrics : dict
        What the user asked for, by benchmark.
    """
    about = bank.card["benchmarks"][name]
    found = []
    if about.get("metric") is None and name not in metrics and said != "response":
        found.append(f"the bank does not say which metric it was calibrated on; took {said}")
    elif about.get("metric") is not None and said not in ("response", metric_text(about)):
        found.append(f"scored by {said}, the bank was calibrated on {metric_text(about)}")
    known = bank.items.drop_duplicates("item").set_index("item")
    found += other_documents(known, rows, "the calibration's")
    same_prompts = _same_prompts(known, rows)
    for column in RUN_CONDITIONS:
        then, now = _texts(about.get(column) or []), _values(rows, column)
        if then and set(now) - set(then) and not (same_prompts and column in IN_PROMPTS):
            found.append(f"{CONDITIONS[column]}: {listed(now)}, the calibration's: {listed(then)}")
    return found


def unlike_each_other(rows: pd.DataFrame, first: str, second: str) -> list[str]:
    """Say in what the conditions of two models differ, as far as both are known.

    Parameters
    ----------
    rows : data frame
        Rows of `evaluations` of both models, of one metric, on common items.
    first, second : str
        Subjects.
    """
    mine, others = (rows[rows["subject"] == subject] for subject in (first, second))
    known = mine.drop_duplicates("item").set_index("item")
    same_prompts = _same_prompts(known, others)
    found = []
    for column, what in CONDITIONS.items():
        a, b = (_values(part, column) for part in (mine, others))
        if a and b and a != b and not (same_prompts and column in IN_PROMPTS):
            found.append(f"{what} differs: {listed(a)} ({first}), {listed(b)} ({second})")
    return found + other_documents(known, others, f"those of {first}")


def _values(rows: pd.DataFrame, column: str) -> list[str]:
    """Return the known values of a column as texts."""
    return _texts(rows[column].dropna().unique() if column in rows else [])


def _texts(values: Iterable) -> list[str]:
    """Return values as texts; numbers without needless decimals."""
    return sorted(value if isinstance(value, str) else f"{value:g}" for value in values)


def _same_prompts(known: pd.DataFrame, rows: pd.DataFrame) -> bool:
    """Return whether all prompts are the known ones of their items."""
    if "prompt_hash" not in known or "prompt_hash" not in rows:
        return False
    return rows["prompt_hash"].eq(rows["item"].map(known["prompt_hash"])).all()


def other_documents(known: pd.DataFrame, rows: pd.DataFrame, than: str) -> list[str]:
    """Say how many prompts are others than known ones; documents where no prompt is known.

    The same prompt may come from another form of the document: the bank's own tasks freeze
    prompts.

    Parameters
    ----------
    known : data frame
        One row an item, which is the index.
    rows : data frame
        Rows of `evaluations`.
    than : str
        Whose prompts are known.
    """
    found, compared = [], np.zeros(len(rows), bool)
    for column, what, why in HASHES:
        if column not in known or column not in rows:
            continue
        expected = rows["item"].map(known[column])
        both = (expected.notna() & rows[column].notna()).to_numpy() & ~compared
        other = (both & (expected != rows[column]).to_numpy()).sum()
        if other:
            share = "all" if other == both.sum() else f"{other} of {both.sum()}"
            found.append(f"{share} {what} from {than} ({why})")
        compared |= both
    return found


def metric_text(about: dict) -> str:
    """Return a metric with its filter as text: `exact_match (strict-match)`."""
    return metric_name(about["metric"], about.get("filter"))


def merged(found: list[tuple[str, str]]) -> list[str]:
    """Return messages on benchmarks, what is said of several of them once."""
    benchmarks: dict[str, list[str]] = {}
    for benchmark, text in found:
        benchmarks.setdefault(text, []).append(benchmark)
    return [f"{listed(names, 3)}: {text}" for text, names in benchmarks.items()]
