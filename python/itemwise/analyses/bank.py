"""Abilities and reconstructed full scores of a checkpoint, from the items of a bank.

The short form whole, or with `rule` adaptively, through the same prompts, read-outs and
intervals as `evaluate-model` with `score-model`, and as `adapt-model`.

- `predicted`: full score in points with its prediction interval, brought from the bank's level
  (usually 90 %) to 95 % as if normal, before it is cut to 0 and 100, by benchmark; without group
  the joint read-out of all benchmarks, or the only benchmark. Adaptive tests of several benchmarks
  have a joint read-out only where each asked the whole form; else their mean stands without
  interval;
- `theta`: ability with its standard error, by benchmark; normal 95 % interval;
- `right`: share of right answers to the items asked, by benchmark, Wilson; a chosen or adaptive
  set of items is no random sample, so that it is not the share of all items;
- `n` is the number of items asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.adaptive.live import make_tests, run_tests, scores
from itemwise.adaptive.rules import parse_rule
from itemwise.analyses.harness_tasks import answer
from itemwise.analyses.intervals import LEVEL, Estimate, normal, proportion
from itemwise.analyses.model import Loaded, Measured
from itemwise.bank.bank import Bank
from itemwise.bank.folder import read_bank
from itemwise.bank.model_scores import (
    aberrant_responses,
    documents_of,
    form_documents,
    match_items,
    responses_of,
    score_models,
)
from itemwise.bank.questions import check_suite, suite_of
from itemwise.errors import UserError, listed
from itemwise.forms import MAIN_FORM
from itemwise.harness.evaluate import ask_documents, tabulate
from itemwise.harness.ledger import Ledger
from itemwise.harness.model import provenance
from itemwise.harness.suite import Prompting, Suite
from itemwise.readout.features import OVERALL
from itemwise.readout.interval import at_level


@dataclass(frozen=True)
class Settings:
    """Settings of a bank.

    Attributes
    ----------
    bank : str, optional
        Folder of the bank.
    form : str
    benchmarks : tuple of str
        Those of the bank to ask; default: all.
    rule : str, optional
        Adaptive rule, as of `adapt-model`; without it the whole short form.
    budget : int, optional
        Items over all benchmarks, of an adaptive test.
    tasks : tuple of str
        Harness tasks of the items; default: the bank's own prompts, else those that it names.
    include_path : str, optional
        Folder with task files.
    shots : int, optional
    """

    bank: str | None = None
    form: str = MAIN_FORM
    benchmarks: tuple[str, ...] = ()
    rule: str | None = None
    budget: int | None = None
    tasks: tuple[str, ...] = ()
    include_path: str | None = None
    shots: int | None = None
    fewshot_seed: int = 1234
    chat_template: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Data:
    """The bank, its tasks, and where answers are kept."""

    bank: Bank
    suite: Suite
    ledger: Path


def check(settings: Settings) -> None:
    """Refuse to begin without a bank, or with a rule that is none."""
    if not settings.bank:
        raise UserError("bank: which bank? give --bank, or leave the analysis out")
    if settings.rule:
        parse_rule(settings.rule)


def ready(settings: Settings) -> None:
    """Refuse to load a model for a bank without the form, or for tasks that are not known."""
    bank = read_bank(settings.bank, settings.benchmarks or ())
    for name in bank.benchmarks:
        bank.form_items(name, settings.form)
    check_suite(bank, settings.bank, _prompting(settings), settings.tasks or (),
                settings.include_path, "set 'tasks'")  # fmt: skip


def load(row, settings: Settings, model: Loaded, folder: Path) -> Data:
    """Read the bank and build the tasks of its items."""
    bank = read_bank(settings.bank, settings.benchmarks or ())
    suite = suite_of(bank, settings.bank, _prompting(settings), model.lm, settings.tasks or (),
                     settings.include_path, remedy="set 'tasks'")  # fmt: skip
    return Data(bank, suite, folder / "ledger")


def _prompting(settings: Settings) -> Prompting:
    """Return how prompts are made where the bank's own are not asked."""
    return Prompting(settings.shots, settings.fewshot_seed, settings.chat_template)


def measure(model: Loaded, data: Data, settings: Settings) -> Measured:
    """Ask the bank's items and score them.

    Parameters
    ----------
    model : Loaded
    data : Data
    settings : Settings

    Returns
    -------
    Measured
        Group: the benchmark; empty for the joint read-out.
    """
    about = provenance(model.description, model.lm, data.suite)
    ledger = Ledger(data.ledger, about)
    try:
        ask = adaptively if settings.rule else by_form
        table, notes = ask(model, data, ledger, about, settings)
    finally:
        ledger.close()
    return Measured(score_rows(table, settings.seed), notes=notes)


def by_form(model: Loaded, data: Data, ledger: Ledger, about: dict, settings: Settings) -> tuple:
    """Score the whole short form."""
    documents = form_documents(data.bank, data.suite, settings.form, settings.bank)
    answer(model, data.suite, documents, ledger)
    scored = score_models(data.bank, tabulate(documents, ledger, about), settings.form)
    return scored.scores, scored.warnings


def adaptively(model: Loaded, data: Data, ledger: Ledger, about: dict, settings: Settings) -> tuple:
    """Score an adaptive test."""
    documents = documents_of(data.bank, data.suite.documents)

    def answer(benchmark: str, items: Sequence[str]) -> list[int]:
        asked = [documents[item] for item in items]
        wanted = [document for document in asked if document.key not in ledger.answers]
        if wanted:
            ask_documents(model.lm, data.suite, wanted, ledger)
        table = match_items(data.bank, tabulate(asked, ledger, about))
        return responses_of(data.bank, benchmark, table, items)

    rule = parse_rule(settings.rule)
    tests = make_tests(data.bank, rule, settings.form, set(documents), seed=settings.seed)
    run_tests(tests, answer, about["subject"], settings.budget)
    failed = [f"{test.name}: {test.failed}" for test in tests if test.failed is not None]
    if failed:
        raise RuntimeError(f"adaptive test failed midway: {listed(failed)}")
    table = scores(tests, about["subject"])
    return table, aberrant_responses(data.bank, table)


def score_rows(table: pd.DataFrame, seed: int) -> list[dict]:
    """Turn the table `scores` of one subject into rows of `measures`."""
    rows, predicted = [], {}
    brought = at_level(table, LEVEL)[["se", "lower", "upper"]]
    for row in table.itertuples():
        group = "" if row.benchmark == OVERALL else row.benchmark
        predicted[group] = Estimate(row.predicted, *brought.loc[row.Index], row.n_items)
        if not pd.isna(row.n_right):
            rows.append(proportion(row.n_right, row.n_items).row("right", group, seed))
        if not pd.isna(row.theta):
            rows.append(normal(row.theta, row.se, row.n_items).row("theta", group, seed))
    if "" not in predicted:
        only = list(predicted.values())
        over_all = Estimate(float(np.mean([e.value for e in only])), np.nan, np.nan, np.nan,
                            sum(e.n for e in only))  # fmt: skip
        predicted[""] = only[0] if len(only) == 1 else over_all
    return rows + [e.row("predicted", group, seed) for group, e in predicted.items()]
