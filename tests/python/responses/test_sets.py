"""Training and test models in two files, and what reads which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise.errors import UserError
from itemwise.responses.matrix import (
    MISSING,
    Responses,
    from_frame,
    read_responses,
    write_responses,
)
from itemwise.responses.sets import (
    Training,
    cut,
    read_test,
    read_training,
    write_test,
    write_training,
)
from itemwise.tables.contract import open_parquet, read_table


@pytest.fixture
def responses() -> Responses:
    matrix = np.random.default_rng(1).integers(-1, 2, (12, 5)).astype(np.int8)
    matrix[:, 0] = 1
    names = np.array([f"m{i:02d}" for i in range(12)], dtype=object)
    return Responses(names, np.array([f"q{i}" for i in range(5)], dtype=object), matrix)


@pytest.fixture
def sides(responses):
    """Training and test, the full scores of m00 and m11 unknown."""
    sets = np.array(["train"] * 8 + ["validation"] + ["test"] * 3)
    splits = pd.DataFrame({"subject": responses.subjects, "set": sets})
    splits["fold"] = np.where(sets == "train", np.arange(12) % 4 + 1, np.nan)
    scores = pd.Series(np.arange(12) * 5.0, responses.subjects).drop(["m00", "m11"])
    return cut(responses, splits.sample(frac=1, random_state=3), scores)


def test_everybody_is_on_one_side_with_everything_that_is_known(responses, sides):
    training, test = sides
    assert [*training.responses.subjects, *test.responses.subjects] == responses.subjects.tolist()
    both = np.vstack([training.responses.matrix, test.responses.matrix])
    np.testing.assert_array_equal(both, responses.matrix)
    assert training.fold.tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
    np.testing.assert_array_equal(training.full_score, [np.nan, *range(5, 40, 5)])
    assert test.set.tolist() == ["validation", "test", "test", "test"]
    assert test.of_set("test").scores.to_dict() == {"m09": 45.0, "m10": 50.0}
    assert training.scored().folds.to_dict() == {f"m{i:02d}": i % 4 + 1 for i in range(1, 8)}


def test_files_hold_what_was_cut_as_bytes_and_by_the_contract(sides, tmp_path):
    training, test = sides
    write_training(training, tmp_path / "training.parquet")
    write_test(test, tmp_path / "test.parquet")
    for name, side, own in (("training", training, "fold"), ("test", test, "set")):
        path = tmp_path / f"{name}.parquet"
        table = open_parquet(path)
        assert table.column_names == ["subject", own, "full_score", "q0", "q1", "q2", "q3", "q4"]
        assert {str(table.schema.field(f"q{i}").type) for i in range(5)} == {"int8"}
        assert len(read_table(path, name)) == len(side.full_score)
        back = (read_training if name == "training" else read_test)(path)
        for found in (back.responses, read_responses(path)):  # a table of responses too
            np.testing.assert_array_equal(found.matrix, side.responses.matrix)
            assert found.items.tolist() == side.responses.items.tolist()
        np.testing.assert_array_equal(back.full_score, side.full_score)
        np.testing.assert_array_equal(getattr(back, own), getattr(side, own))


def test_no_file_is_taken_for_the_other(sides, tmp_path):
    training, test = sides
    paths = {name: tmp_path / f"{name}.parquet" for name in ("training", "test", "plain")}
    write_training(training, paths["training"])
    write_test(test, paths["test"])
    write_responses(test.responses, paths["plain"])
    with pytest.raises(UserError, match=r"training.parquet: is a training table; give a test"):
        read_test(paths["training"])
    for name in ("test", "plain"):
        with pytest.raises(UserError, match="is no training table, for it lacks the column 'fold'"):
            read_training(paths[name])
    plain = read_test(paths["plain"])
    assert set(plain.set) == {"test"}
    assert np.isnan(plain.full_score).all()
    pd.DataFrame({"subject": ["a"], "full_score": [5.0], "q": [1]}).to_parquet(paths["plain"])
    with pytest.raises(UserError, match="is no test table, for it lacks the column 'set'"):
        read_test(paths["plain"])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("fold", 0, "column 'fold', row 2: '0' is not a whole number at least 1"),
        ("fold", None, "column 'fold', row 2: is null"),
        ("full_score", 101.0, "column 'full_score', row 2: '101' is not a finite number"),
        ("q1", 2, "column 'q1', row 2"),
        ("subject", "m00", "row 2: subject 'm00' occurs twice"),
    ],
)
def test_tables_that_break_the_contract_are_refused(column, value, message, sides, tmp_path):
    write_training(sides[0], tmp_path / "t.parquet")
    frame = pd.read_parquet(tmp_path / "t.parquet").astype(object)
    frame.loc[1, column] = value
    frame.infer_objects().to_parquet(tmp_path / "bad.parquet", index=False)
    with pytest.raises(UserError, match=message):
        read_training(tmp_path / "bad.parquet")


@pytest.mark.parametrize("name", ["fold", "set", "full_score"])
def test_items_called_like_the_columns_are_refused(name):
    frame = pd.DataFrame({"subject": ["a", "b"], name: [1, 0], "q": [0, 1]})
    with pytest.raises(UserError, match=f"item '{name}': that name means something else.*rename"):
        from_frame(frame)


def test_who_answered_nothing_of_what_is_kept_is_left_out_with_a_warning(responses, caplog):
    matrix = responses.matrix.copy()
    matrix[3, 1:3] = MISSING
    matrix[[0, 1, 2], 1] = 1
    changed = Responses(responses.subjects, responses.items, matrix).take(np.arange(4))
    training = Training(changed, np.full(4, 50.0), np.array([1, 2, 1, 2]))
    kept = training.of_items(["q2", "q1"], "training.parquet")
    assert kept.responses.items.tolist() == ["q2", "q1"]
    assert kept.responses.subjects.tolist() == ["m00", "m01", "m02"]
    assert kept.fold.tolist() == [1, 2, 1]
    assert "left out 1 subjects that answered screened-out items only: m03" in caplog.text
