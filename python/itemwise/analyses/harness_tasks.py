"""Benchmarks of lm-evaluation-harness: accuracy with its error, by task and over tasks.

Answers go into the response ledger as they come, so that a killed run goes on. The prompts
are the full task's whatever is asked.

- `acc` = mean[argmax_c LL(c) = gold]; `acc_norm` = mean[argmax_c LL(c) / bytes(c) = gold];
  intervals by Wilson, SE = sqrt(p (1 - p) / n); graded metrics (MC2): SE = sd / sqrt(n).
- A group of K tasks (MMLU): the unweighted mean M = (1/K) sum_s m_s with
  SE = (1/K) sqrt(sum_s se_s^2), and `<metric>_micro` over all documents.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from itemwise.analyses.data import draw
from itemwise.analyses.intervals import Estimate, average, mean, proportion
from itemwise.analyses.model import Loaded, Measured
from itemwise.harness.evaluate import evaluate, tabulate
from itemwise.harness.ledger import Ledger
from itemwise.harness.model import check_context, provenance
from itemwise.harness.names import metric_name
from itemwise.harness.progress import Progress
from itemwise.harness.suite import Document, Prompting, Suite


@dataclass(frozen=True)
class Settings:
    """Settings of harness tasks.

    Attributes
    ----------
    shots : int, optional
        Default: the suite's.
    include_path : str, optional
        Folder with task files, such as ones that read local data.
    limit : int, optional
        Documents of each task, drawn by `seed`.
    fewshot_seed : int
    chat_template : bool
    """

    shots: int | None = None
    include_path: str | None = None
    limit: int | None = None
    seed: int = 42
    fewshot_seed: int = 1234
    chat_template: bool = False


@dataclass(frozen=True)
class Data:
    """Tasks that are built, and where answers are kept."""

    suite: Suite
    ledger: Path


def load(row, settings: Settings, model: Loaded, folder: Path) -> Data:
    """Build the tasks of a row of the suite with its shots."""
    shots = settings.shots if settings.shots is not None else int(row.shots)
    prompting = Prompting(shots, settings.fewshot_seed, settings.chat_template)
    return Data(
        Suite([row.task], prompting, model.lm, settings.include_path), folder / "ledger"
    )  # fmt: skip


def measure(model: Loaded, data: Data, settings: Settings) -> Measured:
    """Ask the tasks and return every metric, over all tasks and of each.

    Parameters
    ----------
    model : Loaded
    data : Data
    settings : Settings

    Returns
    -------
    Measured
        Group: empty over all tasks, else the task where there are several.
    """
    suite = data.suite
    check_context(model.lm, suite)
    documents = suite.documents
    if settings.limit is not None:
        frame = pd.DataFrame({"place": range(len(documents)), "task": [d.task for d in documents]})
        kept = [
            draw(part, settings.limit, settings.seed)["place"] for _, part in frame.groupby("task")
        ]
        documents = [documents[place] for place in pd.concat(kept).sort_values()]
    about = provenance(model.description, model.lm, suite)
    ledger = Ledger(data.ledger, about)
    try:
        answer(model, suite, documents, ledger)
        table = tabulate(documents, ledger, about)
    finally:
        ledger.close()
    rows = []
    for (metric, filter_name), part in table.groupby(["metric", "filter"]):
        seed = settings.seed if settings.limit else None
        rows += task_rows(metric_name(metric, filter_name), part, seed)
    return Measured(rows)


def answer(model: Loaded, suite: Suite, documents: list[Document], ledger: Ledger) -> None:
    """Ask documents, and show on a terminal how far it is."""
    title = ", ".join(sorted({document.benchmark for document in documents}))
    with Progress(len(documents), "item", title, leave=False) as bar:
        evaluate(model.lm, suite, documents, ledger, progress=bar.update,
                 notice=lambda message: print(f"notice: {message}", file=sys.stderr))  # fmt: skip


def task_rows(metric: str, table: pd.DataFrame, seed: int | None = None) -> list[dict]:
    """Return one metric of evaluations over all tasks, and of each where there are several."""
    tasks = {task: estimate(part["response"]) for task, part in table.groupby("task")}
    if len(tasks) == 1:
        return [next(iter(tasks.values())).row(metric, seed=seed)]
    return [
        _possible(average(list(tasks.values())), table["response"]).row(metric, seed=seed),
        estimate(table["response"]).row(f"{metric}_micro", seed=seed),
        *(found.row(metric, task, seed) for task, found in tasks.items()),
    ]


def estimate(responses: pd.Series) -> Estimate:
    """Return the mean of responses: a proportion where they are 0 and 1."""
    if responses.isin([0, 1]).all():
        return proportion(responses.sum(), len(responses))
    return _possible(mean(responses), responses)


def _possible(found: Estimate, responses: pd.Series) -> Estimate:
    """Cut an interval where responses are shares."""
    return found.within(0, 1) if responses.between(0, 1).all() else found
