"""Small sample logs of lm-evaluation-harness."""

from __future__ import annotations

import json
from pathlib import Path


def row(doc_id: int, text: str = "", **more) -> dict:
    doc = {"question": text or f"q{doc_id}", "choices": ["a", "b"]}
    return {
        "doc_id": doc_id, "doc": doc, "target": "0",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {doc['question']}"}},
        "resps": [[["-1.0", "False"]]], **more,
    }  # fmt: skip


def write_log(folder, task: str, time: str, rows: list, tail: str = ""):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(line) + "\n" for line in rows)
    path = folder / f"samples_{task}_{time}.jsonl"
    path.write_text(lines + tail)
    return path


def write_results(folder: Path, name: str, **content) -> None:
    """Write a results file beside logs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
