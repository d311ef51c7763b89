"""Scores of memorized sequences: histograms, correlations between checkpoints, their figure."""

from __future__ import annotations

import pandas as pd
import pytest
from test_page import write_few

from itemwise.report.profile_training import parts_of_data
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record
from itemwise.trajectories.sequences import correlation_table, histogram_table

SCORES = {"step1000": [0, 0.05, 0.5, 1], "step2000": [0, 0.1, 1, 2], "step4000": [1, 1, 1, 1]}
"""Scores of four sequences, with correlations that are known by hand."""


def scores() -> pd.DataFrame:
    rows = [("org/a", "memorization", revision, unit, value)
            for revision, values in SCORES.items()
            for unit, value in zip("abcd", values, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "analysis", "revision", "unit", "value"])


def test_classes_hold_their_lower_end_and_the_last_one_both():
    table = histogram_table(scores()[lambda t: t["revision"] == "step1000"])
    assert table["n"].tolist() == [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert table["score_from"].iloc[0] == 0
    assert table["score_to"].iloc[-1] == 1


def test_correlations_are_of_the_same_sequences():
    """The second is twice the first; where all have one score there is none."""
    table = correlation_table(scores()).set_index(["first", "second"])["pearson"]
    assert table["step1000", "step2000"] == pytest.approx(1)
    assert table[:, "step4000"].isna().all()
    assert correlation_table(scores()[lambda t: t["revision"] == "step1000"]) is None
    assert histogram_table(scores()[:0]) is None


def test_chunks_come_in_their_order_and_sources_where_there_is_one_chunk():
    def measures(*groups):
        table = pd.DataFrame({"group": ["", *groups]})
        return table.assign(metric="token_match", revision="r", value=0.5)

    assert list(parts_of_data(measures("chunk 10", "chunk 2", "source b")).index) == [
        "chunk 2", "chunk 10",
    ]  # fmt: skip
    assert list(parts_of_data(measures("chunk 0", "source b", "source a")).index) == [
        "source a", "source b",
    ]  # fmt: skip
    assert list(parts_of_data(measures("chunk 0")).index) == ["chunk 0"]


def test_units_that_records_name_are_on_the_page(itemwise, tmp_path):
    """Those of a table that is gone are named, and the others shown."""
    table = read_table(write_few(tmp_path / "few.parquet"), "measures").drop_duplicates("revision")
    table = table.assign(analysis="memorization", metric="token_match", group="")
    write_table(table, tmp_path / "out" / "all.parquet", "measures")
    for revision, part in scores().groupby("revision"):
        units = part[["analysis", "unit", "value"]].assign(
            sample=0, metric="token_match", group="chunk 0", text=None, value=part["value"] / 2
        )
        file = tmp_path / f"{revision}.units.parquet"
        if revision != "step4000":
            write_table(units, file, "units")
        record = {"model": "org/a", "revision": revision, "failures": {},
                  "analyses": {"memorization": {"units": str(file)}, "mmlu": {}}}  # fmt: skip
        write_record(record, tmp_path / "out" / "org__a" / revision / "record.json")
    done = itemwise("build-trajectories", "--measures", tmp_path / "out", "--out", tmp_path / "t")
    assert done.status == 0, done.err
    assert "step4000.units.parquet" in done.err
    page = tmp_path / "p.html"
    done = itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page)
    assert done.status == 0, done.err
    assert 'alt="memorized sequences"' in page.read_text(encoding="utf-8")
