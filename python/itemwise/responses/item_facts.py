"""What evaluations tables say of items, and of how the responses were made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from itemwise.harness.samples import check_identity
from itemwise.responses.available import distinct_rows
from itemwise.responses.sources import (
    SourceOptions,
    column_names,
    item_texts,
    long_batches,
    source_files,
)

ITEM_FACTS = ("task", "doc_id", "doc_hash", "prompt_hash")
RUN_CONDITIONS = ("harness", "num_fewshot", "chat_template")
RUN_FACTS = ("metric", "filter", *RUN_CONDITIONS)
LONG = ("item", "benchmark")


def item_facts(paths: Sequence[str | Path], options: SourceOptions) -> tuple[pd.DataFrame, dict]:
    """Collect what is known of items and runs from long sources.

    Parameters
    ----------
    paths : sequence of path
        Sources of `build_responses`; wide tables and CSV know nothing more.
    options : SourceOptions

    Returns
    -------
    items : data frame
        `item` and those of `ITEM_FACTS` that are known, one row an item; `text` where
        there are tables of prompts.
    runs : dict
        `metric` and `filter` where there is one of each, and the values of `RUN_CONDITIONS`.

    Raises
    ------
    UserError
        An item stands for two documents.
    """
    parts, texts = [], []
    for path in source_files(paths):
        columns = column_names(path)
        known = [c for c in (*ITEM_FACTS, *RUN_FACTS) if c in columns]
        if path.suffix == ".parquet" and {"item", "response"} <= set(columns) and known:
            wanted = [c for c in LONG if c in columns] + known
            parts.append(distinct_rows(map(options.narrow, long_batches(path, wanted))))
        prompts = item_texts(path, options.benchmark)
        if prompts is not None:
            texts.append(prompts)
    runs = {"metric": options.metric, "filter": options.filter}
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"item": []}, dtype="str")
    for column in ("metric", "filter"):
        if column in rows and rows[column].nunique() == 1:
            runs[column] = rows[column].dropna().iloc[0]
    for column in RUN_CONDITIONS:
        runs[column] = sorted(rows[column].dropna().unique().tolist()) if column in rows else []
    present = [c for c in ITEM_FACTS if c in rows]
    items = rows[["item", *present]].drop_duplicates()
    if "doc_hash" in items:
        check_identity(items, "sources")
    # Prompts may differ between models (chat templates): then none is the calibration's.
    if "prompt_hash" in items:
        several = items.groupby("item")["prompt_hash"].transform("nunique") > 1
        items = items.assign(prompt_hash=items["prompt_hash"].mask(several))
    items = items.drop_duplicates("item").reset_index(drop=True)
    if texts:
        items = items.merge(pd.concat(texts), on="item", how="outer")
    return items, runs
