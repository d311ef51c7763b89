"""Models that were asked the same questions as different items."""

from __future__ import annotations

import pandas as pd
import pytest

MODELS = [f"org/m{i}" for i in range(6)]


def build(itemwise, folder, table: pd.DataFrame, *options):
    table.to_parquet(folder / "long.parquet")
    return itemwise(
        "build-responses", "--benchmark", "gpqa", "--sources", folder / "long.parquet",
        "--out", folder / "r.parquet", "--out-items", folder / "i.parquet", "--out-subjects",
        folder / "s.parquet", "--out-full-scores", folder / "f.parquet", *options,
    )  # fmt: skip


def shuffled(groups: int) -> pd.DataFrame:
    """Return results in which every group of models has its own items for ten questions."""
    return pd.DataFrame(
        {"subject": model, "benchmark": "gpqa", "item": f"gpqa.{i % groups}-{question}",
         "response": (i + question) % 2, "task": "gpqa", "doc_id": question,
         "doc_hash": f"{i % groups}-{question}"}
        for i, model in enumerate(MODELS) for question in range(10)
    )  # fmt: skip


@pytest.mark.parametrize("groups", [2, 6])
def test_shuffled_options_are_told_instead_of_a_lower_coverage(groups, tmp_path, itemwise):
    done = build(itemwise, tmp_path, shuffled(groups))
    assert done.status == 2
    assert (f"the subjects share hardly an item although their questions agree (by task and row of "
            f"the documents): 10 questions are {10 * groups} items") in done.err  # fmt: skip
    assert "lower config key 'coverage'" not in done.err


def test_the_questions_text_tells_it_too(tmp_path, itemwise):
    table = shuffled(2)
    metadata = table[["item"]].drop_duplicates()
    metadata["text"] = metadata["item"].str.replace(r"^gpqa\.\d-", "question ", regex=True)
    metadata.to_parquet(tmp_path / "m.parquet")
    table = table.drop(columns=["task", "doc_id", "doc_hash"])
    done = build(itemwise, tmp_path, table, "--item-metadata", tmp_path / "m.parquet",
                 "--incomplete", "drop")  # fmt: skip
    assert done.status == 2
    assert "their questions agree (by the items' text)" in done.err


def test_models_that_answered_other_questions_are_told_of_coverage(tmp_path, itemwise):
    table = shuffled(1)
    half = table["subject"].isin(MODELS[:3]) == (table["doc_id"] < 5)
    done = build(itemwise, tmp_path, table[half])
    assert done.status == 2
    assert "lower config key 'coverage'" in done.err
