"""Tasks whose prompts are frozen: made of a table of documents, and of nothing that runs.

Prompts are asked as the calibration's models got them, shots included. What a task's settings may
name is listed here: metrics, aggregations and filters that the harness itself holds, and
settings of generation that are plain numbers. So a table that a stranger wrote cannot name code.
"""

from __future__ import annotations

import io
import json

import pandas as pd

from itemwise.harness.suite import silent

NEEDED = ("task", "prompt", "target", "settings")
"""Columns without which an item cannot be asked."""
SETTINGS = {"output_type", "num_fewshot", "generation_kwargs", "filter_list", "metric_list",
            "target_delimiter", "repeats", "process_results", "version"}  # fmt: skip
GENERATION = {"until", "max_gen_toks", "max_tokens", "max_new_tokens", "max_length", "do_sample",
              "temperature", "top_p", "top_k", "min_p", "num_beams", "repetition_penalty",
              "seed"}  # fmt: skip
METRIC_SETTINGS = {"metric", "aggregation", "higher_is_better", "ignore_case",
                   "ignore_punctuation", "ignore_numbers", "regexes_to_ignore",
                   "multi_target"}  # fmt: skip
METRICS = {"acc", "acc_all", "acc_bytes", "acc_mutual_info", "acc_norm", "bits_per_byte", "bleu",
           "brier_score", "byte_perplexity", "chrf", "chrf++", "exact_match", "f1", "likelihood",
           "mcc", "perplexity", "ter", "word_perplexity"}  # fmt: skip
"""Metrics of the harness itself: any other name is looked for on the hub, and runs."""
AGGREGATIONS = {"bits_per_byte", "bleu", "brier_score", "chrf", "chrf++", "f1",
                "matthews_corrcoef", "mean", "median", "nanmean", "perplexity", "ter",
                "weighted_perplexity"}  # fmt: skip
FILTERS = {"format_span", "lowercase", "majority_vote", "map", "multi_choice_regex", "regex",
           "regex_pos", "remove_whitespace", "take_first", "take_first_k", "uppercase"}  # fmt: skip
"""Filters of the harness but `custom`, which calls a function that the task names."""


def task_name(benchmark: str, form: str = "pool") -> str:
    """Name the task of a form, or of all items."""
    return f"itemwise_{benchmark}_{form}".lower()


def unfit(rows: pd.DataFrame) -> str | None:
    """Say why items make no task; None where they do.

    Parameters
    ----------
    rows : data frame
        Columns of the table `documents`.
    """
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
        if "choices" not in rows or rows["choices"].isna().any():
            return "its choices change the prompt"
    elif first["output_type"] != "generate_until":
        return f"output type {first['output_type']}"
    if "<function" in json.dumps(first):
        return "its metrics are code"
    return strange(first)


def strange(settings: dict) -> str | None:
    """Say what of a task's settings is not among those that are known to run no code."""
    for name in sorted(set(settings) - SETTINGS):
        return f"setting '{name}' is none that a bank may hold"
    for name, value in (settings.get("generation_kwargs") or {}).items():
        if name not in GENERATION or not _plain(value):
            return f"generation setting '{name}' is none that a bank may hold"
    for one in settings.get("metric_list") or []:
        for name in sorted(set(one) - METRIC_SETTINGS):
            return f"setting '{name}' of a metric is none that a bank may hold"
        if one.get("metric") not in METRICS:
            return f"metric '{one.get('metric')}' is none of the harness's own"
        if one.get("aggregation", "mean") not in AGGREGATIONS:
            return f"aggregation '{one['aggregation']}' is none of the harness's own"
    for chain in settings.get("filter_list") or []:
        for step in chain.get("filter", []):
            name = step.get("function")
            values = [list(v.values()) if isinstance(v, dict) else v for v in step.values()]
            if name not in FILTERS or not _plain(values):
                return f"filter '{name}' is none of the harness's own"
    return None


def _plain(value: object) -> bool:
    """Return whether a value is a number, text or a list of such."""
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def document(row) -> dict:
    """Return the frozen document of an item."""
    made = {"item": row.item, "prompt": row.prompt, "target": json.loads(row.target)}
    if isinstance(row.choices, str):
        made["choices"] = json.loads(row.choices)
    return made


def task_config(name: str, settings: dict) -> dict:
    """Return the configuration of a task for the harness, without its data."""
    made = {
        "task": name,
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
    return made


def frozen_task(name: str, rows: pd.DataFrame):
    """Build the task of items in memory; `unfit` has found nothing."""
    import datasets
    from lm_eval.api.task import ConfigurableTask

    made = [document(row) for row in rows.itertuples()]
    config = task_config(name, json.loads(rows["settings"].iloc[0]))
    data = {"test": datasets.Dataset.from_list(made)}
    with silent():
        return ConfigurableTask(config={**config, "custom_dataset": lambda **_: data})


def read_otherwise(lines: list[str]) -> bool:
    """Return whether the harness's reader of JSON lines takes texts for dates, or fails."""
    import pyarrow as pa
    from pyarrow.json import read_json

    try:
        read = read_json(io.BytesIO("\n".join(lines).encode())).to_pylist()
    except pa.ArrowInvalid:
        return True
    return read != [json.loads(line) for line in lines]
