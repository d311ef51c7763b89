"""The suite's table and the settings of its rows."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from itemwise.analyses import suite
from itemwise.analyses.settings import (
    MODULES,
    check_places,
    overview,
    settings_hash,
    settings_of,
)
from itemwise.errors import UserError
from itemwise.paths import ROOT

NAMES = """mmlu race arc_challenge boolq hellaswag openbookqa piqa siqa winogrande winogrande_5shot
crowspairs truthfulqa wmdp_bio wmdp_cyber wmdp_chem vicuna_instructions_80 mt_bench longeval_topics
longeval_lines perplexity memorization toxigen toxic_generation bold toxic_detection_sbf
toxic_detection_dynahate toxic_detection_toxigen bank"""
GIVEN = {"judge": {"judge": "x"}, "bank": {"bank": "b"}}


def test_the_suite_has_every_row_with_the_shots_of_its_convention():
    table = suite.load().set_index("name")
    assert set(table.index) == set(NAMES.split())
    assert set(table["theme"]) == set(suite.THEMES)
    assert set(table["analysis"]) == set(MODULES)
    shots = {"mmlu": 5, "arc_challenge": 25, "hellaswag": 10, "winogrande": 0,
             "winogrande_5shot": 5, "truthfulqa": 0, "piqa": 0}  # fmt: skip
    assert table.loc[list(shots), "shots"].to_dict() == shots
    assert table.loc["siqa", ["task", "metric"]].tolist() == ["social_iqa", "acc"]
    assert (table["version"] >= 1).all()
    # A name must not mean one row and a module of several: settings are given by either.
    several = table["analysis"].value_counts().loc[lambda n: n > 1].index
    assert not set(several) & set(table.index)


def test_the_example_of_further_rows_names_tasks_of_the_harness():
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from itemwise.harness.suite import find_tasks

    table = suite.load(ROOT / "docs" / "examples" / "more_rows.csv")
    assert {"drop", "humaneval", "mbpp"} <= set(table["name"])
    assert not set(table["name"]) & set(NAMES.split())
    find_tasks(table["task"].tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("mmlu,knowledge", "mmlu,wisdom"), "column 'theme', row 1: 'wisdom'"),
        (lambda t: t.replace("wmdp_bio,know", "mmlu,know"), "row 2: name 'mmlu' occurs twice"),
        (lambda t: t.replace("name,theme", "name,topic"), "columns are name, topic"),
        (lambda t: t.replace("mmlu,5,acc", "mmlu,5,"), "column 'metric', row 1: is empty"),
        (lambda t: t.replace("mmlu,5,acc", "mmlu,five,acc"), "column 'shots'"),
    ],
)
def test_a_suite_that_breaks_the_form_is_refused(change, message, tmp_path):
    text = suite.SUITE_FILE.read_text()
    changed = change(text)
    assert changed != text
    (tmp_path / "suite.csv").write_text(changed)
    with pytest.raises(UserError, match=message):
        suite.load(tmp_path / "suite.csv")


def test_unknown_rows_are_refused():
    with pytest.raises(UserError, match="analysis 'mmmlu' is not in the suite"):
        suite.pick(["mmmlu"])


def test_the_nearest_setting_holds():
    given = {**GIVEN, "all": {"seed": 5, "include_path": "tasks"}, "harness_tasks": {"limit": 7},
             "mmlu": {"limit": 3, "seed": 9}, "memorization": {"chunks": [1, 2]}}  # fmt: skip
    made = settings_of(suite.load(), given)
    assert (made["mmlu"].limit, made["mmlu"].seed, made["mmlu"].include_path) == (3, 9, "tasks")
    assert (made["race"].limit, made["race"].seed) == (7, 5)
    assert made["memorization"].chunks == (1, 2)
    assert made["perplexity"].seed == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"perplexty": {}}, "did you mean 'perplexity'"),
        ({"perplexity": {"lengthy": 3}}, "'perplexity.lengthy' is unknown; did you mean 'length'"),
        ({"perplexity": {"length": "3"}}, "'perplexity.length': '3' is not of type int | None"),
        ({"toxigen": {"repeats": True}}, "'toxigen.repeats': True is not of type int"),
        ({"all": {"colour": 1}}, "no analysis knows it"),
        ({"judge": {}}, "which model judges"),
        ({"bank": {}}, "which bank"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_loaded(given, message):
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        settings_of(suite.load(), {**GIVEN, **given})


def test_settings_may_be_shared_by_commands_that_ask_for_some_rows():
    given = {"mmlu": {"limit": 3}, "all": {"chunks": [1]}}
    made = settings_of(suite.load(), given, {"perplexity"})
    assert set(made) == {"perplexity"}
    with pytest.raises(UserError, match=r"'mmlu\.limits' is unknown; did you mean 'limit'"):
        settings_of(suite.load(), {"mmlu": {"limits": 3}}, {"perplexity"})


def test_settings_that_name_no_place_are_refused(tmp_path):
    given = {"perplexity": {"data": str(tmp_path / "none.jsonl")}}
    with pytest.raises(UserError, match=r"no such file; check the setting 'perplexity\.data'"):
        check_places(settings_of(suite.load(), given, {"perplexity"}))
    given = {"all": {"include_path": str(tmp_path / "none")}}
    with pytest.raises(UserError, match=r"no such folder; check the setting 'mmlu\.include_path'"):
        check_places(settings_of(suite.load(), given, {"mmlu"}))


def test_every_setting_is_listed_with_its_default():
    text = overview(suite.load())
    assert "\nperplexity\n  data = None\n" in text
    assert "judge (vicuna_instructions_80, mt_bench)" in text


def test_settings_are_hashed_by_the_content_of_files(tmp_path):
    made = MODULES["perplexity"].Settings
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "texts.jsonl").write_text('{"text": "x"}\n')
    first = settings_hash(made(data=str(tmp_path / "a" / "texts.jsonl")))
    moved = settings_hash(made(data=str(tmp_path / "b" / "texts.jsonl")))
    assert first == moved
    Path(tmp_path / "b" / "texts.jsonl").write_text('{"text": "y"}\n')
    assert settings_hash(made(data=str(tmp_path / "b" / "texts.jsonl"))) != first
    assert settings_hash(made(seed=1)) != settings_hash(made(seed=2))


def test_rows_of_another_suite_need_a_known_analysis():
    rows = [SimpleNamespace(name="x", analysis="nothing")]

    class Table:
        def __getitem__(self, key):
            return [getattr(row, key) for row in rows]

        def itertuples(self):
            return rows

    with pytest.raises(UserError, match="analysis 'nothing' is none of"):
        settings_of(Table(), {})
