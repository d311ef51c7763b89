"""Options of a section of the configuration are the schema's."""

import argparse

import pytest

from itemwise.cli.section import add_section, argument
from itemwise.collect.limits import PLANS
from itemwise.irt.calibration import ENGINES
from itemwise.irt.model import MODELS
from itemwise.irt.prior import PRIORS
from itemwise.irt.quadrature import FEWEST_POINTS
from itemwise.workflow.schema import as_options, schema, section_rules

RULES = {
    "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.1},
    "size": {"type": ["integer", "null"], "minimum": 2, "default": None},
    "width": {"type": "integer", "multipleOf": 16, "default": 48},
    "kind": {"enum": ["a", "b", None], "default": None},
    "names": {"type": "array", "items": {"type": "string"}, "default": ["x", "y"]},
    "steps": {"type": "array", "items": {"type": "integer", "minimum": 1}, "default": []},
    "either": {"type": ["string", "array", "null"], "items": {"type": "string"}, "default": None},
    "switch": {"type": "boolean", "default": False},
    "table": {"type": "object", "default": {}},
}


def parsed(*words: str) -> argparse.Namespace:
    """Parse words with an option for each of `RULES`."""
    parser = argparse.ArgumentParser()
    for name, rules in RULES.items():
        parser.add_argument(f"--{name}", **argument({**rules, "description": "What %, `so`."}))
    return parser.parse_args(words)


def test_defaults_are_those_of_the_schema():
    found = vars(parsed())
    assert found == {
        "share": 0.1, "size": None, "width": 48, "kind": None, "names": ["x", "y"], "steps": [],
        "either": [], "switch": False, "table": {},
    }  # fmt: skip


def test_values_have_the_types_of_the_schema():
    words = "--share 0.5 --size 2 --kind b --names --steps 1 2 --either p q --switch --table"
    found = parsed(*words.split(), '{"a": [1]}')
    assert (found.share, found.size, found.kind, found.names) == (0.5, 2, "b", [])
    assert (found.steps, found.either, found.switch) == ([1, 2], ["p", "q"], True)
    assert found.table == {"a": [1]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--share", "1"), "argument --share: 1 is not below 1"),
        (("--share", "-0.1"), "argument --share: -0.1 is below 0"),
        (("--share", "few"), "argument --share: 'few' is not a number"),
        (("--share", "nan"), "argument --share: 'nan' is not a number"),
        (("--size", "1.5"), "argument --size: '1.5' is not a whole number"),
        (("--width", "50"), "argument --width: 50 is no multiple of 16"),
        (("--steps", "3", "0"), "argument --steps: 0 is below 1"),
        (("--kind", "c"), "argument --kind: invalid choice: 'c'"),
        (("--table", "{"), "argument --table: '{' is not JSON"),
    ],
)
def test_values_beyond_the_schema_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as refused:
        parsed(*words)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_a_command_may_need_what_the_configuration_may_leave_out(capsys):
    parser = argparse.ArgumentParser()
    add_section(parser, "preselection", changes={"size": {"required": True}})
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "required: --size" in capsys.readouterr().err
    assert parser.parse_args(["--size", "3"]).draws == 10_000


def test_unknown_keys_of_a_section_are_a_mistake_of_ours():
    with pytest.raises(KeyError, match="section 'irt' has no key"):
        section_rules("irt", only=["modle"])


def switches(rules: dict):
    """Yield the rules of every switch of the schema."""
    for value in rules.get("properties", {}).values():
        if value.get("type") == "boolean":
            yield value
        yield from switches(value)
        inner = value.get("additionalProperties")
        yield from switches(inner if isinstance(inner, dict) else {})


def test_a_switch_is_off_where_its_option_is_left_out():
    assert {rules["default"] for rules in switches(schema())} == {False}


@pytest.mark.parametrize("section", ["split", "screening", "irt", "selection", "cat", "collect"])
def test_a_section_comes_back_from_its_options(section):
    """What a rule writes, a command reads: defaults, and then something else for each."""
    import shlex

    parser = argparse.ArgumentParser()
    add_section(parser, section)
    defaults = vars(parser.parse_args([]))
    assert vars(parser.parse_args(shlex.split(as_options(defaults)))) == defaults
    other = {key: ["it's", "b c"] for key, value in defaults.items() if key == "rules"}
    given = parser.parse_args(shlex.split(as_options({**defaults, **other})))
    assert vars(given) == {**defaults, **other}


def test_choices_are_what_the_package_knows():
    irt = section_rules("irt")
    assert irt["model"]["enum"] == list(MODELS)
    assert irt["engine"]["enum"] == list(ENGINES)
    assert irt["prior"]["enum"] == [*PRIORS, None]
    assert irt["quadrature"]["minimum"] == FEWEST_POINTS
    assert section_rules("search")["models"]["items"]["enum"] == list(MODELS)
    assert section_rules("collect")["plan"]["enum"] == list(PLANS)
