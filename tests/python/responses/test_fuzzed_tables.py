"""Any table is read right or refused with exit status 2, file and place; nothing else happens."""

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemwise.cli.main import main
from itemwise.responses.matrix import read_responses

CELLS = {
    "whole": [1, 0, 1, 0, None], "large": [1, 0, 2**40, None], "float": [1.0, 0.0, None, 0.5],
    "odd float": [1.0, float("inf"), float("nan")], "boolean": [True, False, None],
    "decimal": [Decimal("1.0"), Decimal("0.0"), None], "word": ["TRUE", "FALSE", "NA", None],
    "text": ["1", "0", "", " 1 ", "yes", "0,5", "1e999"], "null": [None], "list": [[1], None],
    "bytes": [b"1"], "mapping": [{"a": 1}],
}  # fmt: skip
"""Values that a column of responses may hold, by kind."""
MEANING = {True: 1, False: 0, "TRUE": 1, "FALSE": 0, "1": 1, "0": 0, " 1 ": 1,
           None: -1, "NA": -1, "": -1}  # fmt: skip
NAMES = ["a", "b", "org/m", "org/m ", "Org/M", " ", "", "NA", "(intercept)", "subject", "item",
         "response", "q;1", "q,1", 'q"1', "q\t1", "é", "e\u0301", "\u00a0x", "a\nb",
         "0"]  # fmt: skip
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=4).filter(lambda t: "\x00" not in t))


@st.composite
def tables(draw) -> tuple[dict, str, str]:
    """Return a table as lists by column, its suffix and, for a CSV, its delimiter."""
    n = draw(st.integers(0, 5))
    kinds = st.sampled_from(sorted(CELLS)) if draw(st.booleans()) else st.sampled_from(
        ["whole", "boolean", "decimal", "word", "null"]
    )  # fmt: skip
    plain = draw(st.booleans())  # so that many tables are read, too
    subject = draw(st.lists(names, min_size=n, max_size=n))
    subject = [f"s{place}" for place in range(n)] if plain else subject
    cells = lambda kind: draw(st.lists(st.sampled_from(CELLS[kind]), min_size=n, max_size=n))  # noqa: E731
    columns = {draw(st.sampled_from(["subject"] * 8 + [" subject", "model"])): subject}
    if draw(st.booleans()):
        columns["item"] = draw(st.lists(names, min_size=n, max_size=n))
        columns["response"] = cells(draw(kinds))
        if draw(st.booleans()):
            columns["benchmark"] = draw(st.lists(st.sampled_from(["b", "b ", "c"]),
                                                 min_size=n, max_size=n))  # fmt: skip
    else:
        for place in range(draw(st.integers(0, 4))):
            columns[f"q{place}" if plain else draw(names)] = cells(draw(kinds))
    suffix = draw(st.sampled_from([".parquet", ".csv"]))
    return columns, suffix, draw(st.sampled_from([",", ";", "\t", "|"]))


def write(columns: dict, suffix: str, mark: str, folder: Path) -> Path:
    """Write a table; what no file can hold is left out of it."""
    path = folder / f"table{suffix}"
    if suffix == ".parquet":
        arrays = [pa.array(values) for values in columns.values()]
        pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)
        return path

    def cell(value) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if re.search(r'[",;\t|\s]', text) else text

    rows = [columns, *zip(*columns.values(), strict=True)]
    text = "\n".join(mark.join(map(cell, row)) for row in rows) + "\n"
    path.write_text(text, encoding="utf-8", errors="ignore", newline="")
    return path


def expected(columns: dict) -> dict[tuple[str, str], int]:
    """Return what a table says of each subject and item."""
    columns = {name.strip(): values for name, values in columns.items()}
    if {"item", "response"} <= set(columns):
        benchmarks = columns.get("benchmark", ["b"] * len(columns["item"]))
        kept = [name.strip() == "b" for name in benchmarks]
        rows = zip(columns["subject"], columns["item"], columns["response"], kept, strict=True)
        cells = {(s.strip(), i.strip()): value for s, i, value, keep in rows if keep}
    else:
        cells = {
            (subject.strip(), item): value
            for item, values in columns.items()
            if item not in ("subject", "")
            for subject, value in zip(columns["subject"], values, strict=True)
        }
    return {place: meaning(value) for place, value in cells.items() if meaning(value) >= 0}


def meaning(value) -> int:
    """Return what a cell says: 1, 0, or -1 for nothing."""
    if isinstance(value, float) and np.isnan(value):
        return -1
    return MEANING[value] if isinstance(value, str | None) else int(value)


def check(table, folder: Path, capsys) -> None:
    """Build responses from a table: right, or refused with the file's name."""
    path = write(*table, folder)
    out = folder / "out.parquet"
    out.unlink(missing_ok=True)
    words = ["build-responses", "--benchmark", "b", "--sources", path, "--coverage", 0.01,
             "--out", out, *(w for name in ("items", "subjects", "full-scores")
                             for w in (f"--out-{name}", folder / f"{name}.parquet"))]  # fmt: skip
    status = main([str(word) for word in words])
    said = capsys.readouterr().err
    if status == 2:
        assert path.name in said or "benchmark 'b'" in said, said
        assert not out.exists()
        return
    assert status == 0, said
    found = read_responses(out)
    assert set(pq.read_schema(out).types[1:]) == {pa.int8()}
    rows, places = np.nonzero(found.matrix >= 0)
    read = {
        (found.subjects[r], found.items[c]): int(found.matrix[r, c])
        for r, c in zip(rows, places, strict=True)
    }
    assert read == expected(table[0])


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@given(table=tables())
@settings(max_examples=25, **QUIET)
def test_tables_are_read_right_or_refused(table, tmp_path_factory, capsys):
    check(table, tmp_path_factory.mktemp("fuzzed"), capsys)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(table=tables())
@settings(max_examples=1000, **QUIET)
def test_a_thousand_tables_are_read_right_or_refused(table, tmp_path_factory, capsys):
    check(table, tmp_path_factory.mktemp("fuzzed"), capsys)
