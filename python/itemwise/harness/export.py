"""Short forms as harness tasks: frozen prompts and plain data, no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from itemwise.errors import UserError
from itemwise.harness.frozen import document, read_otherwise, task_config, task_name, unfit
from itemwise.tables.files import write_text

if TYPE_CHECKING:
    import pandas as pd

KEYS = {"task", "dataset_path", "dataset_kwargs", "test_split", "output_type", "num_fewshot",
        "doc_to_text", "doc_to_target", "doc_to_choice", "metric_list", "metadata",
        "target_delimiter", "generation_kwargs", "filter_list", "repeats", "group"}  # fmt: skip
"""Keys of the task files that are written, and so of those that may lie in a bank."""


def write_tasks(folder: Path, items: pd.DataFrame, selection: pd.DataFrame) -> list[str]:
    """Write one task a benchmark and form, and the group `itemwise_<form>`.

    Documents are the prompts as the calibration's models got them, shots included, so
    that a short form asks what the whole suite asked. Items whose prompts are not known,
    or whose task scores by code of its own, make no task. Data are named relative to
    `folder`, from where the harness is run: a task file cannot say where it lies without code.

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
        lines = [] if reason else [
            json.dumps(document(row), ensure_ascii=False) for row in rows.itertuples()
        ]  # fmt: skip
        if lines and read_otherwise(lines):
            reason = "its documents do not read back from JSON lines as they are"
        if reason:
            left_out.append(f"{benchmark}, form {form}: {reason}")
            continue
        name = task_name(benchmark, form)
        data = f"data/{name}.jsonl"
        write_text("\n".join(lines) + "\n", folder / data)
        config = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": data}}}
        config = task_config(name, json.loads(rows["settings"].iloc[0])) | config
        write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
                   folder / f"{name}.yaml")  # fmt: skip
        groups.setdefault(f"itemwise_{form}".lower(), []).append(name)
    for group, names in groups.items():
        text = yaml.safe_dump({"group": group, "task": names, "metadata": {"version": 1.0}})
        write_text(text, folder / f"{group}.yaml")
    return left_out


def check_tasks(folder: Path) -> None:
    """Refuse task files that name code, or data outside their folder.

    Raises
    ------
    UserError
        Naming the file and what it holds.
    """
    remedy = "a bank is data, never code: do not give this folder to the harness; ask whoever \
made the bank to export it anew"
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".pyc", ".so"):
            raise UserError(f"{path}: is code; {remedy}")
        if path.suffix not in (".yaml", ".yml"):
            continue
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            text = str(error).replace("\n", " ")[:160]
            raise UserError(f"{path}: names code, or is no YAML ({text}); {remedy}") from error
        if not isinstance(config, dict) or set(config) - KEYS:
            strange = sorted(set(config) - KEYS) if isinstance(config, dict) else ["no mapping"]
            raise UserError(f"{path}: key '{strange[0]}' is none of a bank's tasks; {remedy}")
        if "group" not in config:
            _check_data(path, config, folder, remedy)


def _check_data(path: Path, config: dict, folder: Path, remedy: str) -> None:
    """Refuse data that are no JSON lines in the folder."""
    given = config.get("dataset_kwargs")
    files = given.get("data_files") if isinstance(given, dict) else None
    if config.get("dataset_path") != "json" or not isinstance(files, dict) or len(given) > 1:
        raise UserError(f"{path}: dataset_path: its data are no JSON lines of its own; {remedy}")
    for name in files.values():
        place = (folder / str(name)).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise UserError(f"{path}: data_files: '{name}' lies outside the bank; {remedy}")
