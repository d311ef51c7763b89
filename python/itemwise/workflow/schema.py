"""The configuration's schema: the only home of a key's name, type, default and meaning."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import cache

from itemwise.paths import ROOT

SCHEMA_FILE = ROOT / "config" / "schema.yaml"

LOADING = ("backend", "dtype", "device", "batch_size", "lm_args", "trust_remote_code",
           "recompute_prefixes")  # fmt: skip
"""Keys of section `evaluate` that say how the weights of a language model are loaded."""
READING = ("select", "metric", "filter", "binarize", "full_scores", "coverage", "incomplete",
           "distinct", "lowest")  # fmt: skip
"""Keys of a benchmark that say what is read of its sources."""
SCHEDULED = ("checkpoints", "axis_label", "training_logs", "settings", "gpus", "mem_mb", "runtime")
"""Keys of section `profile` that are for the workflow: which checkpoints, what they are
drawn against, and on what machine."""


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

    Null and an empty list are left out. True is the option alone, false nothing, which is the
    default of every switch. A list is an option with so many values.

    Examples
    --------
    >>> as_options({"min_sd": 0.01, "balance": None, "allow_unconverged": True, "rules": ["a b"]})
    "--min-sd 0.01 --allow-unconverged --rules 'a b'"
    """
    words = []
    for key, value in values.items():
        if value is None or value is False or value == []:
            continue
        given = value if isinstance(value, list | tuple) else [] if value is True else [value]
        words += [f"--{key.replace('_', '-')}", *(shlex.quote(str(each)) for each in given)]
    return " ".join(words)
