"""The contract is checked on read and on write, and files are whole or absent."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import breaches, valid_table

from itemwise.errors import UserError
from itemwise.responses.sources import column_names
from itemwise.tables.contract import (
    check_table,
    contract,
    open_parquet,
    read_table,
    write_parquet,
    write_table,
)
from itemwise.tables.plain import further_column

WRITTEN = [name for name in contract() if name != "responses"]  # wide, in tests of `responses`


@pytest.mark.parametrize("name", WRITTEN)
def test_table_comes_back_as_written(name, tmp_path):
    table = valid_table(name)
    write_table(table, tmp_path / "t.parquet", name)
    back = read_table(tmp_path / "t.parquet", name)
    pd.testing.assert_frame_equal(back, table, check_exact=True)


@pytest.mark.parametrize("name", WRITTEN)
def test_optional_columns_may_be_absent(name, tmp_path):
    optional = [c.name for c in contract()[name].columns.values() if not c.required]
    table = valid_table(name).drop(columns=optional)
    write_table(table, tmp_path / "t.parquet", name)
    assert read_table(tmp_path / "t.parquet", name).columns.tolist() == table.columns.tolist()


@pytest.mark.parametrize("name", WRITTEN)
def test_columns_have_the_types_of_the_contract_even_when_all_are_null(name, tmp_path):
    table = valid_table(name)
    nullable = [c.name for c in contract()[name].columns.values() if c.nullable and not c.is_key]
    write_table(table.assign(**dict.fromkeys(nullable)), tmp_path / "t.parquet", name)
    schema = pq.read_schema(tmp_path / "t.parquet")
    types = {"string": pa.string(), "integer": pa.int32(), "number": pa.float64()}
    for column in contract()[name].columns.values():
        assert schema.field(column.name).type == types[column.type]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_breach_is_refused_on_write_and_on_read(name, tmp_path):
    for number, (what, table, named) in enumerate(breaches(name)):
        try:
            check_refused(table, name, named, tmp_path / str(number))
        except BaseException as failure:
            failure.add_note(f"the breach: {what}")
            raise


def check_refused(table: pd.DataFrame, name: str, named: list[str], folder: Path) -> None:
    """Check that a bad table is neither written nor read, and what is said of it."""
    path = folder / "out" / "t.parquet"
    with pytest.raises(UserError) as refused:
        write_table(table, path, name)
    assert not path.parent.exists()
    for words in [str(path), *named]:
        assert words in str(refused.value)

    folder.mkdir()
    path = folder / "in.parquet"
    try:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)
    except pa.ArrowException:
        return  # texts among numbers: parquet cannot hold such a column
    with pytest.raises(UserError) as refused:
        read_table(path, name)
    for words in [str(path), *named]:
        assert words in str(refused.value)


def test_message_names_file_column_row_value_and_remedy():
    table = valid_table("full_scores")
    table.loc[2, "full_score"] = 101
    with pytest.raises(UserError) as refused:
        check_table(table, "full_scores", "scores.parquet")
    assert str(refused.value) == (
        "scores.parquet: column 'full_score', row 3: '101' is not a finite number "
        "at least 0 and at most 100; correct the value"
    )


def test_row_is_counted_by_position_whatever_the_index():
    table = valid_table("full_scores").set_axis([0, 7, 7, 7])
    table.iloc[2, 2] = -1
    with pytest.raises(UserError, match="column 'full_score', row 3: "):
        check_table(table, "full_scores", "scores.parquet")


def test_missing_column_message_lists_what_is_there():
    table = valid_table("splits").rename(columns={"set": "Set"})
    with pytest.raises(UserError, match="lacks the column 'set'; it has 'subject', 'Set', 'fold'"):
        check_table(table, "splits", "splits.parquet")


def test_column_that_occurs_twice_is_refused(tmp_path):
    schema = pa.schema([("subject", pa.string()), ("set", pa.string()), ("set", pa.string())])
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([["a"], ["train"], ["test"]], schema=schema), path)
    with pytest.raises(UserError, match="column 'set' occurs twice; keep one"):
        read_table(path, "splits")


def test_rows_may_share_part_of_a_key():
    table = valid_table("full_scores").assign(subject="a")
    check_table(table, "full_scores", "scores.parquet")


def test_unknown_columns_are_kept(tmp_path):
    table = valid_table("splits").assign(note=["x", None, "y", "z"])
    write_table(table, tmp_path / "t.parquet", "splits")
    back = read_table(tmp_path / "t.parquet", "splits")
    pd.testing.assert_series_equal(back["note"], table["note"])


def test_texts_encoded_as_dictionary_are_texts(tmp_path):
    table = valid_table("splits").astype({"subject": "category", "set": "category"})
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", "splits")["set"].tolist() == table["set"].tolist()


def test_folder_names_add_no_columns(tmp_path):
    path = tmp_path / "set=train" / "t.parquet"
    write_table(valid_table("full_scores"), path, "full_scores")
    assert "set" not in read_table(path, "full_scores")


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_truncated_file_is_refused(part, tmp_path):
    path = tmp_path / "t.parquet"
    write_table(valid_table("splits"), path, "splits")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(UserError, match="cannot be read as parquet, it is damaged"):
        open_parquet(path)


def test_every_flipped_bit_of_the_values_is_found(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(valid_table("splits"), path, "splits")
    whole = path.read_bytes()
    expected = open_parquet(path)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for at in range(4, footer):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with suppress(UserError):
            # Only a bit of a page's header, which says nothing about the values, may pass.
            assert open_parquet(path).equals(expected), at


def test_large_file_is_read_by_its_footer_alone(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame(np.random.default_rng(1).random((20_000, 50)), columns=map(str, range(50)))
    write_parquet(pa.Table.from_pandas(frame, preserve_index=False), path)
    with path.open("r+b") as file:  # damage that only a reader of the values meets
        file.seek(path.stat().st_size // 2)
        file.write(b"damaged!")
    assert column_names(path) == list(frame)
    with pytest.raises(UserError, match="damaged"):
        open_parquet(path)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1, "1", None], ["1", "1", None]),
        (['"3"', 3, 2.5], ['"3"', "3", "2.5"]),
        ([["a", "ä"], [], None], ['["a", "ä"]', "[]", None]),
        ([{"k": 1}, {"k": None}, None], ['{"k": 1}', '{"k": null}', None]),
        ([date(2026, 1, 31), None, date(2026, 2, 1)], ["2026-01-31", None, "2026-02-01"]),
        ([datetime(2026, 1, 31, 9, 5), None], ["2026-01-31T09:05:00", None]),
        ([datetime(2026, 1, 31, 9, 5, tzinfo=UTC)], ["2026-01-31T09:05:00"]),
        ([Decimal("2.5"), None], [2.5, None]),
        ([None, None, None], [None, None, None]),
        (pd.Categorical(["a", None, "b"]), ["a", None, "b"]),
        (np.array([1, 2, 3], "int8"), [1, 2, 3]),
        (np.array([1, 2, 2**53], "int64"), [1, 2, 2**53]),
        (np.array([1.5, np.nan, 2], "float32"), [1.5, None, 2]),
        ([True, None, False], [True, None, False]),
    ],
)
def test_further_columns_take_types_that_both_languages_have(values, written, tmp_path):
    series = pd.Series(values)
    array = further_column(series)
    assert array.to_pylist() == written
    assert array.type in (pa.string(), pa.bool_(), pa.int32(), pa.int64(), pa.float64())


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file; check the path"):
        open_parquet(tmp_path / "none.parquet")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        open_parquet(tmp_path)


def test_contract_file_is_well_formed():
    for table in contract().values():
        assert any(c.is_key for c in table.columns.values()), f"{table.name} has no key"
        for c in table.columns.values():
            assert c.type in ("string", "integer", "number"), c
            assert c.presence in ("key", "required", "optional", "optional key"), c
            assert c.description, c
            assert not c.choices or c.type == "string", c


@pytest.mark.parametrize("value", [7, True, b"bytes", pd.Timestamp("2026-01-01"), ["a list"]])
def test_text_column_refuses_what_is_no_text(value):
    table = valid_table("full_scores").astype({"subject": object})
    table["subject"] = pd.Series(["a", value, "c", "d"], dtype=object)
    with pytest.raises(UserError, match=r"column 'subject', row 2: .* is not a text"):
        check_table(table, "full_scores", "scores.parquet")


def test_csv_in_the_place_of_parquet_is_told_how_to_convert(tmp_path):
    path = tmp_path / "parameters.csv"
    path.write_text("item,a,d\nq,1,0\n")
    with pytest.raises(UserError) as refused:
        read_table(path, "parameters")
    assert f"{path}: is a CSV, and this table is read as parquet; convert it by itemwise" in str(
        refused.value
    )
    assert f"--out {tmp_path / 'parameters.parquet'}" in str(refused.value)
