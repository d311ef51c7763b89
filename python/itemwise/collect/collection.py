"""What was collected, model by model: derived from the manifest alone, always anew.

The items of a task are those that most models were given, so whether a file has the
right ones is known only when all are there: that verdict is added here, not stored.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.collect.duplicates import Group, near_duplicates
from itemwise.collect.errors import most_severe
from itemwise.collect.items import compare_with_reference, duplicated, reference_set
from itemwise.collect.leaderboard import Benchmark
from itemwise.collect.manifest import Manifest
from itemwise.collect.reading import ItemList


@dataclass
class Collected:
    """One benchmark of the models that have all of it.

    Attributes
    ----------
    benchmark, metric : str
    items : data frame
        Table `items`.
    subjects : list of str
    matrix : int8 array (n_subjects, n_items)
    """

    benchmark: str
    metric: str
    items: pd.DataFrame
    subjects: list[str]
    matrix: np.ndarray


@dataclass
class Collection:
    """Everything that is derived from a manifest.

    Attributes
    ----------
    manifest : data frame
        Table `manifest` with the verdicts on items.
    table : data frame
        Table `collection`, one row a model and benchmark.
    benchmarks : list of Collected
    groups : list of Group
        Models whose responses are nearly the same.
    """

    manifest: pd.DataFrame
    table: pd.DataFrame
    benchmarks: list[Collected]
    groups: list[Group]


def derive(
    manifest: Manifest, subjects: list[str], benchmarks: list[Benchmark], kappa: float
) -> Collection:
    """Judge the items of every file and put the responses together.

    Parameters
    ----------
    manifest : Manifest
    subjects : list of str
        Models to take.
    benchmarks : list of Benchmark
    kappa : float
        Agreement from which two models count as near-duplicates.
    """
    files = manifest.table()
    names = [b.name for b in benchmarks]
    files = files[files["subject"].isin(subjects) & files["benchmark"].isin(names)]
    files = files.reset_index(drop=True)
    item_lists = {key: manifest.item_list(key) for key in sorted(files["sheet"].dropna().unique())}
    named = {key: frozenset(items.names) for key, items in item_lists.items()}
    references = _references(files, named)
    for row in files[files["state"] == "ok"].itertuples():
        verdict = compare_with_reference(named[row.sheet], references[row.benchmark, row.task])
        if verdict is not None:
            files.loc[row.Index, ["state", "reason"]] = verdict
    table = _per_model(files)
    collected = []
    for benchmark in benchmarks:
        whole = table[(table["benchmark"] == benchmark.name) & (table["state"] == "ok")]
        if len(whole):
            collected.append(
                _put_together(manifest, benchmark, whole, files, item_lists, references)
            )
    groups = near_duplicates([(c.subjects, c.matrix) for c in collected], kappa)
    return Collection(files.drop(columns="sheet"), table, collected, groups)


def _references(files: pd.DataFrame, named: dict[str, frozenset[str]]) -> dict:
    """Return the items of each benchmark and task, by the models' majority."""
    sets = defaultdict(list)
    for row in files[files["state"] == "ok"].itertuples():
        sets[row.benchmark, row.task].append(named[row.sheet])
    return {key: reference_set(values) for key, values in sets.items()}


def _per_model(files: pd.DataFrame) -> pd.DataFrame:
    """Return table `collection`: the most severe state of a model's files decides."""
    rows = []
    for (benchmark, subject), part in files.groupby(["benchmark", "subject"], sort=True):
        state = most_severe(part["state"])
        deciding = part[part["state"] == state].iloc[0]
        where = f"{deciding['task']}: " if len(part) > 1 and deciding["task"] else ""
        whole = state == "ok"
        known = part["published"].notna().all()
        rows.append(
            {
                "subject": subject,
                "benchmark": benchmark,
                "state": state,
                "reason": None if whole else f"{where}{deciding['reason'] or 'not read yet'}",
                "repository": deciding["repository"],
                "revision": deciding["revision"],
                "run": deciding["run"],
                "n_files": len(part),
                "n_items": int(part["rows"].sum()) if whole else None,
                "score": 100 * np.average(part["mean"], weights=part["rows"]) if whole else None,
                "published": 100 * part["published"].mean() if known else None,
                "model_revision": deciding["model_revision"],
                "precision": deciding["precision"],
            }
        )
    return pd.DataFrame(rows)


def _put_together(
    manifest: Manifest,
    benchmark: Benchmark,
    whole: pd.DataFrame,
    files: pd.DataFrame,
    item_lists: dict[str, ItemList],
    references: dict,
) -> Collected:
    """Return the responses of one benchmark, items in the order of tasks and ids."""
    good = files[(files["benchmark"] == benchmark.name) & files["subject"].isin(whole["subject"])]
    order: dict[str, dict[str, int]] = {}
    facts = []
    for task in sorted(good["task"].unique()):
        names = sorted(references[benchmark.name, task])
        start = len(facts)
        order[task] = {name: start + n for n, name in enumerate(names)}
        # Facts that differ between lists, such as the row, are those of the first model.
        first = good[good["task"] == task].sort_values("subject")["sheet"].iloc[0]
        known = {item["item"]: item for item in item_lists[first].items}
        facts += [{**known[name], "task": task} for name in names]
    columns = {
        (task, sheet): np.array([order[task][name] for name in item_lists[sheet].names])
        for task, sheet in good[["task", "sheet"]].drop_duplicates().itertuples(index=False)
    }
    subjects = sorted(whole["subject"])
    matrix = np.empty((len(subjects), len(facts)), dtype=np.int8)
    for number, subject in enumerate(subjects):
        for task, sheet, responses in manifest.responses(benchmark.name, subject):
            matrix[number, columns[task, sheet]] = responses
    items = pd.DataFrame(facts)
    items.insert(0, "benchmark", benchmark.name)
    items["native"] = items["item"].map(_natives(good, item_lists))
    items["duplicate_of"] = duplicated(items)
    return Collected(benchmark.name, good["metric"].iloc[0], items, subjects, matrix)


def _natives(files: pd.DataFrame, item_lists: dict[str, ItemList]) -> dict[str, str]:
    """Return the ids of the source data set, from whichever layout has them."""
    found: dict[str, str] = {}
    for key in sorted(files["sheet"].unique()):
        for item in item_lists[key].items:
            if item["native"] is not None:
                found.setdefault(item["item"], item["native"])
    return found
