"""Settings of analyses: merged, checked, and hashed with the files they name."""

from __future__ import annotations

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
from itemwise.errors import UserError, listed, nearest, suggestion

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
FILES, FOLDERS = ("data", "baseline"), ("bank", "include_path")
"""Settings that name a place on this machine."""
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


def settings_of(suite, given: dict[str, dict], asked=None) -> dict[str, object]:
    """Return the settings of the rows of a suite that are asked for, by their name.

    Parameters
    ----------
    suite : data frame
        All rows of the suite, so that settings may be shared by commands that ask for some.
    given : dict
        By name of the row, by analysis, or `all`; the first named holds before the others.
    asked : collection of str, optional
        Names of rows; default: all.

    Raises
    ------
    UserError
        Names the setting, what is wrong, and the nearest known one.
    """
    known = {*suite["name"], *suite["analysis"], EVERYONE}
    for name in given:
        if name not in known:
            near = nearest(name, known)
            hint = "" if near is None else f"; did you mean '{near}'?"
            raise UserError(f"settings of '{name}': the suite has no such analysis{hint}")
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
                    hint = suggestion(key, types).strip() or f"it has {', '.join(types)}"
                    raise UserError(f"setting '{source}.{key}' is unknown; {hint}")
        if asked is None or row.name in asked:
            made[row.name] = module.Settings(**values)
            if hasattr(module, "check"):
                module.check(made[row.name])
    for key in given.get(EVERYONE, {}):
        if (EVERYONE, key) not in used:
            raise UserError(f"setting '{EVERYONE}.{key}': no analysis knows it")
    return made


def check_places(settings: dict[str, object]) -> None:
    """Refuse settings that name files or folders which are not there.

    Parameters
    ----------
    settings : dict
        Settings by name of the row.

    Raises
    ------
    UserError
        Names setting and place.
    """
    for name, made in settings.items():
        for kind, keys, is_there in (
            ("file", FILES, Path.is_file), ("folder", FOLDERS, Path.is_dir),
        ):  # fmt: skip
            for key in keys:
                place = getattr(made, key, None)
                if place and not is_there(Path(place)):
                    raise UserError(f"{place}: no such {kind}; check the setting '{name}.{key}'")


def ready(analysis: str, settings) -> None:
    """Refuse what is known to fail, before a model is loaded for it.

    Raises
    ------
    UserError
        Whatever the module of the analysis finds.
    """
    check = getattr(module_of(analysis), "ready", None)
    if check is not None:
        check(settings)


def overview(suite) -> str:
    """Return every setting with its default, by module, as text."""
    lines = []
    for name, module in MODULES.items():
        rows = suite.loc[suite["analysis"] == name, "name"]
        lines += [f"{name} ({', '.join(rows)})" if list(rows) != [name] else name]
        lines += [f"  {f.name} = {f.default!r}" for f in fields(module.Settings)] + [""]
    return "\n".join(lines).rstrip()


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
