"""The configuration's schema: the only home of a key's name, type, default and meaning."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import cache

from itemwise.paths import ROOT

SCHEMA_FILE = ROOT / "config" / "schema.yaml"


@cache
def schema() -> dict:
    """Return the configuration schema."""
    import yaml  # late: most commands that import this need no schema

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is there
    return yaml.load(SCHEMA_FILE.read_text(encoding="utf-8"), loader)


def section_rules(
    section: str = "", only: Iterable[str] = (), leave_out: Iterable[str] = ()
) -> dict[str, dict]:
    """Return the rules of a section's keys, by key.

    Parameters
    ----------
    section : str
        `screening`, `irt`, ...; `benchmarks` for the keys of a benchmark; empty for the keys at
        the top.
    only, leave_out : iterable of str
        Keys to return alone (default: all), and keys to leave out.

    Raises
    ------
    KeyError
        The schema has no such section or key.
    """
    rules = schema()
    if section:
        rules = rules["properties"][section]
    keys = rules.get("properties") or rules["additionalProperties"]["properties"]
    unknown = {*only, *leave_out} - keys.keys()
    if unknown:
        raise KeyError(f"config/schema.yaml: section '{section}' has no key {sorted(unknown)}")
    return {key: keys[key] for key in only or keys if key not in leave_out}


def as_options(values: Mapping[str, object]) -> str:
    """Return settings as a command line has them: `--kebab-key value`, quoted for the shell.

    Null is left out, true is the option alone and false nothing (the default of every switch);
    a list is an option with so many values.

    Examples
    --------
    >>> as_options({"min_sd": 0.01, "balance": None, "allow_unconverged": True, "rules": ["a b"]})
    "--min-sd 0.01 --allow-unconverged --rules 'a b'"
    """
    words = []
    for key, value in values.items():
        if value is None or value is False:
            continue
        given = value if isinstance(value, list | tuple) else [] if value is True else [value]
        words += [f"--{key.replace('_', '-')}", *(shlex.quote(str(each)) for each in given)]
    return " ".join(words)
