"""What an import of sample logs tells people: what came in, and what looks wrong."""

from __future__ import annotations

import pandas as pd

from itemwise.errors import listed
from itemwise.harness.samples import Imported


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
    messages = [f"skipped {line}" for line in found.skipped[:5]]
    if len(found.skipped) > 5:
        messages.append(f"skipped {len(found.skipped) - 5} more lines")
    if found.named_by_folder:
        messages.append(
            f"named by their folder, which states no organization: "
            f"{listed(sorted(found.named_by_folder))}; no results_<time>.json beside the logs says "
            "otherwise. Is that no model's name? Give --subject organization/model"
        )
    if found.repeated:
        messages.append(_repeated(found.repeated))
    return messages


def _repeated(repeated: list[dict]) -> str:
    """Say which models were evaluated more than once, and which run counts."""
    tasks: dict[str, list[str]] = {}
    for entry in repeated:
        tasks.setdefault(entry["subject"], []).append(entry["task"])
    who = "; ".join(f"{subject}: {listed(names, 3)}" for subject, names in list(tasks.items())[:3])
    more = "; ..." if len(tasks) > 3 else ""
    last = {entry["runs"][-1][:10] for entry in repeated}
    day = f"the run of {last.pop()}" if len(last) == 1 and last != {""} else "the later run"
    differing = sum(len(entry["different"]) for entry in repeated)
    return (
        f"{_count(len(tasks), 'model')} evaluated more than once ({who}{more}); {day} counts; "
        f"{_count(differing, 'answer')} changed (which: --record)"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"
