"""One table says where results lie, and of what kind they are."""

import pytest

from itemwise.paths import ROOT
from itemwise.tables.contract import contract
from itemwise.tables.files import write_record
from itemwise.tables.results import (
    RESULTS_FILE,
    file_of,
    names_of,
    optional_result,
    read_result,
    results,
)


def test_every_result_has_a_name_of_its_own_and_every_table_a_contract():
    lines = RESULTS_FILE.read_text(encoding="utf-8").splitlines()
    assert len(results()) == len(lines) - 1
    assert {row["table"] for row in results().values()} - {""} <= contract().keys()
    files = [row["file"] for row in results().values() if row["file"]]
    assert len(set(files)) == len(files)


def test_tables_are_parquet_and_records_json():
    for (stage, name), row in results().items():
        if row["table"] and row["file"]:
            assert row["file"].endswith(".parquet"), (stage, name)
        if name.endswith("record"):
            assert row["file"].endswith(".json"), (stage, name)


def test_stages_that_results_are_of_exist():
    aliases = dict.fromkeys(["score_forms", "score_test"], "score_subjects")  # its command
    for stage in {stage for stage, _ in results()}:
        stage = aliases.get(stage, stage)
        python = ROOT / "python" / "itemwise" / "stages" / f"{stage}.py"
        assert python.exists() or (ROOT / "R" / f"{stage}.R").exists(), stage


def test_results_are_found_by_stage_name_and_benchmark(tmp_path):
    assert names_of("fit_irt") == ["parameters", "record", "reference", "reference_record"]
    write_record({"draws": 5}, tmp_path / file_of("draw_baseline", "record").format(benchmark="b"))
    assert read_result(tmp_path, "draw_baseline", "record", benchmark="b") == {"draws": 5}
    assert optional_result(tmp_path, "draw_baseline", "record", benchmark="c") is None
    with pytest.raises(KeyError):
        file_of("fit_irt", "parameter")
