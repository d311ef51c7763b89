"""Rooms of the package stand on floors: no import goes up, and none goes round."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from itemwise.paths import ROOT

PACKAGE = ROOT / "python" / "itemwise"
FLOORS = [
    {"errors", "paths"},
    {"forms"},
    {"tables"},
    {"harness"},
    {"responses", "tiny_models"},
    {"collect", "r"},
    {"irt"},
    {"readout"},
    {"bank", "workflow"},
    {"adaptive", "cli", "selection"},
    {"analyses", "trajectories"},
    {"report"},
    {"stages"},
    {"__main__"},
]
"""From the ground up. A room uses itself and rooms of lower floors, never one beside it."""

RUNS_COMMANDS = {"stages.adapt_checkpoints": {"stages.adapt_model"}}
"""Commands that run another one, at each checkpoint."""

BELOW_IRT = {"errors", "paths", "tables", "r.worker"} | {
    f"responses.{module}" for module in ("matrix", "cells", "names")
}
"""What item response theory rests on: no configuration, no collectors, no harness."""

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.name != "__init__.py"
}


def room(module: str) -> str:
    return module.split(".")[0]


@cache
def imported(path: Path) -> set[str]:
    """Return the modules of the package that a module names in its imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    inner = {name.removeprefix("itemwise.") for name in names if name.startswith("itemwise.")}
    return inner & MODULES.keys()


def test_every_room_has_its_floor():
    assert {room(module) for module in MODULES} == set.union(*FLOORS)
    assert len(set.union(*FLOORS)) == sum(map(len, FLOORS))


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_lead_to_lower_floors(floor):
    lower = set().union(*FLOORS[:floor])
    for module, path in MODULES.items():
        if room(module) in FLOORS[floor]:
            used = {room(other) for other in imported(path)} - {room(module)}
            assert used <= lower, module


def test_only_commands_use_the_command_line():
    for module, path in MODULES.items():
        if room(module) not in ("cli", "stages", "__main__"):
            assert not {"cli", "stages"} & {room(other) for other in imported(path)}, module


def test_commands_use_no_commands():
    for module, path in MODULES.items():
        used = {other for other in imported(path) if room(other) == "stages"}
        assert used <= RUNS_COMMANDS.get(module, set()) | {"stages"}, module


def test_item_response_theory_rests_on_tables_and_matrices():
    found, left = set(), {module for module in MODULES if room(module) == "irt"}
    while left:
        module = left.pop()
        found.add(module)
        left |= imported(MODULES[module]) - found
    beneath = {module for module in found if room(module) != "irt"}
    assert all({module, room(module)} & BELOW_IRT for module in beneath), beneath


def test_the_readme_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {room(module) for module, path in MODULES.items() if path.parent != PACKAGE}
    assert set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)) >= rooms
