"""Logs of other tools, told by their shape."""

from __future__ import annotations

from pathlib import Path

REMEDY = (
    "only sample logs of lm-evaluation-harness are read: convert it to a long table (parquet or "
    "CSV) with the columns subject, item, response, and give that as a source"
)
LOOKED_AT = 20
"""Files of a folder that are opened to say what it holds."""
SHAPES = (
    ("HELM", ("instance_id", "stats")),
    ("HELM", ("adapter_spec", "scenario_spec")),
    ("HELM", ("adapter_spec", "request_states")),
    ("Inspect", ("eval", "status")),
    ("every eval ever", ("schema_version", "evaluation_id")),
    ("OpenAI evals", ("run_id", "event_id")),
    ("OpenAI evals", ("spec",)),
)
"""Keys that a value of each tool has; OpenAI evals begin with a line `spec` alone."""


def foreign(value: object) -> str | None:
    """Say which tool wrote a value and what to do, None where it is not known."""
    if not isinstance(value, dict):
        return None
    if "results" in value and ("config" in value or "configs" in value):
        return (
            "a results file of lm-evaluation-harness: it has the scores of whole tasks, no items; "
            "run lm-eval with --log_samples and give the samples_<task>_<time>.jsonl"
        )
    if "prompt_0" in value and "doc" not in value:
        return (
            "a --write_out file of lm-evaluation-harness before 0.4.0, which holds prompts but no "
            f"documents; {REMEDY}"
        )
    for tool, keys in SHAPES:
        if all(key in value for key in keys) and (len(keys) > 1 or len(value) == 1):
            return f"a log of {tool}; {REMEDY}"
    return None


def foreign_file(path: Path) -> str | None:
    """Say which tool wrote a file that is no text."""
    with path.open("rb") as file:
        packed = file.read(4) == b"PK\x03\x04"
    return f"a log of Inspect; {REMEDY}" if packed and path.suffix == ".eval" else None
