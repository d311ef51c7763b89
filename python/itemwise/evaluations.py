"""What evaluations tables say of items, and of how the responses were made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from itemwise.build import Reading, source_files
from itemwise.harness.samples import check_identity
from itemwise.tables import open_parquet

ITEM_FACTS = ("task", "doc_id", "doc_hash", "prompt_hash")
RUN_FACTS = ("metric", "filter", "harness")


def facts(paths: Sequence[str | Path], reading: Reading) -> tuple[pd.DataFrame, dict]:
    """Collect what is known of items and runs from long sources.

    Parameters
    ----------
    paths : sequence of path
        Sources of `build_responses`; wide tables and CSV know nothing more.
    reading : Reading

    Returns
    -------
    items : data frame
        `item` and those of `ITEM_FACTS` that are known, one row an item.
    runs : dict
        `metric` and `filter` where there is one of each, and the harness versions.

    Raises
    ------
    UserError
        An item stands for two documents.
    """
    parts = []
    for path in source_files(paths):
        if path.suffix == ".parquet":
            table = open_parquet(path)
            if {"item", "response"} <= set(table.column_names):
                known = ["item", "benchmark", *ITEM_FACTS, *RUN_FACTS]
                frame = table.select([c for c in known if c in table.column_names]).to_pandas()
                parts.append(frame.drop_duplicates())
    runs = {"metric": reading.metric, "filter": reading.filter, "harness": []}
    if not parts:
        return pd.DataFrame({"item": pd.Series(dtype="str")}), runs
    rows = pd.concat(parts, ignore_index=True)
    for column in ("benchmark", "metric", "filter"):
        wanted = getattr(reading, column)
        if column in rows and wanted is not None:
            rows = rows[rows[column] == wanted]
    for column in ("metric", "filter"):
        if column in rows and rows[column].nunique() == 1:
            runs[column] = rows[column].dropna().iloc[0]
    if "harness" in rows:
        runs["harness"] = sorted(rows["harness"].dropna().unique())
    present = [c for c in ITEM_FACTS if c in rows]
    items = rows[["item", *present]].drop_duplicates()
    if "doc_hash" in items:
        check_identity(items, "sources")
    # Prompts may differ between models (chat templates): then none is the calibration's.
    if "prompt_hash" in items:
        several = items.groupby("item")["prompt_hash"].transform("nunique") > 1
        items = items.assign(prompt_hash=items["prompt_hash"].mask(several))
    items = items.drop_duplicates("item")
    return items.reset_index(drop=True), runs
