"""Wrong configurations are refused by key, right ones are completed."""

import copy
import os
import re

import pytest
import yaml

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.workflow.config import OVERRIDABLE, resolve
from itemwise.workflow.config_page import describe
from itemwise.workflow.schema import schema

SMALL = {"run": "r", "benchmarks": {"arc": {"sources": "simulated"}}}


def changed(**changes) -> dict:
    """Return the small configuration with top-level keys changed."""
    return {**copy.deepcopy(SMALL), **changes}


def arc(**changes) -> dict:
    """Return the small configuration with keys of its benchmark changed."""
    return changed(benchmarks={"arc": {"sources": "simulated", **changes}})


BAD = {
    "unknown key": (
        changed(benchmark={}), "unknown key 'benchmark'; did you mean 'benchmarks'? (config/README",
    ),
    "unknown key like none": (
        changed(xyzzy=1), "unknown key 'xyzzy'; valid keys: run, seed, benchmarks, ",
    ),
    "unknown predictor": (
        changed(readout={"formula": "full_score ~ s(Theta, bs = 'cr')"}),
        "key 'readout.formula': 'full_score ~ s(Theta, bs = 'cr')': unknown variable 'Theta'; "
        "use theta, se",
    ),
    "predictor of another read-out": (
        arc(readout={"formula": "full_score ~ s(theta) + linear"}),
        "key 'benchmarks.arc.readout.formula': 'full_score ~ s(theta) + linear': unknown variable "
        "'linear'; use theta, se",
    ),
    "predictor without a benchmark": (
        changed(joint={"formula": "full_score ~ s(theta)"}),
        "key 'joint.formula': 'full_score ~ s(theta)': unknown variable 'theta'; use own.",
    ),
    "own predictor of the mean": (
        changed(joint={"overall_formula": "full_score ~ own.theta"}),
        "key 'joint.overall_formula': 'full_score ~ own.theta': unknown variable 'own.theta'; use",
    ),
    "no formula": (
        changed(readout={"form_formula": "s(theta)"}),
        "key 'readout.form_formula': 's(theta)' is not a formula full_score ~ ...; write for",
    ),
    "unknown key inside": (
        changed(split={"tset": 0.1}), "unknown key 'split.tset'; did you mean 'test'?",
    ),
    "unknown key of a benchmark": (
        arc(source=["a.csv"]), "unknown key 'benchmarks.arc.source'; did you mean 'sources'?",
    ),
    "unknown key of an override": (
        arc(selection={"bugdet": 5}),
        "unknown key 'benchmarks.arc.selection.bugdet'; did you mean 'budget'?",
    ),
    "neither benchmarks nor profile": ({"run": "r"}, "key 'benchmarks' is missing"),
    "settings that are none": (
        {"run": "r", "profile": {"checkpoints": [{"family": "amber"}], "settings": {"mmlu": 3}}},
        "key 'profile.settings.mmlu': 3 is no mapping; write the settings of 'mmlu' as",
    ),
    "checkpoint of unknown kind": (
        {"run": "r", "profile": {"checkpoints": [{"familyy": "amber"}]}},
        "unknown key 'profile.checkpoints.0.familyy'; did you mean 'family'?",
    ),
    "no run": ({"benchmarks": SMALL["benchmarks"]}, "key 'run' is missing; add it"),
    "no sources": (
        changed(benchmarks={"arc": {}}), "key 'benchmarks.arc.sources' is missing; add it",
    ),
    "nothing": ({}, "is missing; add it"),
    "no benchmark": (changed(benchmarks={}), "key 'benchmarks': {} should be non-empty"),
    "wrong choice": (
        changed(irt={"model": "2Pl"}),
        "key 'irt.model': '2Pl' is not one of 1PL, 2PL, 3PL, 4PL; did you mean '2PL'?",
    ),
    "wrong choice of a benchmark": (
        arc(scoring={"method": "eap"}),
        "key 'benchmarks.arc.scoring.method': 'eap' is not one of MAP, EAP, EAPsum",
    ),
    "text for a number": (changed(seed="one"), "key 'seed': 'one' is not of type 'integer'"),
    "fraction for a count": (
        changed(selection={"budget": 1.5}), "key 'selection.budget': 1.5 is not of type 'integer'",
    ),
    "beyond the maximum": (
        changed(screening={"max_mean": 1.1}), "key 'screening.max_mean': 1.1 is greater than",
    ),
    "share of nothing": (changed(split={"test": 0}), "key 'split.test': 0 is less than or equal"),
    "name of the run": (changed(run="../up"), "key 'run': '../up' does not match"),
    "name of a benchmark": (
        changed(benchmarks={"a/b": {"sources": "simulated"}}),
        "key 'benchmarks': 'a/b' becomes a name of files, which begin with a letter or digit and "
        "have these, - and _ alone; call it 'a_b', and say 'select: a/b' in it",
    ),
    "benchmark of a reserved name": (
        changed(benchmarks={"own": {"sources": "simulated"}}),
        "benchmark 'own': that name means something else in joint formulas and reports",
    ),
    "selection without long tables": (
        arc(select="mmlu_*"), "key 'benchmarks.arc.select': chooses rows of long tables, but",
    ),
    "selection of nothing": (
        arc(sources=["a.csv"], select=[]), "key 'benchmarks.arc.select': [] should be non-empty",
    ),
    "language model without lm": (
        changed(evaluate={"lms": [{"name": "x"}]}),
        "unknown key 'evaluate.lms.0.name'; valid keys: lm, revision, subject; key 'lm' is missing",
    ),
    "misspelt key of a language model": (
        changed(evaluate={"lms": [{"lm": "x", "revisions": "y"}]}),
        "unknown key 'evaluate.lms.0.revisions'; did you mean 'revision'?",
    ),
    "language model that is a number": (
        changed(evaluate={"lms": [3]}),
        "key 'evaluate.lms.0': 3 is neither a text nor a mapping with lm; correct the value",
    ),
    "revision that is a number": (
        changed(evaluate={"lms": [{"lm": "x", "revision": 3}]}),
        "key 'evaluate.lms.0.revision': 3 is not of type 'string'",
    ),
    "misspelt kind of sources": (
        arc(sources="simulate"), "'simulate' is neither one of simulated, evaluated, collected nor "
        "a list; did you mean 'simulated'?",
    ),
    "sources that are a mapping": (
        arc(sources={"a": 1}), "{'a': 1} is neither one of simulated, evaluated, collected nor a",
    ),
    "source that is a number": (
        arc(sources=[3]), "key 'benchmarks.arc.sources.0': 3 is not of type 'string'",
    ),
    "sources as text": (arc(sources="a.csv"), "'benchmarks.arc.sources': 'a.csv' is neither"),
    "empty sources": (arc(sources=[]), "key 'benchmarks.arc.sources': "),
    "published without source": (
        arc(published=[{"readout": "form", "rmse": 1}]),
        "key 'benchmarks.arc.published.0.source' is missing; add it",
    ),
    "published read-out": (
        changed(published=[{"readout": "best", "source": "s"}]),
        "key 'published.0.readout': 'best' is not one of process, form, ability, joint",
    ),
    "published for something else": (
        changed(published=[{"readout": "form", "source": "s", "rmsd": 1}]),
        "unknown key 'published.0.rmsd'; did you mean 'rmse'?",
    ),
    "lowest of all": (arc(lowest=1), "key 'benchmarks.arc.lowest': 1 is greater than or equal"),
    "null section": (changed(irt=None), "key 'irt': None is not of type 'object'"),
}  # fmt: skip


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_bad_configuration_is_refused_by_key(config, message):
    before = copy.deepcopy(config)
    with pytest.raises(UserError) as refused:
        resolve(config)
    assert str(refused.value).startswith("config: ")
    assert message in str(refused.value)
    assert config == before


def keys(rules: dict, prefix: str = ""):
    """Yield the path and rules of every key that is not below a name of the user's."""
    for key, value in rules["properties"].items():
        yield f"{prefix}{key}", value
        if "properties" in value:
            yield from keys(value, f"{prefix}{key}.")


def test_every_default_is_filled_in():
    resolved = resolve(SMALL)
    for path, rules in keys(schema()):
        value = resolved
        for part in path.split("."):
            value = value[part]
        if "default" in rules and rules["default"] != {}:
            assert value == rules["default"], path
    benchmark = resolved["benchmarks"]["arc"]
    rules = schema()["properties"]["benchmarks"]["additionalProperties"]["properties"]
    assert set(benchmark) == set(rules)
    for name in OVERRIDABLE:
        assert benchmark[name] == resolved[name]


def test_every_section_is_closed_and_every_key_described():
    def visit(rules, path):
        if rules.get("type") == "object":
            closed = rules.get("additionalProperties")
            assert closed is False or "propertyNames" in rules, f"{path} takes any key"
            if isinstance(closed, dict):
                visit(closed, f"{path}.<name>")
        for key, value in rules.get("properties", {}).items():
            if "$ref" not in value:
                assert value["description"].strip(), f"{path}.{key}"
                visit(value, f"{path}.{key}")

    visit(schema(), "config")


def test_defaults_keep_their_own_rules():
    complete = {
        key: {k: v["default"] for k, v in rules["properties"].items()}
        for key, rules in schema()["properties"].items()
        if "properties" in rules
    }
    assert resolve(changed(**complete)) == resolve(SMALL)


def test_benchmark_overrides_settings_one_by_one():
    resolved = resolve(
        changed(
            selection={"budget": 30, "bins": 99},
            benchmarks={
                "arc": {"sources": "simulated", "selection": {"budget": 5}},
                "gsm8k": {"sources": "simulated"},
            },
        )
    )
    arc, gsm8k = resolved["benchmarks"]["arc"], resolved["benchmarks"]["gsm8k"]
    assert (arc["selection"]["budget"], arc["selection"]["bins"]) == (5, 99)
    assert (gsm8k["selection"]["budget"], gsm8k["selection"]["bins"]) == (30, 99)
    assert resolved["selection"]["budget"] == 30


@pytest.mark.parametrize(
    ("given", "expected"),
    [("computer science", ["computer science"]), (["a", "b"], ["a", "b"]), (None, [])],
)
def test_select_is_a_list(given, expected):
    assert resolve(arc(sources=["a.csv"], select=given))["benchmarks"]["arc"]["select"] == expected


def test_environment_variables_in_paths_are_expanded(monkeypatch):
    monkeypatch.setenv("HERE", "/data")
    resolved = resolve(
        {
            **arc(sources=["$HERE/a.csv", "~/b.csv"], full_scores="${HERE}/f.parquet"),
            "subject_metadata": "$HERE/m.parquet",
        }
    )
    benchmark = resolved["benchmarks"]["arc"]
    assert benchmark["sources"] == ["/data/a.csv", os.path.expanduser("~/b.csv")]
    assert benchmark["full_scores"] == "/data/f.parquet"
    assert resolved["subject_metadata"] == "/data/m.parquet"
    monkeypatch.delenv("HERE")
    message = r"path '\$HERE/a.csv': environment variable is not set; export it first"
    with pytest.raises(UserError, match=message):
        resolve(arc(sources=["$HERE/a.csv"]))


CONFIGS = {*(ROOT / "config").glob("*.yaml"), *(ROOT / "tests/config").glob("*.yaml")}


@pytest.mark.parametrize(
    "path", sorted(CONFIGS - {ROOT / "config" / "schema.yaml"}), ids=lambda path: path.name
)
def test_configurations_of_the_project_are_valid(path, monkeypatch):
    for variable in ("ITEMWISE_DATA", "METABENCH_ARCHIVE"):
        monkeypatch.setenv(variable, "/data")
    resolve(yaml.safe_load(path.read_text()))


def undescribed(rules, path: str = "config"):
    """Yield every key of the schema, however deep, that does not say what it means."""
    if isinstance(rules, list):
        for entry in rules:
            yield from undescribed(entry, path)
    elif isinstance(rules, dict):
        for key, value in rules.get("properties", {}).items():
            if "$ref" not in value and not value.get("description"):
                yield f"{path}.{key}"
        for key, value in rules.items():
            yield from undescribed(value, f"{path}.{key}")


def test_every_key_has_a_description():
    assert list(undescribed(schema())) == []
    assert list(undescribed({"items": [{"properties": {"a": {}}}]})) == ["config.items.a"]


def test_page_has_every_key_and_is_up_to_date():
    page = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert page == describe(), "config/README.md is out of date: run make docs"
    for path, _ in keys(schema()):
        assert f"| `{path}` |" in page
    assert "| `benchmarks.<name>.sources` |" in page
    assert "| `evaluate.lms[].revision` | string |  |" in page
    assert "| `tiny_models.checkpoints` | array | `[100, 145, 205, 295, 420, 600]` |" in page


def test_paths_that_are_no_list_are_explained():
    config = {"run": "x", "benchmarks": {"b": {"sources": "data/b.csv"}}}
    with pytest.raises(UserError, match=r"benchmarks\.b\.sources.*write a list: \[data/b.csv\]"):
        resolve(config)


def test_case_does_not_hide_the_nearest_value():
    config = {"run": "x", "benchmarks": {"b": {"sources": "simulated"}}, "irt": {"model": "2pl"}}
    with pytest.raises(UserError, match="did you mean '2PL'"):
        resolve(config)


EVALUATED = {"run": "r", "benchmarks": {"b": {"sources": "evaluated", "tasks": ["arc_easy"]}}}


def test_language_models_get_file_names():
    config = {**EVALUATED, "evaluate": {"lms": [
        "org/model", {"lm": "org/model", "revision": "step8"}, {"lm": "/w/x", "subject": "lab/x"},
    ]}}  # fmt: skip
    lms = resolve(config)["language_models"]
    assert list(lms) == ["org_model", "org_model_step8", "lab_x"]
    assert lms["lab_x"]["lm"] == "/w/x"


@pytest.mark.parametrize(
    ("evaluate", "benchmark", "message"),
    [
        ({"lms": ["a/b", "a_b"]}, {}, "two language models would be called 'a_b'"),
        ({}, {}, "'evaluate.lms' is empty"),
        ({"lms": ["a/b"]}, {"tasks": []}, "'benchmarks.b.tasks' is empty"),
        ({"lms": [{"revision": "main"}]}, {}, "evaluate.lms"),
    ],
)
def test_evaluations_that_cannot_be_made_are_refused(evaluate, benchmark, message):
    config = {"run": "r", "evaluate": evaluate,
              "benchmarks": {"b": {**EVALUATED["benchmarks"]["b"], **benchmark}}}  # fmt: skip
    with pytest.raises(UserError, match=re.escape(message)):
        resolve(config)


TINY_MODELS = {
    **EVALUATED,
    "tiny_models": {"runs": {"a": {}, "b": {"width": 32, "held_out": True}}},
}


def test_runs_of_tiny_models_take_their_defaults():
    runs = resolve(TINY_MODELS)["tiny_models"]["runs"]
    assert runs["a"] == {"width": 48, "layers": 2, "learning_rate": 0.015, "share": 1.0,
                         "left_out": [], "seed": 1, "held_out": False}  # fmt: skip
    assert (runs["b"]["width"], runs["b"]["held_out"]) == (32, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluate": {"lms": ["a/b"]}}, "'tiny_models.runs' and 'evaluate.lms' are both given"),
        ({"evaluate": {"include_path": "x"}}, "'tiny_models.runs' and 'evaluate.include_path'"),
        ({"tiny_models": {"runs": {"b": {"held_out": True}}}}, "key 'evaluate.lms' is empty"),
        ({"tiny_models": {"runs": {"a": {"width": 40}}}}, "key 'tiny_models.runs.a.width'"),
        (
            {"tiny_models": {"runs": {"a": {"left_out": ["poetry"]}}}},
            "'poetry' is not one of facts",
        ),
        ({"tiny_models": {"runs": {"a": {"depth": 2}}}}, "unknown key 'tiny_models.runs.a.depth'"),
    ],
)
def test_tiny_models_that_cannot_be_are_refused(change, message):
    with pytest.raises(UserError, match=re.escape(message)):
        resolve({**TINY_MODELS, **change})
