"""Ask a model documents chunk by chunk, and tabulate what it answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd

from itemwise.errors import UserError
from itemwise.harness.ledger import Ledger
from itemwise.harness.model import ask, seed_draws
from itemwise.harness.suite import Document, Suite, output_settings

CHUNK = 64
"""Documents asked between two writes of the ledger."""


def evaluate(
    lm,
    suite: Suite,
    documents: Sequence[Document],
    ledger: Ledger,
    chunk: int = CHUNK,
    progress: Callable[[int], None] = lambda n: None,
    notice: Callable[[str], None] = lambda message: None,
) -> int:
    """Ask what the ledger does not hold yet.

    Documents are asked task by task, whose prompts share their worked examples, by
    descending length, in chunks that do not depend on where an earlier run was stopped.

    Parameters
    ----------
    lm : harness model
    suite : Suite
    documents : sequence of Document
    ledger : Ledger
    chunk : int
        Documents between two writes.
    progress : callable
        Told the number of documents done.
    notice : callable
        Told what the user should know.

    Returns
    -------
    int
        Number of documents that were asked now.
    """
    ordered = sorted(documents, key=lambda d: (d.task, -len(d.prompt), d.doc_id))
    there = sum(document.key in ledger.answers for document in ordered)
    if there:
        notice(f"{there} of {len(ordered)} answers are in the ledger, asking "
               f"{len(ordered) - there}")  # fmt: skip
    asked = 0
    for start in range(0, len(ordered), chunk):
        part = ordered[start : start + chunk]
        wanted = [d for d in part if d.key not in ledger.answers]
        if wanted:
            ask_documents(lm, suite, wanted, ledger, notice)
            asked += len(wanted)
        progress(len(part))
    return asked


def ask_documents(
    lm,
    suite: Suite,
    documents: Sequence[Document],
    ledger: Ledger,
    notice: Callable[[str], None] = lambda message: None,
) -> None:
    """Ask documents in one go and put the answers into the ledger."""
    suite.check_consent(dict.fromkeys(document.task for document in documents))
    requests = [request for document in documents for request in document.requests]

    def smaller(size: int) -> None:
        notice(f"memory did not suffice; batches of {size} from here on")

    seed_draws("".join(document.key for document in documents))
    responses = iter(ask(lm, requests, smaller))
    by_document = [[next(responses) for _ in document.requests] for document in documents]
    values = suite.answers(documents, by_document)
    size = int(getattr(lm, "batch_size_per_gpu", getattr(lm, "batch_size", 1)) or 1)
    ledger.add({d.key: v for d, v in zip(documents, values, strict=True)}, size)


def tabulate(documents: Sequence[Document], ledger: Ledger, provenance: dict) -> pd.DataFrame:
    """Return the table `evaluations`: one row a document, filter and metric.

    Raises
    ------
    UserError
        Two documents have the same item id, or a document gave no number.
    """
    seen: dict[str, Document] = {}
    rows = []
    for document in sorted(documents, key=lambda d: (d.benchmark, d.task, d.doc_id)):
        other = seen.setdefault(document.item, document)
        if other is not document:
            raise UserError(
                f"item '{document.item}' stands for document {other.doc_id} of {other.task} and "
                f"{document.doc_id} of {document.task}; give the documents a unique column 'item'"
            )
        answer = ledger.answers[document.key]
        if not any(answer.values()):
            raise UserError(
                f"task '{document.task}', document {document.doc_id}: no metric with a number a "
                "document; the task cannot be used for item-wise results"
            )
        known = {
            "subject": provenance["subject"],
            "model": provenance["name"],
            "revision": provenance["revision"],
            "benchmark": document.benchmark,
            "task": document.task,
            "item": document.item,
            "doc_id": document.doc_id,
            "doc_hash": document.doc_hash,
            "prompt_hash": document.prompt_hash,
            "task_version": provenance["task_versions"][document.task],
            "harness": provenance["harness"],
            "transformers": provenance["transformers"],
            "model_hash": provenance["model_hash"],
            "dtype": provenance["dtype"],
            "num_fewshot": provenance["num_fewshot"][document.task],
            "chat_template": "yes" if provenance["prompting"]["chat_template"] else "no",
            "device": provenance["device"],
            "batch_size": provenance["batch_size"],
        }
        rows += [
            {
                **known,
                "filter": filter_name,
                "metric": metric,
                "response": value if math.isfinite(value) else math.nan,
            }
            for filter_name, metrics in answer.items()
            for metric, value in metrics.items()
        ]
    return pd.DataFrame(rows)


def describe_documents(documents: Sequence[Document], suite: Suite) -> pd.DataFrame:
    """Return the table `documents`: every item with its prompt and choices, as asked."""
    import json

    settings = {
        task: json.dumps({**output_settings(built), "version": suite.version(task)}, sort_keys=True)
        for task, built in suite.tasks.items()
    }
    rows = []
    for d in documents:
        task = suite.tasks[d.task]
        choices = None
        if task.get_config("output_type") == "multiple_choice" and not task.multiple_input:
            choices = json.dumps(list(task.doc_to_choice(d.doc)), ensure_ascii=False)
        rows.append(
            {
                "benchmark": d.benchmark,
                "item": d.item,
                "task": d.task,
                "doc_id": d.doc_id,
                "doc_hash": d.doc_hash,
                "prompt_hash": d.prompt_hash,
                "prompt": d.prompt,
                "choices": choices,
                "target": json.dumps(task.doc_to_target(d.doc), ensure_ascii=False, default=str),
                "settings": settings[d.task],
            }
        )
    return pd.DataFrame(rows).drop_duplicates("item")
