"""Sources of every shape become one response matrix, and bad ones a message."""

import os
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.errors import UserError
from itemwise.responses.build import (
    SourceOptions,
    build_responses,
    describe_subjects,
    join,
    mean_scores,
    read_source,
)
from itemwise.responses.matrix import MISSING, Responses, read_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

NAN = float("nan")
WIDE = pd.DataFrame({"subject": ["a", "b", "c"], "q1": [1, 0, 1], "q2": [0, NAN, 1]})
LONG = pd.DataFrame(
    {
        "subject": ["a", "a", "b", "c", "c"],
        "item": ["q1", "q2", "q1", "q1", "q2"],
        "response": [1, 0, 0, 1, 1],
    }
)
CELLS = {("a", "q1"): 1, ("a", "q2"): 0, ("b", "q1"): 0, ("c", "q1"): 1, ("c", "q2"): 1}


def save(frame: pd.DataFrame, path):
    """Write a source by its suffix, as a user would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def cells(responses: Responses) -> dict[tuple[str, str], int]:
    """Return the responses by subject and item, without what is not administered."""
    rows, columns = np.nonzero(responses.matrix != MISSING)
    return {
        (responses.subjects[row], responses.items[column]): int(responses.matrix[row, column])
        for row, column in zip(rows, columns, strict=True)
    }


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("frame", [WIDE, LONG], ids=["wide", "long"])
def test_every_shape_says_the_same(frame, suffix, tmp_path):
    path = save(frame, tmp_path / f"source{suffix}")
    responses, dropped = build_responses([path], SourceOptions("b"))
    assert cells(responses) == CELLS
    assert responses.items.tolist() == ["q1", "q2"]
    assert dropped.subjects_without_response == dropped.items_without_response == []


def test_folder_is_read_with_the_folders_inside(tmp_path):
    save(LONG[:2], tmp_path / "data" / "one.csv")
    save(LONG[2:], tmp_path / "data" / "deep" / "two.parquet")
    (tmp_path / "data" / "README.md").write_text("not a table")
    responses, _ = build_responses([tmp_path / "data"], SourceOptions("b"))
    assert cells(responses) == CELLS


def test_forms_are_joined_on_subject_and_gaps_are_not_administered(tmp_path):
    first = save(WIDE, tmp_path / "first.parquet")
    second = save(
        pd.DataFrame({"subject": ["c", "d"], "q3": [0, 1], "q1": [1, NAN]}),
        tmp_path / "second.parquet",
    )
    responses, _ = build_responses([first, second], SourceOptions("b"))
    assert responses.subjects.tolist() == ["a", "b", "c", "d"]
    assert responses.items.tolist() == ["q1", "q2", "q3"]
    assert cells(responses) == {**CELLS, ("c", "q3"): 0, ("d", "q3"): 1}


@st.composite
def overlapping_parts(draw):
    """Return parts of one matrix, in two orders."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    whole = rng.integers(0, 2, (6, 5)).astype(np.int8)
    parts = []
    for number in range(draw(st.integers(1, 4))):
        rows = rng.permutation(6)[: rng.integers(1, 7)]
        columns = rng.permutation(5)[: rng.integers(1, 6)]
        part = whole[np.ix_(rows, columns)]
        part[rng.random(part.shape) < 0.3] = MISSING
        subjects = np.array([f"s{row}" for row in rows], object)
        items = np.array([f"q{column}" for column in columns], object)
        parts.append((f"part{number}", Responses(subjects, items, part)))
    return parts, draw(st.permutations(parts))


@given(overlapping_parts())
@settings(deadline=None)
def test_join_does_not_depend_on_the_order(orders):
    one, other = (join(parts) for parts in orders)
    assert cells(one) == cells(other)
    assert one.subjects.tolist() == other.subjects.tolist()
    together = {}
    for _, part in orders[0]:
        together |= cells(part)
    assert cells(one) == together


def test_metric_filter_and_benchmark_choose_rows(tmp_path):
    rows = [
        ("b", "acc", "none", 1),
        ("b", "acc_norm", "none", 0),
        ("b", "acc", "strict", 0),
        ("other", "acc", "none", 0),
    ]
    frame = pd.DataFrame(rows, columns=["benchmark", "metric", "filter", "response"])
    frame = pd.concat([frame.assign(subject=s, item="q") for s in ("a", "b")])
    path = save(frame, tmp_path / "long.parquet")
    responses, _ = build_responses([path], SourceOptions("b", metric="acc", filter="none"))
    assert cells(responses) == {("a", "q"): 1, ("b", "q"): 1}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("shape", ["wide", "long"])
def test_binarize_counts_from_the_threshold_on_and_keeps_nulls(shape, suffix, tmp_path):
    frame = pd.DataFrame({"subject": ["a", "b", "c"], "q": [0.49, 0.5, NAN], "r": [0.0, 1.0, 1.0]})
    if shape == "long":
        frame = frame.melt("subject", var_name="item", value_name="response")
    path = save(frame, tmp_path / f"graded{suffix}")
    responses, _ = build_responses([path], SourceOptions("b", binarize=0.5))
    assert cells(responses) == {
        ("a", "q"): 0, ("b", "q"): 1, ("a", "r"): 0, ("b", "r"): 1, ("c", "r"): 1,
    }  # fmt: skip


def test_ids_that_look_like_numbers_stay_texts(tmp_path):
    path = save(LONG.assign(subject="007", item=["01", "1", "02", "03", "04"]), tmp_path / "l.csv")
    other = save(LONG.assign(subject="7", item=["01", "1", "02", "03", "04"]), tmp_path / "m.csv")
    responses, _ = build_responses([path, other], SourceOptions("b"))
    assert responses.subjects.tolist() == ["007", "7"]
    assert responses.items.tolist() == ["01", "1", "02", "03", "04"]


def test_mean_scores_need_coverage():
    matrix = np.array([[1, 0, 1, 1], [1, 1, 0, -1], [1, 1, -1, -1]], np.int8)
    responses = Responses(np.array(["a", "b", "c"], object), np.array(list("wxyz"), object), matrix)
    scores = mean_scores(responses, "b", coverage=0.75)
    assert scores["subject"].tolist() == ["a", "b"]
    assert scores["full_score"].tolist() == [75.0, pytest.approx(200 / 3)]


def test_sample_logs_are_no_source(tmp_path):
    (tmp_path / "lab__m").mkdir()
    (tmp_path / "lab__m" / "samples_t_2026-02-01T09-30-00.jsonl").touch()
    with pytest.raises(UserError, match=r"holds sample logs; .*itemwise import-samples --samples"):
        build_responses([tmp_path], SourceOptions("b"))


# ---- The command -------------------------------------------------------------


@pytest.fixture
def build(itemwise, tmp_path):
    """Return a function that runs the stage on sources and writes into `out`."""

    def run(*sources, **options):
        extra = [word for k, v in options.items() for word in (f"--{k.replace('_', '-')}", v)]
        out = tmp_path / "out"
        return itemwise(
            "build-responses", "--benchmark", "b", "--sources", *sources, *extra,
            "--out", out / "b.parquet", "--out-items", out / "b.items.parquet",
            "--out-subjects", out / "b.subjects.parquet",
            "--out-full-scores", out / "b.full-scores.parquet", "--record", out / "b.json",
        )  # fmt: skip

    return run


def test_several_tables_of_metadata_are_joined_and_may_not_overlap(tmp_path):
    one = save(pd.DataFrame({"subject": ["a", "x"], "group": "one"}), tmp_path / "one.parquet")
    two = save(pd.DataFrame({"subject": ["b"], "group": "two"}), tmp_path / "two.parquet")
    table = describe_subjects(np.array(["a", "b", "c"], object), [one, two])
    assert table.set_index("subject")["group"].dropna().to_dict() == {"a": "one", "b": "two"}
    with pytest.raises(UserError, match=r"one.parquet, .*subject 'a' is in two tables; keep one"):
        describe_subjects(np.array(["a"], object), [one, one])


def test_command_writes_every_table_and_says_what_it_dropped(build, tmp_path):
    frame = WIDE.assign(q3=NAN)
    frame.loc[3] = ["lab/m@step5", NAN, NAN, NAN]
    frame.loc[4] = ["lab/m@step9", 1, 1, NAN]
    finished = build(save(frame, tmp_path / "wide.parquet"))
    assert finished.status == 0
    assert "dropped 1 subjects without response: lab/m@step5" in finished.err
    assert "dropped 1 items without response: q3" in finished.err
    out = tmp_path / "out"
    assert cells(read_responses(out / "b.parquet")) == {
        **CELLS, ("lab/m@step9", "q1"): 1, ("lab/m@step9", "q2"): 1,
    }  # fmt: skip
    assert read_table(out / "b.items.parquet", "items")["item"].tolist() == ["q1", "q2"]
    last = read_table(out / "b.subjects.parquet", "subjects").iloc[-1]
    assert last[["organization", "model", "revision"]].tolist() == ["lab", "m", "step9"]
    scores = read_table(out / "b.full-scores.parquet", "full_scores")
    # b answered half of the items, less than the 95 % that a full score needs.
    assert dict(zip(scores["subject"], scores["full_score"], strict=True)) == {
        "a": 50, "c": 100, "lab/m@step9": 100,
    }  # fmt: skip
    record = read_record(out / "b.json")
    assert record["dropped"] == {
        "subjects_without_response": ["lab/m@step5"],
        "items_without_response": ["q3"],
    }
    counts = [record[f"n_{what}"] for what in ("subjects", "items", "responses", "full_scores")]
    assert counts == [4, 2, 7, 3]


def test_metadata_and_full_scores_are_joined_by_name(build, tmp_path):
    subjects = pd.DataFrame({"subject": ["c", "x", "a"], "organization": ["C", "X", None]})
    items = pd.DataFrame({"item": ["q2", "q9"], "text": ["two", "nine"], "topic": ["t", "u"]})
    scores = pd.DataFrame(
        {"subject": ["c", "a", "x"], "benchmark": "b", "full_score": [12.5, 50.0, 1.0]}
    )
    finished = build(
        save(WIDE, tmp_path / "wide.csv"),
        subject_metadata=save(subjects, tmp_path / "subjects.parquet"),
        item_metadata=save(items, tmp_path / "items.parquet"),
        full_scores=save(scores, tmp_path / "scores.parquet"),
    )
    assert finished.status == 0, finished.err
    out = tmp_path / "out"
    table = read_table(out / "b.subjects.parquet", "subjects").set_index("subject")
    assert table["organization"].dropna().to_dict() == {"c": "C"}
    table = read_table(out / "b.items.parquet", "items").set_index("item")
    assert table.loc["q2", ["text", "topic"]].tolist() == ["two", "t"]
    assert table.loc["q1", ["text", "topic"]].isna().all()
    table = read_table(out / "b.full-scores.parquet", "full_scores")
    assert dict(zip(table["subject"], table["full_score"], strict=True)) == {"c": 12.5, "a": 50}


def with_rows(frame: pd.DataFrame, *rows: list) -> pd.DataFrame:
    """Return the frame with rows added."""
    return pd.concat([frame, pd.DataFrame(rows, columns=frame.columns)], ignore_index=True)


BAD = {
    "other value in a wide table": (
        WIDE.replace({"q1": {0: 2}}), {},
        "source.parquet: column 'q1', row 2 (subject 'b'): 2 is neither 0 nor 1; leave unanswered",
    ),
    "other value in a long table": (
        LONG.replace({"response": {0: 0.5}}), {},
        "source.parquet: column 'response', row 2 (subject 'a', item 'q2'): 0.5 is neither 0 "
        "nor 1; config key 'binarize' counts responses as right from a value on (the full score is "
        "then the percentage of such responses and no longer the mean of the metric; "
        "'full_scores' keeps that)",
    ),
    "no subject column": (
        WIDE.rename(columns={"subject": "model"}), {},
        "source.parquet: lacks the column 'subject' (it has 'model', 'q1', 'q2'); a source is wide",
    ),
    "no subject column in a long table": (
        LONG.drop(columns="subject"), {},
        "source.parquet: lacks the column 'subject'; add the models' names",
    ),
    "subject twice": (
        with_rows(WIDE, ["b", 1, 1]), {},
        "source.parquet: row 4: subject 'b' occurs twice; keep one row a model",
    ),
    "subject null": (
        with_rows(WIDE, [None, 1, 1]), {},
        "source.parquet: column 'subject', row 4: ",
    ),
    "subject null in a long table": (
        with_rows(LONG, [None, "q1", 1]), {},
        "source.parquet: column 'subject', row 6: is null; name the model",
    ),
    "item null in a long table": (
        with_rows(LONG, ["b", None, 1]), {},
        "source.parquet: column 'item', row 6: is null; name the item",
    ),
    "subjects are numbers in a long table": (
        LONG.assign(subject=[1, 1, 2, 3, 3]), {},
        "source.parquet: column 'subject', row 1: 1 is not a text; name the model",
    ),
    "cell twice, as with several metrics": (
        with_rows(LONG.assign(metric="acc"), ["a", "q1", 0, "acc_norm"]), {},
        "source.parquet: row 6: subject 'a', item 'q1' occurs twice; there are acc, acc_norm: "
        "choose one with config keys 'metric' and 'filter', or keep one run of each model",
    ),
    "metric that does not occur": (
        LONG.assign(metric="acc"), {"metric": "mc2"},
        "source.parquet: no row of benchmark 'b' with metric 'mc2'; there are acc: "
        "change config key 'metric'",
    ),
    "metric that is nearly there": (
        LONG.assign(metric="acc_norm", filter="none"), {"metric": "acc_nrm", "filter": "none"},
        "there are acc_norm (none): change config key 'metric' or 'filter'; did you mean "
        "'acc_norm'?",
    ),
    "benchmark that does not occur": (
        LONG.assign(benchmark=[*"cccc", "b2"]), {},
        "source.parquet: no row of benchmark 'b'; column 'benchmark' has b2, c: config key "
        "'select' says which of them to read, and where it is left out the key under "
        "'benchmarks' must be one of them; did you mean 'b2'?",
    ),
    "a mean among the items of a wide table": (
        WIDE.assign(mean=0.5), {},
        "column 'mean', row 1 (subject 'a'): 0.5 is neither 0 nor 1; leave unanswered cells null; "
        "config key 'binarize' counts responses as right from a value on (the full score is then "
        "the percentage of such responses and no longer the mean of the metric; 'full_scores' "
        "keeps that); or is this column no item? Leave it out",
    ),
    "texts in a wide table": (
        WIDE.assign(date="2026-01-01"), {},
        "source.parquet: column 'date', row 1 (subject 'a'): '2026-01-01' is not a finite number; "
        "correct the cell, or leave the column out if it is no item",
    ),
    "texts to binarize in a wide table": (
        WIDE.assign(date="2026-01-01"), {"binarize": 0.5},
        "source.parquet: column 'date', row 1 (subject 'a'): '2026-01-01' is not a finite number",
    ),
    "texts to binarize in a long table": (
        LONG.assign(response="yes"), {"binarize": 0.5},
        "source.parquet: column 'response', row 1 (subject 'a', item 'q1'): 'yes' is not a finite",
    ),
    "one subject": (
        WIDE.head(1), {},
        "benchmark 'b': 1 subject with responses in ",
    ),
    "no subject with a response": (
        WIDE.assign(q1=NAN, q2=NAN), {},
        "benchmark 'b': 0 subjects with responses in ",
    ),
    "nobody answered enough": (
        pd.DataFrame({"subject": ["a", "b"], "q1": [1, NAN], "q2": [NAN, 1]}), {},
        "benchmark 'b': no subject answered 95% of the items, so none has a full score; lower "
        "config key 'coverage' or give 'full_scores'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "options", "message"), BAD.values(), ids=BAD)
def test_bad_source_is_refused(frame, options, message, build, tmp_path):
    finished = build(save(frame, tmp_path / "source.parquet"), **options)
    assert (finished.status, finished.out) == (2, "")
    assert finished.err.startswith("itemwise build-responses: error: ")
    assert message in finished.err
    assert not (tmp_path / "out").exists()


BAD_FILES = {
    "missing": (None, "source.parquet: no such file or folder; correct the path"),
    "truncated": (b"PAR1 and then nothing", "source.parquet: cannot be read as parquet"),
    "empty parquet": (b"", "source.parquet: cannot be read as parquet"),
    "empty CSV": (b"", "source.csv: cannot be read as CSV"),
    "ragged CSV": (b"subject,q1\na,1\nb,1,0,1\n", "source.csv: cannot be read as CSV"),
    "binary CSV": (b"\x89PNG\r\n\xff\xfe\x00", "source.csv: cannot be read as CSV"),
    "item twice in CSV": (
        b"subject,q1,q1\na,1,0\nb,0,0\n", "source.csv: item 'q1' has two columns; keep one",
    ),
    "other suffix": (b"subject", "source.jsonl: neither .parquet nor .csv; convert the file"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_file_that_cannot_be_read_is_refused(content, message, build, tmp_path):
    path = tmp_path / message.split(":")[0]
    if content is not None:
        path.write_bytes(content)
    finished = build(path)
    assert finished.status == 2
    assert message in finished.err
    assert not (tmp_path / "out").exists()


def test_item_twice_in_parquet_is_refused(build, tmp_path):
    table = pq.read_table(save(WIDE.fillna(1), tmp_path / "wide.parquet"))
    pq.write_table(table.rename_columns(["subject", "q1", "q1"]), tmp_path / "wide.parquet")
    finished = build(tmp_path / "wide.parquet")
    assert finished.status == 2
    assert "wide.parquet: item 'q1' has two columns; keep one" in finished.err


def test_empty_folder_is_refused(build, tmp_path):
    (tmp_path / "data").mkdir()
    finished = build(tmp_path / "data")
    assert finished.status == 2
    assert "data: folder holds no .parquet or .csv file; check the path" in finished.err


def test_sources_that_contradict_each_other_are_refused(build, tmp_path):
    first = save(WIDE, tmp_path / "first.parquet")
    second = save(WIDE.replace({"q1": {1: 0}}), tmp_path / "second.parquet")
    finished = build(first, second)
    assert finished.status == 2
    assert (
        "second.parquet: subject 'a', item 'q1': response 0 contradicts another source "
        "(2 such cells); keep one run of each model"
    ) in finished.err


SCORES = pd.DataFrame({"subject": ["a", "c"], "benchmark": "b", "full_score": [50.0, 99.0]})
BAD_EXTRAS = {
    "no overlap of responses and scores": (
        "full_scores", SCORES.assign(subject=["x", "y"]),
        "extra.parquet: no subject of benchmark 'b' has both responses and a full score "
        "(responses: a, b, c; scores: x, y); check how the models are named",
    ),
    "scores of another benchmark": (
        "full_scores", SCORES.assign(benchmark="c"),
        "extra.parquet: column 'benchmark' has no 'b' (it has c); add the scores, or leave",
    ),
    "score beyond 100": (
        "full_scores", SCORES.assign(full_score=[50.0, 101.0]),
        "extra.parquet: column 'full_score', row 2: '101' is not a finite number at least 0",
    ),
    "score twice": (
        "full_scores", SCORES.assign(subject="a"),
        "extra.parquet: row 2: subject 'a', benchmark 'b' occurs twice; keep one row of each",
    ),
    "metadata without subject": (
        "subject_metadata", pd.DataFrame({"model": ["a"]}),
        "extra.parquet: lacks the column 'subject' (it has 'model'); rename it",
    ),
    "subject twice in metadata": (
        "subject_metadata", pd.DataFrame({"subject": ["a", "b", "a"]}),
        "extra.parquet: row 3: subject 'a' occurs twice; keep one row",
    ),
    "metadata against the contract": (
        "subject_metadata", pd.DataFrame({"subject": ["a", "b"], "tokens": [1.0, -5.0]}),
        "extra.parquet: column 'tokens', row 2: '-5' is not a finite number at least 0",
    ),
    "item twice in metadata": (
        "item_metadata", pd.DataFrame({"item": ["q1", "q1"]}),
        "extra.parquet: row 2: item 'q1' occurs twice; keep one row",
    ),
    "items are numbers in metadata": (
        "item_metadata", pd.DataFrame({"item": [1, 2]}),
        "extra.parquet: column 'item', row 1: 1 is not a text; convert the column",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("option", "frame", "message"), BAD_EXTRAS.values(), ids=BAD_EXTRAS)
def test_bad_scores_or_metadata_are_refused(option, frame, message, build, tmp_path):
    source = save(WIDE, tmp_path / "source.parquet")
    finished = build(source, **{option: save(frame, tmp_path / "extra.parquet")})
    assert finished.status == 2
    assert message in finished.err
    assert not (tmp_path / "out").exists()


# ---- Real data ---------------------------------------------------------------


def test_category_of_mmlu_pro_is_read_from_its_long_table(real_data):
    path = real_data / "open" / "mmlu-pro.responses.parquet"
    whole = pq.read_table(path, filters=[("benchmark", "==", "law")]).to_pandas()
    responses, _ = build_responses([path], SourceOptions("law"))
    assert responses.administered.sum() == len(whole)
    assert len(responses.items) == whole["item"].nunique()
    assert (responses.matrix == 1).sum() == whole["response"].sum()


def test_two_published_forms_of_arc_are_joined(real_data, tmp_path):
    sources = [
        real_data / "leaderboard" / f"arc_{f}.responses.parquet" for f in ("primary", "secondary")
    ]
    parts = [read_responses(path) for path in sources]
    shutil.copy(sources[1], tmp_path / "b.parquet")
    os.symlink(sources[0], tmp_path / "a.parquet")
    responses, _ = build_responses([tmp_path], SourceOptions("arc"))
    assert set(responses.subjects) == set(parts[0].subjects) | set(parts[1].subjects)
    assert responses.items.tolist() == [*parts[0].items, *parts[1].items]
    assert responses.administered.sum() == sum(part.administered.sum() for part in parts)


@pytest.mark.parametrize("key", ["metric", "filter"])
@pytest.mark.parametrize("columns", [{"q1": [1, 0]}, {"item": ["q1", "q1"], "response": [1, 0]}])
def test_a_source_without_the_column_cannot_be_narrowed(tmp_path, key, columns):
    path = tmp_path / "source.csv"
    pd.DataFrame({"subject": ["a", "b"], **columns}).to_csv(path, index=False)
    with pytest.raises(UserError, match=f"has no column '{key}' to choose 'acc' from"):
        read_source(path, SourceOptions("b", **{key: "acc"}))
