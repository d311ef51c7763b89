"""Short forms as harness tasks: frozen prompts, found relative to the task file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from itemwise.tables.files import write_text

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("task", "prompt", "target", "settings")
LOADER = '''"""Documents of the bank's forms, found beside this file wherever the bank lies."""

import json
from pathlib import Path

import datasets


def documents(file, **_):
    """Return the documents of one form."""
    lines = (Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}
'''


def task_name(benchmark: str, form: str) -> str:
    """Name the task of a form."""
    return f"itemwise_{benchmark}_{form}".lower()


def write_tasks(folder: Path, items: pd.DataFrame, selection: pd.DataFrame) -> list[str]:
    """Write one task a benchmark and form, and the group `itemwise_<form>`.

    Documents are the prompts as the calibration's models got them, shots included, so
    that a short form asks what the whole suite asked. Items whose prompts are not known,
    or whose task scores by code of its own, make no task.

    Parameters
    ----------
    folder : path
    items : data frame
        Items of the bank, with the columns of the table `documents`.
    selection : data frame
        Forms of the bank.

    Returns
    -------
    list of str
        Names of the benchmarks and forms that make no task, with the reason.
    """
    left_out, groups = [], {}
    for (benchmark, form), part in selection.groupby(["benchmark", "form"]):
        rows = part.sort_values("rank").merge(items.drop(columns="benchmark"), on="item")
        reason = unfit(rows)
        if reason:
            left_out.append(f"{benchmark}, form {form}: {reason}")
            continue
        name = task_name(benchmark, form)
        data = f"data/{name}.jsonl"
        lines = [json.dumps(document(row), ensure_ascii=False) for row in rows.itertuples()]
        write_text("\n".join(lines) + "\n", folder / data)
        write_text(task_file(name, data, json.loads(rows["settings"].iloc[0])),
                   folder / f"{name}.yaml")  # fmt: skip
        groups.setdefault(f"itemwise_{form}".lower(), []).append(name)
    for group, names in groups.items():
        text = yaml.safe_dump({"group": group, "task": names, "metadata": {"version": 1.0}})
        write_text(text, folder / f"{group}.yaml")
    if groups:
        write_text(LOADER, folder / "load.py")
    return left_out


def unfit(rows: pd.DataFrame) -> str | None:
    """Say why the items of a form make no task; None where they do."""
    lacking = [name for name in NEEDED if name not in rows or rows[name].isna().any()]
    if lacking:
        return (
            "the prompts of its items are not known (`itemwise list-documents` writes them, for "
            "config key 'item_metadata')"
        )
    # Tasks of a group may differ in their names and versions, not in how they score.
    settings = {text: json.loads(text) for text in rows["settings"].unique()}
    alike = {json.dumps({k: v for k, v in s.items() if k not in ("version", "num_fewshot")})
             for s in settings.values()}  # fmt: skip
    if len(alike) > 1:
        return "its items come from tasks with different settings"
    first = next(iter(settings.values()))
    if first.get("process_results"):
        return "its task scores by code of its own"
    if first["output_type"] == "multiple_choice":
        if rows["choices"].isna().any():
            return "its choices change the prompt"
    elif first["output_type"] != "generate_until":
        return f"output type {first['output_type']}"
    if "<function" in json.dumps(first):
        return "its metrics are code"
    return None


def document(row) -> dict:
    """Return the frozen document of an item."""
    made = {"item": row.item, "prompt": row.prompt, "target": json.loads(row.target)}
    if isinstance(row.choices, str):
        made["choices"] = json.loads(row.choices)
    return made


def task_file(name: str, data: str, settings: dict) -> str:
    """Return the task as YAML."""
    made = {
        "task": name,
        "custom_dataset": "FUNCTION",
        "dataset_kwargs": {"file": data},
        "test_split": "test",
        "output_type": settings["output_type"],
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "target",
        "metric_list": settings["metric_list"],
        "metadata": {"version": 1.0},
    }
    for key in ("target_delimiter", "generation_kwargs", "filter_list", "repeats"):
        if settings.get(key) is not None:
            made[key] = settings[key]
    if settings["output_type"] == "multiple_choice":
        made["doc_to_choice"] = "choices"
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True)
    return text.replace("custom_dataset: FUNCTION", "custom_dataset: !function load.documents")
