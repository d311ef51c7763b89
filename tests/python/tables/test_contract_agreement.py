"""Python and R read one contract, refuse the same tables, and read what the other wrote.

R reads and writes parquet by nanoparquet, or, where that is not installed, through the clone's
Python. Both ways are tried, each with one R process that answers many questions.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import breaches, valid_table
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.responses.matrix import from_frame, read_responses, write_responses
from itemwise.tables.contract import arrow_type, contract, read_table, write_table
from itemwise.tables.plain import further_column

SESSION = """
source("R/itemwise/load.R")
options(itemwise.root = Sys.getenv("ITEMWISE_ROOT"), warn = 1)
check <- \\(path, table) tryCatch({ read_table(path, table); "" }, user_error = conditionMessage)
copy <- \\(path, table, copy) write_table(read_table(path, table), copy, table)
same <- \\(first, second) identical(read_columns(first), read_columns(second))
rules_of_table <- \\(table) {
  lapply(table_rules(table), \\(rule) replace(rule, "choices", list(as.list(rule$choices))))
}
requests <- file("stdin", open = "r")
while (length(line <- readLines(requests, 1, encoding = "UTF-8")) > 0) {
  asked <- jsonlite::fromJSON(line, simplifyVector = FALSE)
  answer <- tryCatch(do.call(asked$call, asked$arguments), error = \\(e) {
    list(failed = conditionMessage(e))
  })
  writeLines(jsonlite::toJSON(answer, auto_unbox = TRUE, digits = NA))
  flush(stdout())
}
"""
NAMES = list(contract())


class RSession:
    """An R process that calls its functions as it is asked."""

    def __init__(self, backend: str):
        environment = {
            "ITEMWISE_ROOT": str(ROOT),
            "ITEMWISE_R_PARQUET": backend,
            "ITEMWISE_PYTHON": sys.executable,
        }
        self.process = subprocess.Popen(
            ["Rscript", "--vanilla", "-e", SESSION],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def call(self, function: str, *arguments):
        """Return what an R function returns."""
        request = {"call": function, "arguments": [str(value) for value in arguments]}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        failed = isinstance(answer, dict) and "failed" in answer
        assert not failed, answer
        return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


@pytest.fixture(scope="session", params=["nanoparquet", "python"])
def r_session(request, rscript):
    """Return R with one of its ways to read parquet, or skip where its package is missing."""
    if request.param == "nanoparquet":
        asked = rscript("quit(status = !requireNamespace('nanoparquet', quietly = TRUE))")
        if asked.returncode:
            pytest.skip("R package nanoparquet is not installed")
    session = RSession(request.param)
    yield session
    session.process.stdin.close()
    assert session.process.wait(timeout=60) == 0


def write(frame: pd.DataFrame, path: Path, name: str) -> None:
    """Write a valid table as Python writes it."""
    if name == "responses":
        plain = frame.drop(columns=["fold", "set", "full_score"], errors="ignore")
        write_responses(from_frame(plain), path)
    else:
        write_table(frame, path, name)


def read(path: Path, name: str) -> pd.DataFrame:
    """Read a table as Python reads it."""
    if name != "responses":
        return read_table(path, name)
    responses = read_responses(path)
    frame = pd.DataFrame(responses.matrix, columns=responses.items)
    frame.insert(0, "subject", responses.subjects)
    return frame


def kind_of(name: str, what: str) -> tuple:
    """Return what a breach has in common with those of other columns and tables."""
    columns = contract()[name].columns
    column = next((columns[word] for word in what.split() if word in columns), None)
    if column is None:
        return what, "*" in columns
    words = [word for word in what.split() if word != column.name]
    return *words, "*" in columns, column.type, column.is_key


@pytest.fixture(
    scope="session",
    params=["each kind of breach", pytest.param("each breach", marks=pytest.mark.slow)],
)
def bad_tables(request, tmp_path_factory):
    """Return bad tables: what each is, its table, file, and Python's message.

    That R's rules are Python's for every column is asked for below, so that one breach of each
    kind tells nearly all.
    """
    folder = tmp_path_factory.mktemp("bad")
    made, kinds = [], set()
    for name in NAMES:
        for what, frame, named in breaches(name):
            kind = kind_of(name, what)
            if kind in kinds and request.param == "each kind of breach":
                continue
            path = folder / f"{len(made):03d}.parquet"
            try:
                pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
            except pa.ArrowException:
                continue  # texts among numbers: parquet cannot hold such a column
            kinds.add(kind)
            with pytest.raises(UserError) as refused:
                read(path, name)
            made.append((f"{name}: {what}", name, path, named, str(refused.value)))
    return made


def test_both_languages_refuse_the_same_tables(bad_tables, r_session):
    assert len(bad_tables) > 40
    for what, name, path, named, message in bad_tables:
        answer = r_session.call("check", path, name)
        assert answer.startswith(f"{path}: "), f"R accepts {what}: {answer}"
        if name != "responses":  # for which Python has its own messages, naming subjects
            for words in named:
                assert words in answer, what
            if "another type" not in what:  # each language names types its own way
                assert answer.lower() == message.lower(), what  # Inf in R, inf in Python


@pytest.mark.parametrize("missing", ["whole", "required columns"])
def test_each_language_reads_what_the_other_wrote(missing, r_session, tmp_path):
    for name in NAMES:
        frame = valid_table(name)
        if missing == "required columns":
            optional = [c.name for c in contract()[name].columns.values() if not c.required]
            frame = frame.drop(columns=optional)
        path, copy = tmp_path / f"{name}.parquet", tmp_path / "r" / f"{name}.parquet"
        write(with_empty_texts(frame, name), path, name)
        r_session.call("copy", path, name, copy)
        pd.testing.assert_frame_equal(read(copy, name), read(path, name), check_exact=True)


def with_empty_texts(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Make the first of every free text empty, which is not null."""
    columns = [c for c in contract()[name].columns.values() if c.name in frame]
    free = [c.name for c in columns if c.type == "string" and not c.is_key and not c.choices]
    frame = frame.copy()
    frame.loc[frame.index[0], free] = ""
    return frame


# R's texts hold no NUL; surrogates are no characters.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
WHOLE = st.integers(1 - 2**53, 2**53 - 1)
CELLS = st.sampled_from(
    [
        TEXTS,
        st.sampled_from(["", "NA", "1", "007", "TRUE", '"3"', "'", "a,b\n", "é组"]),
        st.booleans(),
        st.integers(-(2**31) + 1, 2**31 - 1),
        WHOLE,
        st.floats(allow_nan=False),
        st.one_of(TEXTS, WHOLE, st.floats(allow_nan=False)),
        st.dates(),
        st.lists(TEXTS, max_size=2),
    ]
)


@st.composite
def tables(draw) -> tuple[str, pd.DataFrame]:
    """Draw a table of the contract with further columns of any kind."""
    narrow = [name for name in NAMES if "*" not in contract()[name].columns]
    name = draw(st.sampled_from(narrow))  # in others further columns are items
    frame = valid_table(name)
    taken = set(contract()[name].columns)
    names = st.text(TEXTS.wrapped_strategy.element_strategy, min_size=1, max_size=6).filter(
        lambda text: text not in taken
    )
    for column in draw(st.lists(names, unique=True, min_size=1, max_size=4)):
        cells = st.none() | draw(CELLS)
        frame[column] = pd.Series(
            draw(st.lists(cells, min_size=len(frame), max_size=len(frame))), dtype=object
        )
        if draw(st.booleans()):
            frame[column] = frame[column].infer_objects()
    return name, frame


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_any_further_column_comes_back_as_it_was(examples, r_session, tmp_path):
    @settings(max_examples=examples, deadline=None)
    @given(drawn=tables())
    def check(drawn):
        check_further_columns(*drawn, r_session, tmp_path)

    check()


def check_further_columns(name: str, frame: pd.DataFrame, r_session, tmp_path) -> None:
    """Write a table, let R copy it, and compare types, values and nulls."""
    path, copy = tmp_path / "t.parquet", tmp_path / "copy.parquet"
    write(frame, path, name)
    r_session.call("copy", path, name, copy)
    written, back = pq.read_table(path), pq.read_table(copy)
    assert back.column_names == written.column_names == list(frame)
    for column in frame:
        expected = arrow_type(name, column) or further_column(frame[column]).type
        assert written.field(column).type == expected
        assert back.field(column).type == expected, column
        assert back[column].to_pylist() == written[column].to_pylist(), column
    assert r_session.call("same", path, copy)


def test_whole_numbers_that_r_cannot_hold_are_refused(r_session, tmp_path):
    path = tmp_path / "t.parquet"
    write(valid_table("splits").assign(id=2**53 + 1), path, "splits")
    answer = r_session.call("check", path, "splits")
    assert answer.startswith(f"{path}: column 'id': holds whole numbers of 2^53 or more")
    assert "write them as text" in answer


def test_what_is_no_parquet_is_refused(r_session, tmp_path):
    path = tmp_path / "splits.parquet"
    path.write_bytes(b"PAR1")
    answer = r_session.call("check", path, "splits")
    assert answer.startswith(f"{path}: cannot be read as parquet, it is damaged, cut off")
    assert r_session.call("check", tmp_path / "none.parquet", "splits").startswith(
        f"{tmp_path}/none.parquet: no such file"
    )


@pytest.mark.parametrize("columns", [1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_thousands_of_columns_take_seconds(columns, r_session, tmp_path):
    frame = pd.DataFrame({f"q{i}": [0, 1, None] * 20 for i in range(columns)}, dtype="float64")
    frame.insert(0, "subject", [f"m{i}" for i in range(60)])
    write(frame, tmp_path / "t.parquet", "responses")
    r_session.call("copy", tmp_path / "t.parquet", "responses", tmp_path / "copy.parquet")
    copy = read(tmp_path / "copy.parquet", "responses")
    pd.testing.assert_frame_equal(copy, read(tmp_path / "t.parquet", "responses"))


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("", r"clone no Python to convert tables \(.*/.venv/bin/python\); run `make setup`"),
        ("/bin/false", "/bin/false: cannot convert tables for R"),
    ],
)
def test_without_python_the_message_says_make_setup(python, message, rscript, tmp_path):
    write(valid_table("splits"), tmp_path / "t.parquet", "splits")
    (tmp_path / "clone/python").mkdir(parents=True)
    (tmp_path / "clone/python/itemwise").symlink_to(ROOT / "python/itemwise")
    code = SESSION.split("requests <-")[0] + f"cat(check('{tmp_path}/t.parquet', 'splits'))"
    finished = rscript(
        code,
        ITEMWISE_ROOT=str(tmp_path / "clone"),
        ITEMWISE_PYTHON=python,
        ITEMWISE_R_PARQUET="python",
    )
    assert re.search(message, finished.stdout), finished
    assert "make setup" in finished.stdout


def test_r_knows_every_rule_of_the_contract(r_session):
    for name in NAMES:
        expected = {
            c.name: {
                "type": c.type,
                "required": c.required,
                "key": c.is_key,
                "nullable": c.nullable,
                "minimum": "-Inf" if c.minimum is None else c.minimum,
                "maximum": "Inf" if c.maximum is None else c.maximum,
                "choices": list(c.choices),
            }
            for c in contract()[name].columns.values()
        }
        assert r_session.call("rules_of_table", name) == expected
