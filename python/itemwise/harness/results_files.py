"""Results files of the harness: what they say of the model and the tasks of a run.

Nothing is taken for granted: any part may be missing or of another kind.
"""

from __future__ import annotations

import re
from pathlib import Path

from itemwise.harness.json_text import read_json

LARGEST = 2**31 - 1
"""Number of shots that fits into tables."""
NAME_ARGUMENTS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Arguments of a model that name it, in the harness's order."""


def mapping_at(content: object, *keys: str) -> dict:
    """Return the mapping below some keys, empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def text_at(content: dict, key: str) -> str | None:
    """Return the text or number at a key as text, None where there is neither."""
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value) or None


def results_of_run(folder: Path, time: str) -> dict:
    """Return the results file of the run of a time: `results_<time>.json`, `<stem>_<time>.json`.

    The stem is that of `--output_path <stem>.json`.
    """
    ending = f"_{time}.json"
    files = (p for p in folder.glob("*.json") if p.name.endswith(ending))
    files = (p for p in files if not p.name.startswith("samples_"))
    for path in sorted(files, key=lambda p: (not p.name.startswith("results_"), p.name)):
        content = read_json(path)
        if isinstance(content, dict):
            return content
    return {}


def results_in(folder: Path) -> list[dict]:
    """Return the results files of a folder, of whatever name."""
    contents = (read_json(path) for path in sorted(folder.glob("*.json")))
    return [content for content in contents if mapping_at(content, "config")]


def stated_name(results: dict) -> str | None:
    """Return the model's name as a results file states it."""
    sanitized = text_at(results, "model_name_sanitized")
    return (
        text_at(results, "model_name")
        or (sanitized and sanitized.replace("__", "/"))
        or named_by(arguments_of(results))
    )


def named_by(arguments: dict) -> str | None:
    """Return the model's name by its arguments."""
    return next(filter(None, (text_at(arguments, name) for name in NAME_ARGUMENTS)), None)


def arguments_of(results: dict) -> dict:
    """Return the arguments of the model, from either form: a text or a mapping."""
    stated = mapping_at(results, "config").get("model_args")
    if isinstance(stated, str):
        pairs = (part.partition("=")[::2] for part in re.split(r"[,\s]+", stated))
        return {name.strip(): value.strip() for name, value in pairs}
    return stated if isinstance(stated, dict) else {}


def stated_revision(results: dict) -> str | None:
    """Return the revision that was asked for."""
    asked = text_at(arguments_of(results), "revision")
    return asked or text_at(mapping_at(results, "config"), "model_revision")


def stated_filters(results: dict, task: str) -> list[str]:
    """Return the names of a task's filters in their order."""
    entries = mapping_at(results, "configs", task).get("filter_list")
    names = (
        [text_at(e, "name") for e in entries if isinstance(e, dict)]
        if isinstance(entries, list)
        else []
    )
    return names if all(names) else []


def conditions(results: dict, task: str) -> dict:
    """Return what a results file says of how answers to a task were made.

    Parameters
    ----------
    results : dict
    task : str

    Returns
    -------
    dict
        Columns of the table `evaluations`, null where nothing is said.
    """
    dtype = text_at(mapping_at(results, "config"), "model_dtype")
    return {
        "harness": text_at(results, "lm_eval_version"),
        "transformers": text_at(results, "transformers_version"),
        "task_version": text_at(mapping_at(results, "versions"), task),
        "dtype": dtype and dtype.removeprefix("torch."),
        "num_fewshot": _shots(results, task),
        "chat_template": _chat_template(results),
    }


def _shots(results: dict, task: str) -> int | None:
    """Return how many worked examples a task had, as its configuration says, else `n-shot`."""
    stated = (
        mapping_at(results, "configs", task).get("num_fewshot"),
        mapping_at(results, "n-shot").get(task),
    )
    counts = (n for n in stated if isinstance(n, int) and not isinstance(n, bool))
    return next((n for n in counts if 0 <= n <= LARGEST), None)


def _chat_template(results: dict) -> str | None:
    """Return whether a chat template was applied; the harness writes the template, or null.

    It writes an empty text for models behind an interface, whose template it does not know.
    """
    if "chat_template" not in results:
        return None
    template = results["chat_template"]
    return "no" if template is None else "yes" if template else None


def tasks_of(results: dict) -> set[str]:
    """Return the tasks that a results file speaks of."""
    return {
        *mapping_at(results, "configs"),
        *mapping_at(results, "results"),
        *mapping_at(results, "versions"),
    }
