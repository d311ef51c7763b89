"""A bank that a stranger made: refused before anything in it runs, or is read outside of it."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itemwise.bank import guard
from itemwise.bank.folder import checksum, read_bank
from itemwise.errors import UserError
from itemwise.harness.export import write_tasks
from itemwise.harness.frozen import strange

TASK = {
    "task": "itemwise_x_a", "dataset_path": "json", "test_split": "test",
    "dataset_kwargs": {"data_files": {"test": "data/itemwise_x_a.jsonl"}},
    "output_type": "multiple_choice", "doc_to_text": "prompt", "doc_to_target": "target",
}  # fmt: skip
SETTINGS = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc"}]}


@pytest.fixture
def hostile(tmp_path):
    """Return a function that writes a bank of given files and reads it."""

    def read(files: dict[str, str], **card):
        for name, text in files.items():
            path = tmp_path / "bank" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        sums = {name: checksum(tmp_path / "bank" / name) for name in files}
        (tmp_path / "bank").mkdir(exist_ok=True)
        text = json.dumps({"format_version": 1, "benchmarks": {}, "sha256": sums} | card)
        (tmp_path / "bank" / "bank.json").write_text(text)
        with pytest.raises(UserError) as refused:
            read_bank(tmp_path / "bank")
        assert not (tmp_path / "ran").exists()
        return str(refused.value)

    return read


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tasks/load.py": "open('../ran', 'w')"}, "load.py: is code"),
        ({"tasks/x.yaml": "task: x\ncustom_dataset: !function load.documents\n"}, "names code"),
        ({"tasks/x.yaml": "task: !!python/object/apply:os.system ['touch ran']\n"}, "names code"),
        ({"tasks/deep/x.yml": "include: ../../../own.yaml\n"}, "key 'include'"),
        ({"tasks/x.yaml": json.dumps(TASK | {"class": "evil.Task"})}, "key 'class'"),
        ({"tasks/x.yaml": json.dumps(TASK | {"dataset_path": "someone/code"})}, "dataset_path"),
        ({"tasks/x.yaml": json.dumps(TASK | {"dataset_kwargs": {
            "data_files": {"test": "../../secret.jsonl"}}})}, "lies outside the bank"),
        ({"tasks/x.yaml": json.dumps(TASK | {"dataset_kwargs": {
            "data_files": {"test": "/etc/passwd"}}})}, "lies outside the bank"),
        ({"tasks/x.yaml": json.dumps(TASK | {"dataset_kwargs": {
            "data_files": {"test": "a.jsonl"}, "trust_remote_code": True}})}, "dataset_path"),
        ({"tasks/x.yaml": "- a list\n"}, "no mapping"),
    ],
)  # fmt: skip
def test_tasks_that_name_code_or_files_outside_are_refused(files, message, hostile):
    said = hostile(files)
    assert message in said
    assert "a bank is data, never code" in said


@pytest.mark.parametrize("place", ["../outside", "/etc/hostname", "link"])
def test_paths_outside_the_bank_are_not_read(place, hostile, tmp_path):
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "link").symlink_to(tmp_path / "outside")
    assert "lies outside the bank" in hostile({}, sha256={place: "0"})


@pytest.mark.parametrize("card", [{"format_version": "x"}, {"sha256": 3}, {"format_version": None}])
def test_a_card_that_is_none_is_refused(card, hostile):
    assert "no readable bank.json" in hostile({}, **card)


def test_a_bank_without_its_tables_is_refused(hostile):
    assert "is missing" in hostile({})


def test_a_card_of_any_size_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "LARGEST_RECORD", 10)
    (tmp_path / "bank.json").write_text("[" * 11)
    with pytest.raises(UserError, match="no bank's card"):
        read_bank(tmp_path)


def test_a_small_file_that_fills_memory_is_refused(tmp_path):
    """One long text, many times: 100 kB on disk, 10 GiB in memory."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 2**17])
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"prompt": text}), path, store_schema=False)
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="GiB in memory"):
        guard.check_folder(tmp_path, [path])


def test_more_rows_than_any_bank_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "MOST_ROWS", 5)
    pd.DataFrame({"item": ["a"] * 6}).to_parquet(tmp_path / "items.parquet")
    with pytest.raises(UserError, match="rows"):
        guard.check_folder(tmp_path, [tmp_path / "items.parquet"])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"metric_list": [{"metric": "someone/evil"}]}, "metric 'someone/evil'"),
        ({"metric_list": [{"metric": "acc", "hf_evaluate": True}]}, "setting 'hf_evaluate'"),
        ({"metric_list": [{"metric": "acc", "aggregation": "evil"}]}, "aggregation 'evil'"),
        ({"generation_kwargs": {"custom_generate": "someone/evil"}}, "'custom_generate'"),
        ({"generation_kwargs": {"until": {"a": 1}}}, "'until'"),
        ({"filter_list": [{"name": "x", "filter": [{"function": "custom"}]}]}, "filter 'custom'"),
        ({"custom_dataset": "x"}, "'custom_dataset'"),
    ],
)
def test_settings_that_may_be_code_make_no_task(settings, reason, tmp_path):
    assert strange(SETTINGS) is None
    made = SETTINGS | settings
    assert reason in strange(made)
    items = pd.DataFrame({
        "benchmark": "x", "item": ["a"], "task": "t", "prompt": "p", "target": "0",
        "choices": '["b", "c"]', "settings": json.dumps(made),
    })  # fmt: skip
    forms = pd.DataFrame({"benchmark": ["x"], "form": "A", "rank": 1, "item": "a"})
    (left_out,) = write_tasks(tmp_path / "tasks", items, forms)
    assert reason in left_out
    assert not (tmp_path / "tasks").exists()


def test_texts_that_would_be_read_as_dates_make_no_task(tmp_path):
    """The harness's reader of JSON lines takes a column of dates for times."""
    items = pd.DataFrame({
        "benchmark": "x", "item": ["a"], "task": "t", "prompt": "p",
        "target": '"2012-05-01 00:00:00"', "choices": '["b", "c"]',
        "settings": json.dumps(SETTINGS),
    })  # fmt: skip
    forms = pd.DataFrame({"benchmark": ["x"], "form": "A", "rank": 1, "item": "a"})
    (left_out,) = write_tasks(tmp_path / "tasks", items, forms)
    assert "do not read back" in left_out
    assert write_tasks(tmp_path / "tasks", items.assign(target="1"), forms) == []
    guard.check_folder(tmp_path, [])
