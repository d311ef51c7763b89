"""Help: the story, examples that parse, colour on terminals alone."""

import argparse
import io
import shlex
from importlib import import_module

import pytest

from itemwise.cli.examples import EXAMPLES
from itemwise.cli.main import PHASES, STAGES, command_parser
from itemwise.cli.terminal import styled
from itemwise.paths import ROOT


def commands(text: str) -> list[list[str]]:
    """Return the words of each command in a text of shell lines."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line and line[0] != "#"]


def test_overview_tells_the_story_in_order(itemwise):
    printed = itemwise("--help").out
    places = [printed.index(f"\n{phase}\n") for phase in PHASES]
    assert places == sorted(places)
    scripts = {f"R/{path.name}" for path in (ROOT / "R").glob("*.R")}
    assert {name for stages in PHASES.values() for name in stages} == {*STAGES, *scripts}
    assert "\033" not in printed


@pytest.mark.parametrize("stage", STAGES)
def test_examples_parse_and_end_the_help(stage, itemwise):
    parser = command_parser(stage, import_module(f"itemwise.stages.{stage.replace('-', '_')}"))
    lines = commands(EXAMPLES[stage])
    assert lines
    for program, name, *options in lines:
        assert (program, name) == ("itemwise", stage)
        parser.parse_args(options)
    last = EXAMPLES[stage].strip().splitlines()[-1]
    assert itemwise(stage, "--help").out.splitlines()[-1] == f"  {last}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_option_has_help_that_names_its_default(stage):
    parser = command_parser(stage, import_module(f"itemwise.stages.{stage.replace('-', '_')}"))
    for action in parser._actions:
        name = f"{stage} {[action.dest, *action.option_strings][-1]}"
        assert action.help, name
        assert not action.help.startswith("default"), f"{name}: the default of what?"
        if action.default not in (None, False, True, [], argparse.SUPPRESS):
            values = (
                action.default if isinstance(action.default, list | tuple) else [action.default]
            )
            for value in values:
                shown = f"{value:g}" if isinstance(value, float) else str(value)
                assert shown in action.help.partition("(default: ")[2], name


def test_examples_are_of_commands_that_exist():
    assert set(EXAMPLES) == set(STAGES)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_on_terminals_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert styled("x", "bold", stream=Terminal()) == "\033[1mx\033[0m"
    assert styled("x", "bold", stream=io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "bold", stream=Terminal()) == "x"
