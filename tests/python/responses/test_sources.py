"""Long tables come in batches, metabench's archive under published names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.errors import UserError
from itemwise.responses import sources
from itemwise.responses.build import build_responses, first_of_each, lowest_subjects
from itemwise.responses.item_facts import item_facts
from itemwise.responses.matrix import read_responses
from itemwise.responses.named_matrix import NamedMatrix
from itemwise.responses.sources import SourceOptions, archive_prefix, source_files
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

NAN = float("nan")


def long_table(seed: int, missing: float = 0.2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a response matrix and its long form, rows in random order."""
    rng = np.random.default_rng(seed)
    wide = pd.DataFrame(rng.integers(0, 2, (7, 9)).astype(float))
    wide = wide.mask(rng.random(wide.shape) < missing)
    wide.index = pd.Index([f"s{i}" for i in range(7)], name="subject")
    wide.columns = [f"q{i}" for i in range(9)]
    table = wide.melt(ignore_index=False, var_name="item", value_name="response").reset_index()
    return wide, table.sample(frac=1, random_state=seed)


@pytest.fixture
def small_batches(monkeypatch):
    """Read five rows at once."""
    monkeypatch.setattr(sources, "ROWS", 5)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_batches_make_the_matrix(suffix, small_batches, tmp_path):
    wide, table = long_table(1)
    path = tmp_path / f"long{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path, index=False)
    seen = []
    responses, dropped = build_responses([path], SourceOptions("b"), seen.append)
    assert sum(seen) == len(table)
    assert max(seen) == 5
    found = pd.DataFrame(responses.matrix, responses.subjects, responses.items)
    expected = wide.fillna(-1).loc[responses.subjects, responses.items]
    np.testing.assert_array_equal(found, expected)
    assert responses.items.tolist() == table["item"].drop_duplicates().tolist()
    assert dropped.subjects_without_response == []


FAULTS = {
    "twice in another batch": (
        lambda t: pd.concat([t, t.iloc[[1]]]),
        "long.parquet: row 64: subject '{0[subject]}', item '{0[item]}' occurs twice; keep one",
    ),
    "a graded response in a later batch": (
        lambda t: t.assign(response=[*t["response"][:-1], 0.5]),
        "long.parquet: column 'response', row 63 (subject '{1[subject]}', item '{1[item]}'): 0.5",
    ),
    "null in a later batch": (
        lambda t: t.assign(item=[*t["item"][:-1], None]),
        "long.parquet: column 'item', row 63: is null; name the item",
    ),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_named_by_row_of_the_file(change, message, small_batches, tmp_path):
    _, table = long_table(2, missing=0)
    change(table).to_parquet(tmp_path / "long.parquet", index=False)
    with pytest.raises(UserError) as refused:
        build_responses([tmp_path / "long.parquet"], SourceOptions("b"))
    assert message.format(table.iloc[1], table.iloc[-1]) in str(refused.value)


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_matrix_does_not_depend_on_batches_or_shards(tmp_path_factory, seed, rows, shards):
    wide, table = long_table(seed)
    folder = tmp_path_factory.mktemp("shards")
    for number, part in enumerate(np.array_split(np.arange(len(table)), shards)):
        table.iloc[part].to_parquet(folder / f"{number}.parquet", index=False)
    before, sources.ROWS = sources.ROWS, rows
    try:
        responses, dropped = build_responses([folder], SourceOptions("b"))
    finally:
        sources.ROWS = before
    whole = wide.loc[responses.subjects, responses.items].fillna(-1)
    np.testing.assert_array_equal(responses.matrix, whole)
    left = wide.dropna(how="all").dropna(how="all", axis=1)
    assert set(responses.items) == set(left.columns)
    assert len(dropped.items_without_response) == 9 - left.shape[1]


def test_dictionary_encoded_shards_are_read_alike(tmp_path):
    wide, table = long_table(3)
    encoded = pa.Table.from_pandas(table.astype({"subject": "category", "item": "category"}))
    pq.write_table(encoded, tmp_path / "long.parquet")
    responses, _ = build_responses([tmp_path / "long.parquet"], SourceOptions("b"))
    whole = wide.loc[responses.subjects, responses.items].fillna(-1)
    np.testing.assert_array_equal(responses.matrix, whole)


def test_what_is_known_of_items_does_not_depend_on_batches(small_batches, tmp_path):
    _, table = long_table(4)
    table["doc_hash"] = "h" + table["item"]
    table["metric"] = np.where(np.arange(len(table)) % 2, "acc", "other")
    table.to_parquet(tmp_path / "long.parquet", index=False)
    items, runs = item_facts([tmp_path / "long.parquet"], SourceOptions("b", metric="acc"))
    assert runs["metric"] == "acc"
    known = table[table["metric"] == "acc"].drop_duplicates("item").set_index("item")["doc_hash"]
    assert items.set_index("item")["doc_hash"].to_dict() == known.to_dict()


def test_numbers_of_saved_rows_are_no_item(tmp_path):
    frame = pd.DataFrame({"subject": ["a", "b", "c"], "q": [1, 0, 1]})[::2]
    frame.to_parquet(tmp_path / "wide.parquet")  # with its index, 0 and 2
    responses, _ = build_responses([tmp_path / "wide.parquet"], SourceOptions("b"))
    assert responses.items.tolist() == ["q"]


def test_matrix_grows_and_keeps_what_it_holds():
    grid = NamedMatrix(-1)
    expected = np.full((40, 33), -1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        rows, columns = rng.integers(0, 40, 3), rng.integers(0, 33, 3)
        at = grid.row_numbers([f"r{i}" for i in rows]), grid.column_numbers(map(str, columns))
        grid.matrix[at] = expected[rows, columns] = rng.integers(0, 2, 3)[0]
    order = [int(name[1:]) for name in grid.rows], [int(name) for name in grid.columns]
    np.testing.assert_array_equal(grid.matrix, expected[np.ix_(*order)])


# ---- metabench's archive -----------------------------------------------------


def test_files_of_the_archive_name_items():
    named = {
        "arc.csv": "arc.", "ARC_prompts.csv": "arc.", "arc_challenge.csv": "arc.challenge.",
        "arcade.csv": None, "gsm8k.csv": None,
    }  # fmt: skip
    assert {name: archive_prefix(Path(name), "arc") for name in named} == named


@pytest.fixture
def archive(tmp_path):
    """Return a folder with two benchmarks, one of them in two parts, and prompts."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = {
        "arc": "source,item,correct\na/x,1,1\na/x,2,0\na/y,1,0.0\na/y,2,1\nb/z,1,1\nb/z,2,1\n",
        "mmlu_law": "source,item,correct\na/x,1,1\na/x,02,0\na/y,1,1\na/y,02,1\n",
        "mmlu_art": "source,item,correct\na/x,1,1\na/y,1,0\nb/z,1,1\n",
        "arc_prompts": 'item,prompt\n1,"Why?\nBecause, A"\n2,"Why?\nBecause, A"\n',
        "mmlu_law_prompts": "item,prompt\n1,NA\n02,What?\n",
    }
    for name, text in rows.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_archive_has_published_names_and_texts(archive):
    responses, _ = build_responses([archive], SourceOptions("arc"))
    assert responses.items.tolist() == ["arc.1", "arc.2"]
    assert responses.subjects.tolist() == ["a/x", "a/y", "b/z"]
    assert responses.matrix.tolist() == [[1, 0], [0, 1], [1, 1]]
    responses, _ = build_responses([archive / "mmlu_*.csv"], SourceOptions("mmlu"))
    assert responses.items.tolist() == ["mmlu.art.1", "mmlu.law.1", "mmlu.law.02"]
    assert responses.matrix.tolist() == [[1, 1, 0], [0, 1, 1], [1, -1, -1]]
    items, _ = item_facts([archive], SourceOptions("mmlu"))
    assert items.set_index("item")["text"].to_dict() == {
        "mmlu.law.1": "NA", "mmlu.law.02": "What?",
    }  # fmt: skip
    with pytest.raises(UserError, match="no row of benchmark 'gsm8k'"):
        build_responses([archive], SourceOptions("gsm8k"))


def test_archive_as_parquet_has_numbers_for_items(archive):
    frame = pd.read_csv(archive / "arc.csv")
    frame.to_parquet(archive / "arc.parquet", index=False)
    prompts = pd.DataFrame({"item": [1, 2], "prompt": ["Why?", "What?"]})
    prompts.to_parquet(archive / "arc_prompts.parquet", index=False)
    files = [archive / "arc.parquet", archive / "arc_prompts.parquet"]
    responses, _ = build_responses(files, SourceOptions("arc"))
    assert responses.items.tolist() == ["arc.1", "arc.2"]
    items, _ = item_facts(files, SourceOptions("arc"))
    assert items.to_dict("list") == {"item": ["arc.1", "arc.2"], "text": ["Why?", "What?"]}


def test_pattern_without_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"mmlu_\*.csv: no file has such a name; correct the"):
        source_files([tmp_path / "mmlu_*.csv"])


# ---- What a build leaves out -------------------------------------------------


def test_lowest_scores_by_hand():
    scores = pd.DataFrame(
        {"subject": list("abcde"), "benchmark": "b", "full_score": [10.0, 0, 20, 40, 30]}
    )
    # Type 7: the quantile of 0.3 lies at position 1 + 4 x 0.3 = 2.2, at 10 + 0.2 x 10 = 12.
    assert lowest_subjects(scores, 0.3).tolist() == ["a", "b"]
    assert lowest_subjects(scores, 0.001).tolist() == ["b"]
    assert lowest_subjects(scores, 0).tolist() == []


def test_first_of_each_keeps_unknown_items():
    items = pd.DataFrame({"item": list("pqrst"), "text": ["x", None, "x", None, "y"]})
    assert first_of_each(items, "text", "s").tolist() == [True, True, False, True, True]
    for table in (items[["item"]], items.assign(text=None)):
        with pytest.raises(UserError, match=r"nothing is known of the items' 'text' \(known: item"):
            first_of_each(table, "text", "s")


@pytest.fixture
def build(itemwise, tmp_path):
    """Return a function that runs the stage on the archive's ARC."""

    def run(folder, *options):
        out = tmp_path / "out"
        finished = itemwise(
            "build-responses", "--benchmark", "arc", "--sources", folder / "arc.csv",
            folder / "arc_prompts.csv", *options, "--out", out / "r.parquet",
            "--out-items", out / "i.parquet", "--out-subjects", out / "s.parquet",
            "--out-full-scores", out / "f.parquet", "--record", out / "b.json",
        )  # fmt: skip
        return finished, out

    return run


def test_stage_leaves_out_what_it_is_told_to(archive, build):
    (archive / "arc.csv").write_text((archive / "arc.csv").read_text() + "b/w,2,1\nc/v,1,0\n")
    options = ["--distinct", "text", "--incomplete", "drop", "--coverage", "1", "--lowest", "0.3"]
    finished, out = build(archive, *options)
    assert finished.status == 0, finished.err
    left_out = read_record(out / "b.json")["left_out"]
    assert left_out == {
        "repeated_items": ["arc.2"],
        "incomplete_subjects": ["b/w"],
        "lowest_subjects": ["a/y", "c/v"],
    }
    assert "dropped 2 lowest subjects: a/y, c/v" in finished.err
    responses = read_responses(out / "r.parquet")
    assert (responses.subjects.tolist(), responses.items.tolist()) == (["a/x", "b/z"], ["arc.1"])
    assert read_table(out / "f.parquet", "full_scores")["full_score"].tolist() == [100, 100]
    assert read_table(out / "i.parquet", "items")["text"].tolist() == ["Why?\nBecause, A"]
    assert read_table(out / "s.parquet", "subjects")["subject"].tolist() == ["a/x", "b/z"]


BAD = {
    "everybody is lowest": (
        ["--lowest", "0.9"], "1 subjects are left of those with responses, 1 of them with a full",
    ),
    "share of all": (["--lowest", "1"], "argument --lowest: 1 is not below 1"),
    "no number": (["--lowest", "few"], "argument --lowest: 'few' is not a number"),
    "unknown column": (
        ["--distinct", "topic"], "benchmark 'arc': nothing is known of the items' 'topic'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_what_would_leave_nothing_is_refused(options, message, archive, build):
    (archive / "arc.csv").write_text("source,item,correct\na,1,1\nb,1,0\nc,1,0\n")
    if "0.9" in options:
        (archive / "arc.csv").write_text("source,item,correct\na,1,1\nb,1,0\nc,1,0\nd,1,0\n")
    finished, out = build(archive, *options)
    assert finished.status == 2
    assert message in finished.err
    assert not out.exists()


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Eight million rows of one matrix of 2 MB: as one frame they would take a gigabyte."""
    rng = np.random.default_rng(0)
    writer = None
    items = pa.array(np.tile(np.arange(2000, dtype=np.int32), 100))
    for first in range(0, 4000, 100):
        names = [f"organization/a-language-model-of-some-name-{first + i}" for i in range(100)]
        subject = pa.array(np.repeat(np.arange(100, dtype=np.int32), 2000))
        table = pa.table(
            {
                "subject": pa.DictionaryArray.from_arrays(subject, names),
                "item": pa.DictionaryArray.from_arrays(items, [f"item{i}" for i in range(2000)]),
                "response": rng.integers(0, 2, 200_000).astype(np.int8),
            }
        )
        writer = writer or pq.ParquetWriter(tmp_path / "long.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    code = (
        "import resource, sys, json\n"
        "from itemwise.responses.build import build_responses\n"
        "from itemwise.responses.sources import SourceOptions\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10\n"
        "before = peak()\n"
        "responses, _ = build_responses([sys.argv[1]], SourceOptions('b'))\n"
        "print(json.dumps([responses.matrix.shape, peak() - before]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "long.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shape, mebibytes = json.loads(done.stdout)
    assert shape == [4000, 2000]
    # A batch of a million rows, its names and the matrix: some 200; pandas' frame: 1,000.
    assert mebibytes < 400
