"""Tables that users give: the same values from parquet and from CSV of any delimiter."""

import pandas as pd
import pytest

from itemwise.analyses.checkpoint_lists import from_file
from itemwise.bank.clusters import read_items
from itemwise.collect.models import models_of
from itemwise.errors import UserError
from itemwise.responses.build import describe_items, describe_subjects, given_scores
from itemwise.responses.matrix import from_frame
from itemwise.tables.given import open_given, read_given

FORMS = {"parquet": None, "comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


@pytest.fixture(params=FORMS)
def given(request, tmp_path):
    """Return a function that saves a table in one of the forms."""

    def save(**columns):
        mark = FORMS[request.param]
        path = tmp_path / ("given.parquet" if mark is None else "given.csv")
        frame = pd.DataFrame(columns)
        frame.to_csv(path, sep=mark, index=False) if mark else frame.to_parquet(path)
        return path

    return save


def test_full_scores(given):
    path = given(subject=["007", "b", "x"], benchmark="b", full_score=[12.5, 50, 1])
    responses = from_frame(pd.DataFrame({"subject": ["007", "b"], "q1": [1, 0]}))
    scores = given_scores(path, responses, "b")
    assert dict(zip(scores["subject"], scores["full_score"], strict=True)) == {"007": 12.5, "b": 50}


def test_subject_metadata(given):
    path = given(subject=["007", "b"], group=["1", "2"], tokens=[5.0, None])
    table = describe_subjects(["007", "b"], [path])
    assert table["group"].tolist() == ["1", "2"]
    assert table["tokens"].tolist()[0] == 5


def test_item_metadata(given):
    path = given(item=["01", "1"], text=["5", "7"], year=[1999, 2000])
    table = describe_items(["1", "01"], "b", path).set_index("item")
    assert table.loc["01", ["text", "year"]].tolist() == ["5", 1999]


def test_checkpoints(given):
    path = given(model="m", revision=["0010", "0020"], step=[10, 20], tokens=[1e3, None],
                 dtype=[None, None])  # fmt: skip
    table = from_file(path)
    assert table[["revision", "step"]].to_numpy().tolist() == [["0010", 10], ["0020", 20]]


def test_clusters(given):
    assert read_items(given(item=["01"], passage=[3]))["item"].tolist() == ["01"]


def test_models_to_collect(given):
    path = given(subject=["a/b"], revision=["0123456"], params=[7.0])
    (model,) = models_of(open_given(path, "subjects"), "v1", "owner", str(path))
    assert (model.subject, model.revision, model.facts["parameters"]) == ("a/b", "0123456", 7e9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "given.csv: no such file; check the path"),
        (b"", "given.csv: cannot be read as CSV"),
        (b"subject,benchmark,full_score\na,b,1,2\n", "given.csv: cannot be read as CSV"),
        (b"subject,benchmark,full_score\n\xff,b,1\n", "given.csv: cannot be read as CSV"),
        (b"subject,benchmark\na,b\n", "lacks the column 'full_score'"),
        (b"subject;benchmark;full_score\na;b;12,5\n", "column 'full_score': holds"),
        (b"subject,benchmark,full_score\nNA,b,1\n", "column 'subject', row 1: is null"),
    ],
)
def test_what_is_no_such_table_is_refused(content, message, tmp_path):
    path = tmp_path / "given.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_given(path, "full_scores")
    assert message in str(raised.value)
