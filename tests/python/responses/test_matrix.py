"""The response matrix: nulls are not administered, and everything else is 0 or 1."""

import datetime
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from itemwise.errors import UserError
from itemwise.responses.matrix import Responses, from_frame, read_responses, write_responses

ids = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
ids = ids.filter(lambda name: name == name.strip())


@st.composite
def response_matrices(draw) -> Responses:
    matrix = draw(
        arrays(
            np.int8, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-1, 1)
        )
    )
    n_subjects, n_items = matrix.shape
    subjects = draw(st.lists(ids, min_size=n_subjects, max_size=n_subjects, unique=True))
    names = ids.filter(lambda name: name != "subject")
    items = draw(st.lists(names, min_size=n_items, max_size=n_items, unique=True))
    return Responses(np.array(subjects, object), np.array(items, object), matrix)


def same(left: Responses, right: Responses) -> bool:
    return (
        left.subjects.tolist() == right.subjects.tolist()
        and left.items.tolist() == right.items.tolist()
        and np.array_equal(left.matrix, right.matrix)
    )


@given(response_matrices())
@settings(max_examples=50, deadline=None)
def test_responses_come_back_as_written(tmp_path_factory, responses):
    path = tmp_path_factory.mktemp("round-trip") / "r.parquet"
    write_responses(responses, path)
    assert same(read_responses(path), responses)
    assert set(pq.read_schema(path).types[1:]) == {pa.int8()}


@given(response_matrices())
@settings(max_examples=50, deadline=None)
def test_frames_and_responses_say_the_same(responses):
    frame = pd.DataFrame(responses.matrix, index=responses.subjects, columns=responses.items)
    assert same(from_frame(frame.astype(float).mask(frame == -1)), responses)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.uint8()], ids=str
)
def test_every_numeric_type_is_read(kind, tmp_path):
    column = pa.array([1, 0, None]).cast(kind)
    pq.write_table(pa.table({"subject": ["a", "b", "c"], "q": column}), tmp_path / "r.parquet")
    assert read_responses(tmp_path / "r.parquet").matrix.ravel().tolist() == [1, 0, -1]


def test_item_without_any_response_is_all_null(tmp_path):
    table = pa.table({"subject": ["a", "b"], "q": pa.nulls(2)})
    pq.write_table(table, tmp_path / "r.parquet")
    assert read_responses(tmp_path / "r.parquet").matrix.ravel().tolist() == [-1, -1]


def columns(names: list[str], *values) -> pa.Table:
    """Return an Arrow table, which may have a column twice."""
    return pa.Table.from_arrays([pa.array(v) for v in values], names=names)


BAD = {
    "no subject column": (
        columns(["model", "q"], ["a"], [1]),
        "lacks the column 'subject'; it has 'model', 'q': rename the column",
    ),
    "no item column": (columns(["subject"], ["a"]), "has no item column; add one column an item"),
    "no rows": (columns(["subject", "q"], pa.array([], pa.string()), []), "has no rows"),
    "item twice": (
        columns(["subject", "q", "q"], ["a"], [1], [0]),
        "'q' has two columns; keep one",
    ),
    "subject twice": (
        columns(["subject", "q"], ["a", "b", "a"], [1, 0, 1]),
        "row 3: subject 'a' occurs twice; keep one row a model",
    ),
    "subject null": (
        columns(["subject", "q"], ["a", None], [1, 0]),
        "column 'subject', row 2: None is not a text; name the model",
    ),
    "subject number": (
        columns(["subject", "q"], [7, 8], [1, 0]),
        "column 'subject', row 1: 7 is not a text; name the model",
    ),
    "2": (
        columns(["subject", "q"], ["a", "b"], [1, 2]),
        "column 'q', row 2 (subject 'b'): 2 is neither 0 nor 1; leave unanswered cells null",
    ),
    "-1": (columns(["subject", "q"], ["a", "b"], [-1, 1]), "column 'q', row 1 (subject 'a'): -1"),
    "a half": (columns(["subject", "q"], ["a", "b"], [0.5, 1]), "row 1 (subject 'a'): 0.5 is"),
    "infinity": (columns(["subject", "q"], ["a"], [float("inf")]), "row 1 (subject 'a'): inf is"),
    "text": (
        columns(["subject", "q"], ["a", "b"], ["1", "yes"]),
        "column 'q', row 2 (subject 'b'): 'yes' is not a finite number; correct the cell, or leave",
    ),
    "dates": (
        columns(["subject", "q"], ["a"], [datetime.date(2026, 1, 1)]),
        "column 'q' holds date32[day], not numbers; drop the column or convert it",
    ),
}


@pytest.mark.parametrize(("table", "message"), BAD.values(), ids=BAD)
def test_bad_table_is_refused_on_read(table, message, tmp_path):
    path = tmp_path / "r.parquet"
    pq.write_table(table, path)
    with pytest.raises(UserError) as refused:
        read_responses(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("subjects", "items", "matrix", "message"),
    [
        (["a", "a"], ["q"], [[1], [0]], "row 2: subject 'a' occurs twice"),
        (["a", "b"], ["q", "q"], [[1, 0], [0, 1]], "item 'q' has two columns"),
        (["a", "b"], ["subject"], [[1], [0]], "item 'subject' has two columns"),
        (["a", "b"], ["q"], [[1], [2]], r"column 'q', row 2 \(subject 'b'\): 2 is neither"),
        (["a", "b"], [], [[], []], "has no item column"),
        ([], ["q"], np.empty((0, 1)), "has no rows"),
    ],
)
def test_bad_responses_are_refused_on_write(subjects, items, matrix, message, tmp_path):
    responses = Responses(
        np.array(subjects, object), np.array(items, object), np.array(matrix, np.int8)
    )
    with pytest.raises(UserError, match=message):
        write_responses(responses, tmp_path / "r.parquet")
    assert os.listdir(tmp_path) == []


def test_item_that_occurs_twice_in_a_frame_is_refused():
    frame = pd.DataFrame([["a", 1, 0]], columns=["subject", "q", "q"])
    with pytest.raises(UserError, match="item 'q' has two columns; keep one"):
        from_frame(frame)


def test_parts_keep_the_order_asked_for():
    matrix = np.array([[1, 0, -1], [0, 1, 1]], np.int8)
    responses = Responses(np.array(["a", "b"], object), np.array(["x", "y", "z"], object), matrix)
    part = responses.select_items(["z", "x"], "r.parquet")
    assert (part.items.tolist(), part.matrix.tolist()) == (["z", "x"], [[-1, 1], [1, 0]])
    part = responses.select_subjects(["c", "b"])
    assert (part.subjects.tolist(), part.matrix.tolist()) == (["b"], [[0, 1, 1]])
    with pytest.raises(
        UserError, match=r"r.parquet: 2 items have no column in the responses: p, q"
    ):
        responses.select_items(["p", "x", "q"], "r.parquet")
