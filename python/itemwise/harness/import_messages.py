"""What an import of sample logs tells people: what came in, and what looks wrong."""

from __future__ import annotations

import re

import pandas as pd

from itemwise.errors import listed
from itemwise.harness.sample_records import skip_messages
from itemwise.harness.samples import Imported

MOST = 5
"""Reasons for skipping that are printed."""


def summary(table: pd.DataFrame) -> list[str]:
    """Return a line for each benchmark, filter and metric: models, items, and who deviates.

    Parameters
    ----------
    table : data frame
        Table `evaluations`.
    """
    lines = []
    for (benchmark, filter_name, metric), rows in table.groupby(["benchmark", "filter", "metric"]):
        items = rows.groupby("subject")["item"].nunique()
        usual = int(items.mode().max())
        others = [f"{subject}: {n}" for subject, n in items[items != usual].items()]
        like_all = f"{_count(len(items) - len(others), 'model')} with {_count(usual, 'item')}"
        deviating = f"; {listed(others)}" if others else ""
        lines.append(f"{benchmark}, {metric} ({filter_name}): {like_all}{deviating}")
    return lines


def warnings(found: Imported) -> list[str]:
    """Return what may be wrong with an import: lines passed over, names, repeated runs."""
    skipped = skip_messages(found.skipped)
    messages = [f"skipped {line}" for line in skipped[:MOST]]
    if len(skipped) > MOST:
        messages.append(f"skipped more in {len(skipped) - MOST} other places (which: --record)")
    if found.named_by_folder:
        messages.append(
            f"named by their folder, which states no organization: "
            f"{listed(sorted(found.named_by_folder))}; no results_<time>.json beside the logs says "
            "otherwise. Is that no model's name? Give --subject organization/model, or, of several "
            "models, put the logs of each into a folder organization__model"
        )
    messages += [
        f"{task}: the documents have a column that names several of them alike; it is not taken "
        "for the item's id: items are named by the hash of the document"
        for task in found.no_ids
    ]
    messages += [
        f"{task}: the data set holds {_count(n, 'document')} again; each counts as an item of its "
        "own, as in the harness's score (item-2, ...)"
        for task, n in found.held_twice.items()
    ]
    messages += [
        f"{benchmark}: {_count(n, 'document')} in several of its tasks ({listed(tasks)}): each "
        "counts once, the last answer"
        for benchmark, (n, tasks) in found.in_several_tasks.items()
    ]
    messages += [_shuffled_text(name, *counts) for name, counts in found.shuffled.items()]
    if found.repeated:
        messages.append(_repeated(found.repeated))
    return messages


def _repeated(repeated: list[dict]) -> str:
    """Say which models were evaluated more than once, and which run counts."""
    tasks: dict[str, list[str]] = {}
    for entry in repeated:
        tasks.setdefault(entry["subject"], []).append(entry["task"])
    if all(len(entry["runs"]) == 1 for entry in repeated):
        return _within_a_run(tasks)
    who = "; ".join(f"{subject}: {listed(names, 3)}" for subject, names in list(tasks.items())[:3])
    more = "; ..." if len(tasks) > 3 else ""
    last = {entry["runs"][-1][:10] for entry in repeated}
    dated = len(last) == 1 and re.fullmatch(r"[\d-]{10}", *last)
    day = f"the run of {last.pop()}" if dated else "the later run"
    differing = sum(len(entry["different"]) for entry in repeated)
    return (
        f"{_count(len(tasks), 'model')} evaluated more than once ({who}{more}); {day} counts; "
        f"{_count(differing, 'answer')} changed (which: --record)"
    )


def _within_a_run(tasks: dict[str, list[str]]) -> str:
    """Say which models' logs answer documents twice within one run."""
    who = listed([f"{subject}: {listed(names, 3)}" for subject, names in tasks.items()], 3)
    return (
        f"{_count(len(tasks), 'model')} with documents answered twice within one run ({who}): a "
        "copy of a log, or lines appended to it? The last line counts (which: --record)"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _shuffled_text(benchmark: str, n_items: int, n_questions: int) -> str:
    """Say that models share the questions of a benchmark but hardly an item."""
    return (
        f"{benchmark}: the models share hardly an item although their questions agree: "
        f"{n_questions} questions are {n_items} items, since the documents differ from run to run "
        "(options shuffled?); evaluate all models with the options in one order"
    )
