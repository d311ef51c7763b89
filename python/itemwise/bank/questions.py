"""How a bank's items are asked: by its own prompts, or by the harness's tasks that it names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.harness.frozen import frozen_task, task_name, unfit
from itemwise.harness.suite import Prompting, Suite, find_tasks

LOG = logging.getLogger(__name__)


def asks_by_itself(bank: Bank, prompting: Prompting, tasks: Sequence[str],
                   include_path: str | Path | None) -> bool:  # fmt: skip
    """Return whether the bank's own prompts are asked.

    So where it knows them all, nothing else is named, and no option changes prompts. Prompts of a
    calibration with a chat template hold that of another model. Settings that may be code are
    not followed: the tasks of that name in the harness are asked then.
    """
    changed = prompting != Prompting(fewshot_seed=prompting.fewshot_seed)
    if tasks or include_path or changed:
        return False
    templates = [about.get("chat_template") or [] for about in bank.card["benchmarks"].values()]
    if any("yes" in values for values in templates):
        return False
    reasons = {name: unfit(rows) for name, rows in pools(bank).items()}
    for name, reason in reasons.items():
        if reason and "prompt" in bank.items:
            LOG.warning("%s: the bank's own prompts are not asked, but its tasks: %s", name, reason)
    return not any(reasons.values())


def pools(bank: Bank) -> dict[str, pd.DataFrame]:
    """Return the calibrated items of each benchmark."""
    known = bank.items.set_index("item", drop=False)
    return {name: known.loc[bank.pool_items(name)] for name in bank.benchmarks}


def suite_of(bank: Bank, source: str, prompting: Prompting, lm=None, tasks: Sequence[str] = (),
             include_path: str | Path | None = None, benchmarks: dict | None = None,
             remedy: str = "give them by --tasks") -> Suite:  # fmt: skip
    """Build the tasks that ask a bank's items.

    Parameters
    ----------
    bank : Bank
    source : str
        Its folder, for messages.
    prompting, lm, include_path
        As of `Suite`.
    tasks : sequence of str
        Tasks of the harness to take instead of those that the bank knows.
    benchmarks : dict, optional
        Benchmark of each task, beside what the bank says.
    remedy : str
        What to do where the bank names no task.

    Raises
    ------
    UserError
        As of `Suite`; the bank knows neither prompts nor tasks.
    """
    if asks_by_itself(bank, prompting, tasks, include_path):
        built = {task_name(name): frozen_task(task_name(name), rows)
                 for name, rows in pools(bank).items()}  # fmt: skip
        known = {task_name(name): name for name in bank.benchmarks}
        return Suite(list(built), prompting, benchmarks=known, built=built)
    names, named_by = task_names(bank, source, tasks, remedy)
    known = bank.tasks | (benchmarks or {})
    return Suite(names, prompting, lm, include_path, known, named_by)


def check_suite(bank: Bank, source: str, prompting: Prompting, tasks: Sequence[str],
                include_path: str | Path | None, remedy: str) -> None:  # fmt: skip
    """Refuse a bank whose items cannot be asked, before a model is loaded."""
    if not asks_by_itself(bank, prompting, tasks, include_path):
        names, named_by = task_names(bank, source, tasks, remedy)
        find_tasks(names, include_path, named_by)


def task_names(
    bank: Bank, source: str, tasks: Sequence[str], remedy: str
) -> tuple[list[str], str | None]:
    """Return the harness's tasks to build, and the bank where it names them."""
    return (list(tasks), None) if tasks else (bank.task_names(source, remedy), source)
