"""The tiny models' benchmarks: one harness task a topic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

from itemwise.tables.files import write_text
from itemwise.tiny_models.world import END, TOPICS, Example, benchmark_items

LONGEST_ANSWER = 6
"""Words that a model may write at most: four numbers, the end, and one to spare."""


def task_name(topic: str) -> str:
    """Name the harness task of a topic."""
    return f"tiny_{topic}"


def write_tasks(folder: Path, n_items: int, seed: int) -> None:
    """Write the tasks of all topics: documents as JSON lines, settings as YAML.

    Prompts are the bare questions, without drawn shots. Task files name the documents by their
    whole path.

    Parameters
    ----------
    folder : path
    n_items : int
        Items of each topic.
    seed : int

    Raises
    ------
    UserError
        A topic has fewer questions.
    """
    rng = np.random.default_rng([seed, 3])
    for topic in TOPICS:
        items = benchmark_items(topic, n_items, seed)
        documents = [document(item, number, rng) for number, item in enumerate(items, start=1)]
        lines = [json.dumps(made, ensure_ascii=False) for made in documents]
        name = task_name(topic)
        data = folder / "data" / f"{name}.jsonl"
        write_text("\n".join(lines) + "\n", data)
        text = task_file(name, str(data.resolve()), chosen=bool(items[0].wrong))
        write_text(text, folder / f"{name}.yaml")


def document(item: Example, number: int, rng: np.random.Generator) -> dict:
    """Return the harness document of an item; choices are put in random order."""
    made = {"item": f"{item.topic}.{number:03d}", "kind": item.kind, "question": item.question}
    if not item.wrong:
        return {**made, "answer": item.answer}
    choices = rng.permutation([item.answer, *item.wrong]).tolist()
    return {**made, "choices": choices, "answer": choices.index(item.answer)}


def task_file(name: str, data: str, chosen: bool) -> str:
    """Return a task as YAML: answers are chosen by likelihood, or written."""
    made = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": data}},
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "question",
        "doc_to_target": "answer",
        "metadata": {"version": 1.0},
    }
    if chosen:
        made["output_type"] = "multiple_choice"
        made["doc_to_choice"] = "choices"
        metric = "acc"
    else:
        made["output_type"] = "generate_until"
        made["generation_kwargs"] = {
            "until": [END],
            "max_gen_toks": LONGEST_ANSWER,
            "do_sample": False,
        }
        answer = {"function": "regex", "regex_pattern": r"^\s*(.*?)\s*$"}
        made["filter_list"] = [{"name": "answer", "filter": [answer, {"function": "take_first"}]}]
        metric = "exact_match"
    made["metric_list"] = [{"metric": metric, "aggregation": "mean", "higher_is_better": True}]
    return yaml.safe_dump(made, sort_keys=False)
