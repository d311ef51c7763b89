"""Tables as people have them: blanks, case, decimals, TRUE and NA, delimiters, `select`."""

import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itemwise.errors import UserError
from itemwise.responses.build import build_responses
from itemwise.responses.item_facts import item_facts
from itemwise.responses.matrix import read_responses
from itemwise.responses.names import look_alikes
from itemwise.responses.sources import SourceOptions, matches
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

WIDE = "subject,q1,q2\na,1,0\nb,0,\nc,1,1\n"
LONG = "subject,item,response\na,q1,1\na,q2,0\nb,q1,0\nb,q2,\nc,q1,1\nc,q2,1\n"
MATRIX = [[1, 0], [0, -1], [1, 1]]


@pytest.fixture
def build(itemwise, tmp_path):
    """Return a function that runs the stage and returns how it ended and the folder written."""

    def run(*sources, **options):
        extra = [word for key, value in options.items() for word in (f"--{key}", *value)]
        out = tmp_path / "out"
        finished = itemwise(
            "build-responses", "--benchmark", "b", "--sources", *sources, *extra,
            "--out", out / "r.parquet", "--out-items", out / "i.parquet",
            "--out-subjects", out / "s.parquet", "--out-full-scores", out / "f.parquet",
            "--record", out / "b.json",
        )  # fmt: skip
        return finished, out

    return run


def written(path: Path, text: str) -> Path:
    """Write a text and return its path."""
    path.write_text(text, encoding="utf-8")
    return path


# ---- Names -------------------------------------------------------------------


def test_blanks_around_names_do_not_count(build, tmp_path):
    one = written(tmp_path / "one.csv", "subject, q1\nlab/m ,1\nlab/n,0\nlab/o,1\n")
    two = tmp_path / "two.parquet"
    pd.DataFrame(
        {"subject": ["lab/m", " lab/n", "lab/o\u00a0"], "item": "q2\t", "response": [1, 0, 1]}
    ).to_parquet(two)
    finished, out = build(one, two)
    assert finished.status == 0, finished.err
    responses = read_responses(out / "r.parquet")
    assert responses.subjects.tolist() == ["lab/m", "lab/n", "lab/o"]
    assert responses.items.tolist() == ["q1", "q2"]
    assert responses.matrix.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert "no full score" not in finished.err


def test_names_equal_but_for_case_are_told_and_who_has_no_full_score(build, tmp_path, caplog):
    one = written(tmp_path / "one.csv", "subject,q1\nlab/m,1\nlab/n,0\nlab/o,1\n")
    two = written(tmp_path / "two.csv", "subject,q2\nLab/M,1\nlab/n,0\nlab/o,1\n")
    finished, out = build(one, two)
    assert finished.status == 0, finished.err
    assert (
        "2 of 4 subjects have no full score, since they answered less than 95% of the items "
        "(config key 'coverage'): Lab/M, lab/m"
    ) in finished.err
    assert "2 subjects have names that differ by case or blanks alone" in caplog.text
    record = read_record(out / "b.json")
    assert record["look_alikes"] == {"subjects": [["Lab/M", "lab/m"]], "items": []}
    assert (record["n_subjects"], record["n_full_scores"]) == (4, 2)


def test_full_scores_of_others_are_told(build, tmp_path):
    scores = pd.DataFrame({"subject": ["a ", "c"], "benchmark": "b", "full_score": [50.0, 99.0]})
    scores.to_parquet(tmp_path / "scores.parquet")
    finished, out = build(
        written(tmp_path / "wide.csv", WIDE), **{"full-scores": [tmp_path / "scores.parquet"]}
    )
    assert "1 of 3 subjects have no full score, since " in finished.err
    assert "scores.parquet has no row of theirs: b" in finished.err
    assert read_table(out / "f.parquet", "full_scores")["subject"].tolist() == ["a", "c"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_metadata_is_joined_without_blanks(suffix, build, tmp_path):
    frame = pd.DataFrame({"item": ["q1 ", "q2"], "text": ["one", "two"], "year": [1, 2]})
    path = tmp_path / f"items.{suffix}"
    frame.to_csv(path, sep=";", index=False) if suffix == "csv" else frame.to_parquet(path)
    finished, out = build(written(tmp_path / "wide.csv", WIDE), **{"item-metadata": [path]})
    assert finished.status == 0, finished.err
    items = read_table(out / "i.parquet", "items")
    assert items[["text", "year"]].to_numpy().tolist() == [["one", 1], ["two", 2]]


def test_metadata_that_is_no_csv_is_refused(build, tmp_path):
    path = written(tmp_path / "items.csv", "item,text\nq1,a,b\n")
    finished, _ = build(written(tmp_path / "wide.csv", WIDE), **{"item-metadata": [path]})
    assert finished.status == 2
    assert "items.csv: cannot be read as CSV" in finished.err


def test_look_alikes_by_case_blanks_and_forms_of_letters():
    assert look_alikes(["a b", "AB", "c", "e\u0301", "\u00e9", "c"]) == [
        ("AB", "a b"),
        ("e\u0301", "\u00e9"),
    ]


@pytest.mark.parametrize("name", ["(intercept)", "GroupPars", "subject"])
@pytest.mark.parametrize("shape", ["wide", "long"])
def test_reserved_names_are_refused_where_they_enter(name, shape, build, tmp_path):
    text = f"{name.join(LONG.split('q1'))}" if shape == "long" else WIDE.replace("q1", name)
    finished, out = build(written(tmp_path / "s.csv", text))
    assert finished.status == 2
    assert f"s.csv: item '{name}'" in finished.err
    assert not out.exists()


NAMELESS = {
    "subject of blanks": ("subject,q1\n  ,1\nb,0\n", "column 'subject', row 1: None is not a text"),
    "subject NA": ("subject,item,response\nNA,q,1\n", "column 'subject', row 1: is null; name"),
    "item of blanks": (
        "subject,item,response\na,q,1\na, ,1\n", "column 'item', row 2: is null; name the item",
    ),
    "column without a name": ("subject,q1,\na,1,1\nb,0,0\n", "column 3 has no name; name the item"),
    "columns equal but for blanks": ("subject,q1,q1 \na,1,1\n", "item 'q1' has two columns"),
    "subjects equal but for blanks": ("subject,q1\na,1\na ,0\n", "row 2: subject 'a' occurs twice"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), NAMELESS.values(), ids=NAMELESS)
def test_names_that_are_none_are_refused(text, message, build, tmp_path):
    finished, _ = build(written(tmp_path / "s.csv", text))
    assert finished.status == 2
    assert f"s.csv: {message}" in finished.err


# ---- Cells and delimiters ----------------------------------------------------


@pytest.mark.parametrize("text", [WIDE, LONG], ids=["wide", "long"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoted", [False, True])
def test_every_delimiter_is_read(text, mark, quoted, tmp_path):
    text = text.replace(",", '","').replace("\n", '"\n"')[:-1] if quoted else text
    text = ('"' + text if quoted else text).replace(",", mark)
    path = written(tmp_path / "s.csv", "\ufeff" + text)
    assert build_responses([path], SourceOptions("b"))[0].matrix.tolist() == MATRIX


WORDS = [("TRUE", "FALSE", "NA"), ("True", "False", ""), ("1.0", "0.0", "NaN"), ("1", "0", "null")]


@pytest.mark.parametrize("words", WORDS, ids=str)
@pytest.mark.parametrize("text", [WIDE, LONG], ids=["wide", "long"])
def test_words_of_r_pandas_and_sql_are_read(words, text, tmp_path):
    right, wrong, missing = words
    lines = []
    for line in text.splitlines():
        cells = ["missing" if cell == "" else cell for cell in line.split(",")]
        lines.append(
            ",".join({"1": right, "0": wrong, "missing": missing}.get(c, c) for c in cells)
        )
    path = written(tmp_path / "s.csv", "\n".join(lines) + "\n")
    assert build_responses([path], SourceOptions("b"))[0].matrix.tolist() == MATRIX


TYPES = {
    "booleans": pa.array([True, False, None]),
    "decimals": pa.array([Decimal("1.0"), Decimal("0.0"), None]),
    "texts": pa.array(["TRUE", "0.0", "NA"], pa.large_string()),
    "categories": pa.array(["1", "0", None]).dictionary_encode(),
    "half floats": pa.array(np.array([1, 0, np.nan], np.float16)),
}


@pytest.mark.parametrize("values", TYPES.values(), ids=TYPES)
def test_wide_and_long_parquet_agree_on_types(values, tmp_path):
    subjects = pa.array(["a", "b", "c"])
    other = pa.array([1, 1, 1])
    pq.write_table(pa.table({"subject": subjects, "q": values, "r": other}), tmp_path / "w.parquet")
    long = {"subject": subjects, "item": pa.array(["q"] * 3), "response": values}
    pq.write_table(pa.table(long), tmp_path / "l.parquet")
    wide, _ = build_responses([tmp_path / "w.parquet"], SourceOptions("b"))
    assert wide.matrix[:, 0].tolist() == [1, 0, -1]
    both, _ = build_responses([tmp_path / "l.parquet"], SourceOptions("b"))
    assert both.matrix[:, 0].tolist() == [1, 0]


UNCLEAR = {
    "decimal comma": ("subject;q1\na;1\nb;0,5\n", "'0,5' is not a finite number; write decimals"),
    "infinity": ("subject,q1\na,1\nb,inf\n", "'inf' is not a finite number"),
    "a word": ("subject,q1\na,1\nb,maybe\n", "'maybe' is not a finite number; correct the cell"),
}


@pytest.mark.parametrize(("text", "message"), UNCLEAR.values(), ids=UNCLEAR)
@pytest.mark.parametrize("binarize", [[], ["0.5"]])
def test_unclear_cells_are_named(text, message, binarize, build, tmp_path):
    finished, _ = build(
        written(tmp_path / "s.csv", text), **({"binarize": binarize} if binarize else {})
    )
    assert finished.status == 2
    assert f"s.csv: column 'q1', row 2 (subject 'b'): {message}" in finished.err


def test_lines_that_are_cut_off_are_refused(build, tmp_path):
    finished, _ = build(written(tmp_path / "s.csv", "subject,q1,q2\na,1,0\nb,1\n"))
    assert finished.status == 2
    assert (
        "s.csv: cannot be read as CSV (CSV parse error: Row #3: Expected 3 columns" in finished.err
    )


def test_one_column_names_the_delimiters(build, tmp_path):
    finished, _ = build(written(tmp_path / "s.csv", "subject q1 q2\na 1 0\n"))
    assert "columns are apart by something else than comma, semicolon, tab or |?" in finished.err


def test_numbers_of_rows_that_pandas_and_r_write_are_no_item(tmp_path):
    path = written(tmp_path / "s.csv", ",subject,q1,q2\n0,a,1,0\n1,b,0,\n2,c,1,1\n")
    assert build_responses([path], SourceOptions("b"))[0].matrix.tolist() == MATRIX


def test_long_table_without_responses_says_so(build, tmp_path):
    finished, _ = build(written(tmp_path / "s.csv", LONG.replace("response", "score")))
    assert finished.status == 2
    assert "s.csv: has the columns 'subject' and 'item' of a long table, but lacks" in finished.err


def test_commands_read_csv_as_the_sources_do(tmp_path):
    path = written(tmp_path / "s.csv", "subject;q1 ;q2\n a;TRUE;0\nb;FALSE;NA\nc;TRUE;1.0\n")
    responses = read_responses(path)
    assert responses.matrix.tolist() == MATRIX
    assert (responses.subjects.tolist(), responses.items.tolist()) == (
        ["a", "b", "c"],
        ["q1", "q2"],
    )
    with pytest.raises(UserError, match=r"is a long table .*itemwise build-responses --sources"):
        read_responses(written(tmp_path / "l.csv", LONG))


def test_binarize_is_said_to_change_the_target(build, tmp_path):
    text = "subject,q1,q2\na,0.5,1\nb,0.625,0\nc,0.125,0\n"
    finished, out = build(written(tmp_path / "s.csv", text), binarize=["0.5"])
    assert finished.status == 0
    scores = read_table(out / "f.parquet", "full_scores").set_index("subject")["full_score"]
    assert scores.to_dict() == {"a": 100, "b": 50, "c": 0}  # the metric's mean: 75, 31.25, 6.25


# ---- Benchmarks of long tables -----------------------------------------------


def subjects_of_mmlu(tmp_path: Path) -> Path:
    """Write a long table of three benchmarks, one with a blank in its name."""
    rows = [
        (subject, benchmark, f"{benchmark}.{item}", (place + item) % 2)
        for place, subject in enumerate("abc")
        for benchmark in ("computer science", "mmlu_law", "mmlu_art ")
        for item in range(2)
    ]
    table = pd.DataFrame(rows, columns=["subject", "benchmark", "item", "response"])
    table.to_parquet(tmp_path / "long.parquet", index=False)
    return tmp_path / "long.parquet"


SELECTED = {
    "one with a blank": (["computer science"], 2),
    "a pattern": (["mmlu_*"], 4),
    "a list": (["computer science", "mmlu_art"], 4),
    "everything": (["*"], 6),
}


@pytest.mark.parametrize(("select", "n_items"), SELECTED.values(), ids=SELECTED)
def test_select_chooses_benchmarks(select, n_items, build, tmp_path):
    finished, out = build(subjects_of_mmlu(tmp_path), select=select)
    assert finished.status == 0, finished.err
    assert len(read_responses(out / "r.parquet").items) == n_items
    assert set(read_table(out / "i.parquet", "items")["benchmark"]) == {"b"}
    assert read_record(out / "b.json")["select"] == select


def test_select_knows_what_is_there(build, tmp_path):
    path = subjects_of_mmlu(tmp_path)
    finished, _ = build(path, select=["mmlu_law", "mmlu_atr"])
    assert finished.status == 2
    assert (
        "no row of benchmark 'mmlu_atr'; column 'benchmark' has computer science, mmlu_art, "
        "mmlu_law: config key 'select' says which of them to read"
    ) in finished.err
    assert "did you mean 'mmlu_art'?" in finished.err
    finished, _ = build(path)
    assert "no row of benchmark 'b'; column 'benchmark' has computer science" in finished.err
    finished, _ = build(written(tmp_path / "wide.csv", WIDE), select=["mmlu_*"])
    assert "has no column 'benchmark' to choose 'mmlu_*' from; leave config key 'select'" in (
        finished.err
    )


def test_items_numbered_anew_in_each_benchmark_are_not_mixed(build, tmp_path):
    frame = pd.read_parquet(subjects_of_mmlu(tmp_path))
    frame["item"] = frame["item"].str[-1]
    frame.to_parquet(tmp_path / "long.parquet")
    finished, _ = build(tmp_path / "long.parquet", select=["mmlu_*"])
    assert finished.status == 2
    assert "'select' takes mmlu_law, mmlu_art together: make item ids unique over them" in (
        finished.err
    )


def test_patterns_mean_nothing_but_stars():
    assert matches("a[1].b", ("a[1].*",))
    assert not matches("a1xb", ("a[1].*",))
    assert matches("x", ("y", "x"))


def test_what_is_known_of_items_has_clean_names(tmp_path):
    frame = pd.DataFrame({"subject": ["a", "b"], "item": ["q ", "q"], "response": [1, 0],
                          "doc_hash": "h"})  # fmt: skip
    frame.to_parquet(tmp_path / "l.parquet")
    assert item_facts([tmp_path / "l.parquet"], SourceOptions("b"))[0]["item"].tolist() == ["q"]


# ---- Cases that others reported ----------------------------------------------


@pytest.fixture(scope="module")
def cases(root) -> Path:
    """Return the folder of reported cases, or skip."""
    data = Path(os.environ.get("ITEMWISE_DATA") or root.parent / "shared" / "data")
    if not (data / "cases").is_dir():
        pytest.skip("reported cases: set ITEMWISE_DATA to the folder that holds cases/")
    return data / "cases"


def test_case_names_that_differ_by_blanks_or_case(cases, build, caplog):
    folder = cases / "04-names-differ-by-space-or-case"
    finished, out = build(folder / "form1.csv", folder / "form2.csv")
    assert finished.status == 0
    record = read_record(out / "b.json")
    # 60 models, of which five are in capitals in the second form.
    assert (record["n_subjects"], record["n_full_scores"]) == (65, 55)
    assert "10 subjects have names that differ by case or blanks alone" in caplog.text
    assert "10 of 65 subjects have no full score" in finished.err


def test_case_null_booleans_and_decimals(cases, build):
    folder = cases / "09-null-booleans-decimals"
    files = sorted([*folder.glob("*.parquet"), *folder.glob("*.csv")])
    assert len(files) >= 6
    read = {}
    for path in files:
        finished, out = build(path)
        assert finished.status == 0, finished.err
        responses = read_responses(out / "r.parquet")
        order = np.argsort(responses.items)
        read[path.name] = (len(responses.subjects), responses.matrix[:, order].tolist())
    assert {n for n, _ in read.values()} == {60}
    assert read["semicolon.csv"] == read["tab.csv"] == read["dd_wide_dec.parquet"]
    assert read["dd_long_dec.parquet"] == read["dd_wide_dec.parquet"]
    assert read["pl_long_boolnull.parquet"] == read["long_logicalNA.csv"]
