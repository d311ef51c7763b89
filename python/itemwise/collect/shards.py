"""The tables of a collection: long shards a benchmark, items, subjects, manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from itemwise.collect.collection import Collected, Collection
from itemwise.responses.build import describe_subjects
from itemwise.tables.contract import contract, write_parquet, write_table
from itemwise.tables.files import atomic_path

ROWS = 1_000_000
"""Rows of a shard: what a reader needs at once."""


def write_collection(collection: Collection, models: pd.DataFrame, folder: Path) -> None:
    """Write every table of a collection.

    Parameters
    ----------
    collection : Collection
    models : data frame
        `Manifest.models()`.
    folder : path
        Gets `manifest.parquet`, `collection.parquet`, `subjects.parquet`, and by
        benchmark `NAME.items.parquet` and the shards `NAME/part-00000.parquet`.

    Raises
    ------
    UserError
        The disk is full; what was collected is kept, and run again nothing is asked twice.
    """
    write_table(collection.manifest, folder / "manifest.parquet", "manifest")
    write_table(collection.table, folder / "collection.parquet", "collection")
    write_table(describe(collection, models), folder / "subjects.parquet", "subjects")
    for collected in collection.benchmarks:
        write_table(collected.items, folder / f"{collected.benchmark}.items.parquet", "items")
        write_shards(collected, folder / collected.benchmark)


def write_shards(collected: Collected, folder: Path) -> None:
    """Write long shards of whole models, each atomically; others in the folder go."""
    names = collected.items["item"].tolist()
    size = max(ROWS // len(names), 1)
    starts = range(0, len(collected.subjects), size)
    for number, start in enumerate(starts):
        rows = slice(start, start + size)
        with atomic_path(folder / f"part-{number:05d}.parquet") as temporary:
            write_parquet(long_table(collected, rows), temporary)
    for stale in folder.iterdir():
        if stale.name not in {f"part-{n:05d}.parquet" for n in range(len(starts))}:
            stale.unlink()


def long_table(collected: Collected, rows: slice) -> pa.Table:
    """Return some models' responses, one row a model and item (contract `evaluations`)."""
    subjects, matrix = collected.subjects[rows], collected.matrix[rows]
    n_subjects, n_items = matrix.shape
    item = np.tile(np.arange(n_items, dtype=np.int32), n_subjects)
    subject = np.repeat(np.arange(n_subjects, dtype=np.int32), n_items)
    constant = np.zeros(matrix.size, dtype=np.int8)
    columns = {
        "subject": (subject, subjects),
        "benchmark": (constant, [collected.benchmark]),
        "item": (item, collected.items["item"].tolist()),
        "metric": (constant, [collected.metric]),
    }
    arrays = {
        name: pa.DictionaryArray.from_arrays(codes, values).cast(pa.string())
        for name, (codes, values) in columns.items()
    }
    arrays["response"] = pa.array(matrix.ravel())
    return pa.table(arrays)


def describe(collection: Collection, models: pd.DataFrame) -> pd.DataFrame:
    """Return table `subjects`: what is known of each model, with its near-duplicates' group."""
    known = models.set_index("subject")
    table = describe_subjects(np.array(sorted(collection.table["subject"].unique())), None)
    facts = known["facts"].map(json.loads).reindex(table["subject"]).tolist()
    run = collection.table.groupby("subject")[["model_revision", "precision"]].first()
    run = run.reindex(table["subject"])
    given = pd.DataFrame(facts, index=table.index)
    table["revision"] = table["revision"].fillna(run["model_revision"].reset_index(drop=True))
    table["precision"] = run["precision"].to_numpy(object)
    for name in given:
        table[name] = _typed(given[name], name)
    group = {s: g.name for g in collection.groups for s in g.subjects}
    table["group"] = table["subject"].map(group)
    kappa = {s: g.lowest_kappa for g in collection.groups for s in g.subjects}
    table["group_kappa"] = table["subject"].map(kappa)
    return table


def _typed(values: pd.Series, name: str) -> pd.Series:
    """Return a fact as the contract wants it: numbers, days, or texts."""
    column = contract()["subjects"].columns.get(name)
    if column is not None and column.type == "number":
        return pd.to_numeric(values, errors="coerce")
    if name == "date":
        return pd.to_datetime(values, errors="coerce").dt.strftime("%Y-%m-%d")
    return values.map(lambda v: None if v is None or v != v else str(v))
