"""Configuration: validated against a closed schema, with every default filled in."""

from __future__ import annotations

import copy
import os
import re

import jsonschema

from itemwise.collect.leaderboard import LEADERBOARDS
from itemwise.errors import UserError, did_you_mean
from itemwise.workflow.formulas import check_formulas
from itemwise.workflow.schema import schema

OVERRIDABLE = ("screening", "preselection", "irt", "scoring", "selection", "readout")
"""Settings that a benchmark may replace for itself."""
RESERVED_BENCHMARKS = ("overall", "own", "other", "each", "y")
"""Names that joint formulas and reports use otherwise."""
LEADERBOARD_NAMES = {source: tuple(known) for source, known in LEADERBOARDS.items()}


def resolve(config: dict) -> dict:
    """Validate a configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        As Snakemake merged it from files and command line.

    Returns
    -------
    dict
        Complete: every key of the schema is there, settings of each benchmark are
        merged over the general ones, environment variables in paths are expanded.

    Raises
    ------
    UserError
        Names the key, what is wrong, and the nearest valid key or the valid values.
    """
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(config)
    error = jsonschema.exceptions.best_match(errors)
    if error is not None:
        raise UserError(_explain(error))
    resolved = _with_defaults(copy.deepcopy(config), schema())
    resolved.setdefault("benchmarks", {})
    _resolve_profile(resolved["profile"])
    if not resolved["benchmarks"] and not resolved["profile"]["checkpoints"]:
        raise UserError(
            "config: key 'benchmarks' is missing; add it, or 'profile.checkpoints' "
            "(config/README.md lists all)"
        )
    for name, benchmark in resolved["benchmarks"].items():
        _check_benchmark(name, benchmark)
        for name in OVERRIDABLE:
            benchmark[name] = {**resolved[name], **benchmark.get(name, {})}
        for name in ("full_scores", "item_metadata"):
            benchmark[name] = _expand(benchmark[name])
        benchmark["select"] = _as_list(benchmark["select"])
        if isinstance(benchmark["sources"], list):
            benchmark["sources"] = [_expand(path) for path in benchmark["sources"]]
    resolved["subject_metadata"] = _expand(resolved["subject_metadata"])
    _resolve_evaluations(resolved)
    _resolve_collection(resolved)
    check_formulas(resolved)
    return resolved


def _check_benchmark(name: str, benchmark: dict) -> None:
    """Refuse a name that formulas use, and a selection where there is nothing to select from."""
    if name in RESERVED_BENCHMARKS:
        raise UserError(
            f"config: benchmark '{name}': that name means something else in joint formulas and "
            "reports; call it otherwise (key 'select' says which rows of a long table it has)"
        )
    if benchmark["select"] is not None and not isinstance(benchmark["sources"], list):
        raise UserError(
            f"config: key 'benchmarks.{name}.select': chooses rows of long tables, but "
            f"'sources' is '{benchmark['sources']}'; leave 'select' out"
        )


def _as_list(value: str | list | None) -> list:
    """Return one value or none as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _resolve_collection(resolved: dict) -> None:
    """Check that collected benchmarks exist and that their list of models does."""
    collect = resolved["collect"]
    collect["models"] = _expand(collect["models"])
    collected = [n for n, b in resolved["benchmarks"].items() if b["sources"] == "collected"]
    if collected and collect["source"] == "samples" and not collect["repositories"]:
        raise UserError(
            "config: key 'collect.repositories' is empty; name the data sets that hold the logs"
        )
    known = LEADERBOARD_NAMES.get(collect["source"])
    for name in collected:
        if known is not None and name not in known:
            raise UserError(
                f"config: benchmark '{name}' is collected, but leaderboard {collect['source']} has "
                f"{', '.join(known)}; call it so, or change 'collect.source'"
            )


def _resolve_evaluations(resolved: dict) -> None:
    """Name the language models' files, and check that evaluated benchmarks have tasks."""
    evaluate = resolved["evaluate"]
    evaluate["include_path"] = _expand(evaluate["include_path"])
    named = {}
    for entry in evaluate["lms"]:
        entry = {"lm": entry} if isinstance(entry, str) else dict(entry)
        entry["lm"] = _expand(entry["lm"])
        known = entry.get("subject") or "@".join(filter(None, (entry["lm"], entry.get("revision"))))
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", known).strip("_.")
        if name in named:
            raise UserError(
                f"config: key 'evaluate.lms': two language models would be called '{name}'; give "
                "them different values of 'subject'"
            )
        named[name] = entry
    resolved["language_models"] = named
    runs = resolved["tiny_models"]["runs"]
    if runs and (named or evaluate["include_path"]):
        key = "evaluate.lms" if named else "evaluate.include_path"
        raise UserError(
            f"config: keys 'tiny_models.runs' and '{key}' are both given; tiny models have "
            "tasks of their own: leave one of them out"
        )
    calibrating = named or [name for name, run in runs.items() if not run["held_out"]]
    for name, benchmark in resolved["benchmarks"].items():
        if benchmark["sources"] == "evaluated" and not (benchmark["tasks"] and calibrating):
            lacking = "evaluate.lms" if benchmark["tasks"] else f"benchmarks.{name}.tasks"
            raise UserError(
                f"config: benchmark '{name}' is evaluated, but key '{lacking}' is empty; fill it in"
            )


def _resolve_profile(profile: dict) -> None:
    """Expand paths of checkpoints and of settings that name data."""
    for entry in profile["checkpoints"]:
        for name in ("table", "folder", "lm"):
            if name in entry:
                entry[name] = _expand(entry[name])
    profile["bank"] = _expand(profile["bank"])
    for name, values in profile["settings"].items():
        if not isinstance(values, dict):
            raise UserError(
                f"config: key 'profile.settings.{name}': {values!r} is no mapping; write the "
                f"settings of '{name}' as {{setting: value}}"
            )
        for key, value in values.items():
            if isinstance(value, str) and "$" in value:
                values[key] = _expand(value)


def _with_defaults(config: dict, rules: dict) -> dict:
    """Fill in the defaults of one level and of the levels below it."""
    for key, value in rules["properties"].items():
        if key in OVERRIDABLE and "$ref" in value:
            continue
        if key not in config and "default" in value:
            config[key] = copy.deepcopy(value["default"])
        if key not in config:
            continue
        if "properties" in value:
            _with_defaults(config[key], value)
        elif isinstance(value.get("additionalProperties"), dict):
            for entry in config[key].values():
                _with_defaults(entry, value["additionalProperties"])
    return config


def _expand(path: str | None) -> str | None:
    """Expand environment variables and the home folder in a path."""
    if path is None:
        return None
    expanded = os.path.expanduser(os.path.expandvars(path))
    if "$" in expanded:
        raise UserError(f"config: path '{path}': environment variable is not set; export it first")
    return expanded


def _explain(error: jsonschema.ValidationError) -> str:
    """Turn a validation error into key, fault and remedy."""
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        hint = did_you_mean(unknown, known) or f"; valid keys: {', '.join(known)}"
        missing = [k for k in error.schema.get("required", ()) if k not in error.instance]
        if missing and f"'{missing[0]}'?" not in hint:
            hint += f"; key '{missing[0]}' is missing"
        key = f"{where}.{unknown}" if where else unknown
        return f"config: unknown key '{key}'{hint} (config/README.md lists all)"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        key = f"{where}.{missing}" if where else missing
        return f"config: key '{key}' is missing; add it (config/README.md lists all)"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        safe = re.sub(r"[^A-Za-z0-9]+", "_", error.instance).strip("_") or "name"
        select = f", and say 'select: {error.instance}' in it" if where == "benchmarks" else ""
        return (
            f"config: key '{where}': '{error.instance}' becomes a name of files, which begin with "
            f"a letter or digit and have these, - and _ alone; call it '{safe}'{select}"
        )
    if error.validator in ("oneOf", "anyOf"):
        return _explain_alternatives(error, where)
    if error.validator == "enum":
        values = [str(value) for value in error.validator_value if value is not None]
        hint = did_you_mean(error.instance, values)
        return f"config: key '{where}': {error.instance!r} is not one of {', '.join(values)}{hint}"
    return f"config: key '{where or 'config'}': {error.message}; correct the value"


def _explain_alternatives(error: jsonschema.ValidationError, where: str) -> str:
    """Explain a value that is none of several: by the one that it was meant to be, if it shows."""
    meant = [rules for rules in error.validator_value if _is_kind(error.instance, rules)]
    if len(meant) == 1:
        place = error.validator_value.index(meant[0])
        faults = [fault for fault in error.context if fault.schema_path[0] == place]
        if "enum" not in meant[0]:
            return _explain(jsonschema.exceptions.best_match(faults))
    kinds = " nor ".join(map(_alternative, error.validator_value))
    values = [value for rules in error.validator_value for value in rules.get("enum", ())]
    hint = did_you_mean(error.instance, values) if isinstance(error.instance, str) else ""
    lists = any(rules.get("type") == "array" for rules in error.validator_value)
    if lists and isinstance(error.instance, str) and not hint:
        hint = f"; write a list: [{error.instance}]"
    return (
        f"config: key '{where}': {error.instance!r} is neither {kinds}"
        f"{hint or '; correct the value'} (config/README.md lists all)"
    )


def _is_kind(value: object, rules: dict) -> bool:
    """Return whether a value has the type of an alternative."""
    kind = {"type": rules["type"]} if "type" in rules else {"type": "string"}
    return jsonschema.Draft202012Validator(kind).is_valid(value)


def _alternative(rules: dict) -> str:
    """Describe one of several alternatives."""
    if "enum" in rules:
        return f"one of {', '.join(map(str, rules['enum']))}"
    if rules["type"] == "object":
        return f"a mapping with {', '.join(rules.get('required', rules['properties']))}"
    return {"array": "a list", "string": "a text"}.get(rules["type"], f"a {rules['type']}")
