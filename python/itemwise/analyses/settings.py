"""Settings of analyses: merged, checked, and hashed with the files they name."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType

from itemwise.analyses import (
    bank,
    bold,
    crows_pairs,
    harness_tasks,
    judge,
    longeval,
    memorization,
    perplexity,
    toxic_completions,
    toxic_detection,
)
from itemwise.errors import UserError, listed

MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        bank, bold, crows_pairs, harness_tasks, judge, longeval, memorization, perplexity,
        toxic_detection, toxic_completions,
    )
}  # fmt: skip
"""Analyses by name; imported here, so that a rule's inputs name their code."""
EVERYONE = "all"
"""Settings under this name go to every analysis that knows them."""
SMALL = 2**26
"""Bytes up to which a file counts by its content, beyond by size and time."""
KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool, "None": type(None)}


def module_of(analysis: str) -> ModuleType:
    """Return the module of an analysis.

    Raises
    ------
    UserError
        There is none.
    """
    if analysis not in MODULES:
        raise UserError(f"suite: analysis '{analysis}' is none of {listed(MODULES, 99)}")
    return MODULES[analysis]


def settings_of(suite, given: dict[str, dict]) -> dict[str, object]:
    """Return the settings of every row of a suite, by its name.

    Parameters
    ----------
    suite : data frame
        Rows of the suite.
    given : dict
        By name of the row, by analysis, or `all`; the first named holds before the others.

    Raises
    ------
    UserError
        Names the setting, what is wrong, and the nearest known one.
    """
    known = {*suite["name"], *suite["analysis"], EVERYONE}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UserError(f"settings of '{name}': no such analysis is asked for{hint}")
    made, used = {}, set()
    for row in suite.itertuples():
        module = module_of(row.analysis)
        types = {field.name: field.type for field in fields(module.Settings)}
        values = {}
        for source in (EVERYONE, row.analysis, row.name):
            for key, value in given.get(source, {}).items():
                if key in types:
                    values[key] = _converted(f"{source}.{key}", types[key], value)
                    used.add((source, key))
                elif source != EVERYONE:
                    near = difflib.get_close_matches(key, types, n=1)
                    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(types)}"
                    raise UserError(f"setting '{source}.{key}' is unknown; {hint}")
        made[row.name] = module.Settings(**values)
        if hasattr(module, "check"):
            module.check(made[row.name])
    for key in given.get(EVERYONE, {}):
        if (EVERYONE, key) not in used:
            raise UserError(f"setting '{EVERYONE}.{key}': no analysis that is asked for knows it")
    return made


def _converted(name: str, annotation: str, value):
    """Check the type of a setting; lists become tuples."""
    kinds = annotation.split(" | ")
    sequences = [kind for kind in kinds if kind.startswith("tuple")]
    if sequences:
        values = value if isinstance(value, list | tuple) else [value]
        inner = sequences[0].removeprefix("tuple[").split(",")[0]
        return tuple(_converted(name, inner, one) for one in values)
    right = any(
        isinstance(value, KINDS[kind]) and (not isinstance(value, bool) or kind == "bool")
        for kind in kinds
    )
    if not right:
        raise UserError(f"setting '{name}': {value!r} is not of type {annotation}; "
                        "correct the value")  # fmt: skip
    return value


def settings_hash(settings) -> str:
    """Return the hash of settings; files and folders count by content, not by path."""
    values = {
        name: content_hash(Path(value))
        if isinstance(value, str) and Path(value).exists()
        else value
        for name, value in asdict(settings).items()
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def content_hash(path: Path) -> str:
    """Return the hash of a file, or of all files of a folder by their names in it."""
    made = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        about = file.stat()
        made.update(str(file.relative_to(path)).encode())
        if about.st_size > SMALL:
            made.update(f"{about.st_size}:{about.st_mtime_ns}".encode())
        else:
            made.update(hashlib.sha256(file.read_bytes()).digest())
    return made.hexdigest()
