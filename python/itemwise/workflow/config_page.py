"""Every configuration key as a page for people."""

from __future__ import annotations

import yaml

from itemwise.workflow.schema import schema


def describe() -> str:
    """Return every key with type, default and description as Markdown."""
    lines = [
        "# Configuration",
        "",
        "Generated from `schema.yaml` by `make docs`; do not edit.",
        "",
        "`snakemake --cores N` runs `config/demo.yaml`; with `--configfile FILE` that file alone "
        "is read, and `--config run=NAME` changes single keys. Unknown keys are refused.",
        "",
        "| key | values | default | meaning |",
        "|---|---|---|---|",
    ]
    for key, value in _walk(schema()):
        default = "required" if value.get("required_here") else _shown(value)
        lines.append(f"| `{key}` | {_values(value)} | {default} | {_meaning(value)} |")
    return "\n".join(lines) + "\n"


def _walk(rules: dict, prefix: str = ""):
    """Yield every key with its rules, depth first."""
    required = rules.get("required", [])
    for key, value in rules["properties"].items():
        if "$ref" in value:
            continue
        yield prefix + key, {**value, "required_here": key in required}
        if "properties" in value:
            yield from _walk(value, f"{prefix}{key}.")
        elif isinstance(value.get("additionalProperties"), dict):
            yield from _walk(value["additionalProperties"], f"{prefix}{key}.<name>.")
        for entry in _entries(value):
            yield from _walk(entry, f"{prefix}{key}[].")


def _meaning(rules: dict) -> str:
    """Say what a key means; of a formula also what it may use."""
    if "predictors" not in rules:
        return rules["description"]
    return f"{rules['description']} Predictors: `{'`, `'.join(rules['predictors'])}`."


def _entries(rules: dict) -> list[dict]:
    """Return the rules of a list's entries where these are mappings."""
    entry = rules.get("items", {})
    return [kind for kind in entry.get("oneOf", [entry]) if "properties" in kind]


def _values(rules: dict) -> str:
    """Describe the values that a key takes."""
    if "enum" in rules:
        return ", ".join(f"`{_plain(value)}`" for value in rules["enum"])
    if "oneOf" in rules:
        return "list of paths, `evaluated`, `collected` or `simulated`"
    kinds = rules["type"] if isinstance(rules["type"], list) else [rules["type"]]
    text = " or ".join({"object": "mapping"}.get(kind, kind) for kind in kinds)
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {rules[name]}" for name, sign in signs.items() if name in rules]
    return f"{text} {', '.join(bounds)}".strip()


def _shown(rules: dict) -> str:
    """Show a key's default, if any, as YAML; mappings show theirs key by key."""
    default = rules.get("default", {})
    return "" if default == {} else f"`{_plain(default)}`"


def _plain(value) -> str:
    """Return a value as YAML writes it in one line."""
    if isinstance(value, str):
        return value or "''"
    written = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return written.removesuffix("\n").removesuffix("\n...")
