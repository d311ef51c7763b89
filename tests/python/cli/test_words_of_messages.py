"""Messages name options and configuration keys that exist."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from r_stages import options_of_r

from itemwise.cli.main import STAGES, command_parser
from itemwise.paths import ROOT
from itemwise.workflow.schema import schema

PACKAGE = ROOT / "python" / "itemwise"
# Options with an underscore are of lm-evaluation-harness.
FOREIGN = {
    "--help", "--version",  # every command
    "--cores", "--configfile", "--config", "--dry-run", "--profile", "--sdm",  # Snakemake
    "--vanilla", "--no-binary",  # Rscript, pip
}  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*[a-z0-9]")
KEY = re.compile(r"config keys? ((?:'[a-z_.]+'(?:, | or | and )?)+)")


def options_of(stage: str) -> set[str]:
    """Return the options of a command."""
    parser = command_parser(stage, import_module(f"itemwise.stages.{stage.replace('-', '_')}"))
    return {text for action in parser._actions for text in action.option_strings}


PYTHON = {stage: options_of(stage) for stage in STAGES}


@cache
def of_r() -> dict[str, set[str]]:
    """Return the options of each stage in R, by its file."""
    return {path.name: options_of_r(path.stem) for path in (ROOT / "R").glob("*.R")}


def of_all() -> set[str]:
    """Return the options of all commands."""
    return set().union(*PYTHON.values(), *of_r().values())


def texts_of_python(path: Path) -> list[str]:
    """Return the texts of a module, parts of one message joined; no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = set()
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            inner |= set(map(id, node.values))
            texts.append("".join(map(str, parts)))
        elif isinstance(node, ast.Expr):
            inner.add(id(node.value))
        elif isinstance(node, ast.Constant) and id(node) not in inner:
            texts.append(str(node.value))
    return texts


def texts_of(path: Path) -> list[str]:
    """Return the texts of a file."""
    return texts_of_python(path) if path.suffix == ".py" else texts_of_r(path)


def sources() -> list[Path]:
    """Return every file of code."""
    return [*PACKAGE.rglob("*.py"), *(ROOT / "R").rglob("*.R")]


def texts_of_r(path: Path) -> list[str]:
    """Return the texts of a file in R, parts of one message joined."""
    code = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
    code = re.sub(r'",\s*"', "", code)
    return re.findall(r'"((?:[^"\\]|\\.)*)"', code)


def allowed(text: str, own: set[str]) -> set[str]:
    """Return the options that a text may name: its stage's, and those of commands that it names."""
    named = [options for stage, options in PYTHON.items() if re.search(rf"\b{stage}\b", text)]
    named += [options for stage, options in of_r().items() if stage in text]
    return own.union(FOREIGN, *named)


def unknown_options() -> list[str]:
    """Return the options in messages that nothing knows, with their file."""
    found = []
    for path in sources():
        stage = path.stem.replace("_", "-")
        own = of_r().get(path.name, of_all())
        if path.parent.name == "stages":
            own = PYTHON.get(stage, of_all())
        # A text without a blank is an argument for another program, or an option's declaration.
        messages = [text for text in texts_of(path) if " " in text and not text.startswith("--f")]
        found += [
            f"{path.relative_to(ROOT)}: {option} in {text!r}"
            for text in messages
            for option in OPTION.findall(text)
            if "_" not in option and option not in allowed(text, own)
        ]
    return found


def test_messages_name_options_that_exist():
    assert unknown_options() == []


def keys(rules: dict, prefix: tuple = ()):
    """Yield the path of every key of the schema, names of the user's left out."""
    for key, value in rules.get("properties", {}).items():
        yield (*prefix, key)
        yield from keys(value, (*prefix, key))
        inner = value.get("additionalProperties")
        if isinstance(inner, dict):
            yield from keys(inner, (*prefix, key))
        for entry in [value.get("items", {}), *value.get("items", {}).get("oneOf", [])]:
            yield from keys(entry, (*prefix, key))


def test_messages_name_configuration_keys_that_exist():
    paths = list(keys(schema()))
    known = {".".join(path[start:]) for path in paths for start in range(len(path))}
    found = [
        (path.name, key)
        for path in sources()
        for text in texts_of(path)
        for group in KEY.findall(text)
        for key in re.findall(r"[a-z_.]+", group.replace(" or ", " ").replace(" and ", " "))
    ]
    assert len(found) > 20
    assert [pair for pair in found if pair[1] not in known] == []


@pytest.mark.parametrize("harm", ["delete it", "delete the", "remove the file", "rm -"])
def test_no_remedy_harms(harm):
    """Files that are named may be the user's only copy."""
    found = [(p.name, text) for p in sources() for text in texts_of(p) if harm in text]
    assert found == []
