"""Options of a section of the configuration: names, types, defaults and help are the schema's."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from itemwise.workflow.schema import section_rules

BOUNDS = {
    "minimum": ("is below", lambda value, bound: value < bound),
    "exclusiveMinimum": ("is not above", lambda value, bound: value <= bound),
    "maximum": ("is above", lambda value, bound: value > bound),
    "exclusiveMaximum": ("is not below", lambda value, bound: value >= bound),
    "multipleOf": ("is no multiple of", lambda value, bound: value % bound != 0),
}
"""What is wrong with a number beyond its bounds: in words, and as a test."""


def add_section(
    parser: argparse.ArgumentParser,
    section: str,
    only: Iterable[str] = (),
    leave_out: Iterable[str] = (),
    changes: Mapping[str, dict] = MappingProxyType({}),
) -> None:
    """Add each key of a section of the configuration as the option `--kebab-key`.

    Parameters
    ----------
    parser : ArgumentParser
    section, only, leave_out
        As of `section_rules`.
    changes : mapping
        By key, what of `add_argument` is otherwise for this command: `{"required": True}` where
        it cannot do without the key, although the configuration can.
    """
    for key, rules in section_rules(section, only, leave_out).items():
        settings = argument(rules) | changes.get(key, {})
        if settings.get("required"):
            settings |= {"default": None, "help": _meaning(rules)}
        parser.add_argument(f"--{key.replace('_', '-')}", **settings)


def argument(rules: dict) -> dict:
    """Return what `add_argument` takes for a key of the schema.

    A switch is off by default; a list takes any number of values, an object JSON.
    """
    default = rules.get("default")
    kinds = rules.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "boolean" in kinds:
        return {"action": "store_true", "help": _meaning(rules)}
    if "array" in kinds:
        settings = {"nargs": "*", **_value(rules.get("items", {})), "default": default or []}
    else:
        settings = {**_value(rules), "default": default}
    return {**settings, "help": _meaning(rules) + _default(default)}


def _value(rules: dict) -> dict:
    """Return choices or type of a single value."""
    if "enum" in rules:
        return {"choices": [value for value in rules["enum"] if value is not None]}
    for kind, read, words in (
        ("integer", int, "a whole number"),
        ("number", float, "a number"),
        ("object", json.loads, "JSON"),
    ):
        if kind in rules.get("type", ()):
            return {"type": _checked(read, words, rules)}
    return {}


def _checked(read: Callable[[str], object], words: str, rules: dict) -> Callable[[str], object]:
    """Return an argparse type that reads a value and keeps it in the bounds of its rules.

    argparse puts the option before its message.
    """
    bounds = {name: rules[name] for name in BOUNDS if name in rules}

    def parse(text: str) -> object:
        try:
            value = read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}") from None
        if value != value:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
        for name, bound in bounds.items():
            wrong, beyond = BOUNDS[name]
            if beyond(value, bound):
                raise argparse.ArgumentTypeError(f"{text} {wrong} {bound}")
        return value

    return parse


def _meaning(rules: dict) -> str:
    """Return the description of a key as plain text."""
    return rules["description"].replace("`", "").replace("%", "%%")


def _default(default: object) -> str:
    """Say what holds where an option is left out."""
    if default in (None, [], {}):
        return ""
    values = default if isinstance(default, list) else [default]
    shown = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
    return f" (default: {shown})".replace("%", "%%")
