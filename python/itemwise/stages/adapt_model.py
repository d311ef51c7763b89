"""Evaluate a language model adaptively: ask only items that still carry information.

Several benchmarks in one run, each with its own ability; the next items go to the
benchmark whose reconstructed score is least certain, until the rule or the budget stops.
Prompts are those of the full tasks. Answers go into a ledger, so that a killed run goes on
where it was and asks nothing twice. With --replay stored results answer instead of a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pandas as pd

from itemwise.adaptive.live import (
    Answer,
    BenchmarkTest,
    check_budget,
    make_tests,
    run_tests,
    scores,
)
from itemwise.adaptive.rules import LIVE_RULE, Rule, parse_rule
from itemwise.bank.bank import Bank
from itemwise.bank.conditions import unlike_calibration
from itemwise.bank.folder import read_bank
from itemwise.bank.model_scores import (
    aberrant_responses,
    check_benchmarks,
    documents_of,
    match_items,
    no_item_error,
    responses_of,
    with_main_metric,
)
from itemwise.cli.model_options import (
    add_benchmarks,
    add_identity_options,
    add_model_options,
    prepare,
)
from itemwise.cli.options import add, add_metric_options, key_values, whole_number
from itemwise.cli.score_table import text_table
from itemwise.cli.terminal import warn
from itemwise.errors import UserError, listed
from itemwise.forms import MAIN_FORM
from itemwise.harness.progress import Progress
from itemwise.harness.suite import Suite
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import atomic_path, write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    add_benchmarks(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--lm", help="folder or hub id of the language model")
    source.add_argument("--replay", help="evaluations table that answers instead of a model")
    add_identity_options(parser)
    add_model_options(parser)
    parser.add_argument("--ledger", help="folder that keeps answers (with --lm)")
    parser.add_argument(
        "--form", default=MAIN_FORM, help=f"form of the bank (default: {MAIN_FORM})"
    )
    parser.add_argument(
        "--rule",
        default=LIVE_RULE,
        help=f"rule of the test, as of simulate-cat (default: {LIVE_RULE})",
    )
    parser.add_argument(
        "--start-at",
        nargs="+",
        default=[],
        metavar="BENCHMARK=THETA",
        help="ability at which a benchmark's first items are chosen (default: the rule's)",
    )
    add_metric_options(parser)
    parser.add_argument("--budget", type=whole_number(1), help="items over all benchmarks")
    add(parser, "seed")
    add(parser, "out", help="cat_traces table to write")
    parser.add_argument("--out-scores", help="scores table to write")
    parser.add_argument("--figure", help="PNG of the traces to write")
    add(parser, "record")


def run(options, suite: Suite | None = None) -> None:
    """Ask, estimate, write; tasks that are built already may be handed in."""
    bank = read_bank(options.bank, options.benchmarks)
    rule = parse_rule(options.rule)
    clock, closing = Clock(), ExitStack()
    if options.replay:
        answer, subject, tests, about = replay(options, bank, rule)
    else:
        answer, subject, tests, about = live(options, bank, rule, clock, closing, suite)
    start = time.perf_counter()
    with closing, Progress(options.budget, "item", subject) as bar:
        trace = run_tests(tests, answer, subject, options.budget, lambda t: show(bar, t))
    seconds = time.perf_counter() - start
    failed = {t.name: t.failed for t in tests if t.failed is not None}
    if trace.empty:
        raise UserError(f"no item could be answered: {listed(failed.values())}")
    table = scores(tests, subject)
    print(text_table(table))
    for test in tests:
        if (missed := test.missed()) is not None:
            print(f"note: {test.name}: {missed}", file=sys.stderr)
    whole = [test.name for test in tests if test.whole_form()]
    if whole:
        print(
            f"note: {listed(whole)}: the whole form was asked; read out as by score-model",
            file=sys.stderr,
        )
    warn(aberrant_responses(bank, table))
    if options.record:
        write_record(
            {
                **about, "rule": options.rule, "budget": options.budget,
                "items_asked": {t.name: len(t.asked) for t in tests},
                "items_that_could_be_asked": {t.name: len(t.items) for t in tests},
                "corrected": {t.name: t.scale.calibration is not None for t in tests},
                "target_missed": {t.name: said for t in tests if (said := t.missed())},
                "failed": failed,
                "seconds": seconds, "seconds_of_the_model": clock.seconds, "batches": clock.calls,
            },
            options.record,
        )  # fmt: skip
    if options.figure:
        draw(trace, options.figure)
    if options.out_scores:
        write_table(table, options.out_scores, "scores")
    write_table(trace, options.out, "cat_traces")
    if failed:
        raise SystemExit(
            f"itemwise adapt-model: error: {listed(failed)} failed midway; what was learned is in "
            f"{options.out}. Fix the task and run the same command: it goes on where it stopped"
        )


def planned(options, bank: Bank, rule: Rule, available: set[str]) -> list[BenchmarkTest]:
    """Return the tests to run, once it is sure that they can be run."""
    start_at = {}
    for name, text in key_values(options.start_at, "--start-at").items():
        try:
            start_at[name] = float(text)
        except ValueError:
            raise UserError(f"--start-at {name}={text}: is not a number") from None
    tests = make_tests(bank, rule, options.form, available, start_at, options.seed)
    check_budget(options.budget, rule, len(tests))
    return tests


class Clock:
    """Time that the model itself takes."""

    def __init__(self):
        self.seconds, self.calls = 0.0, 0

    def add(self, seconds: float) -> None:
        """Count a call."""
        self.seconds += seconds
        self.calls += 1


def live(
    options, bank: Bank, rule: Rule, clock: Clock, closing: ExitStack, suite: Suite | None = None
) -> tuple[Answer, str, list[BenchmarkTest], dict]:
    """Build the tasks, plan the tests, load the model once; answer by asking it.

    `closing` lets others write the ledger when the test is over.
    """
    from itemwise.harness.evaluate import ask_documents
    from itemwise.harness.ledger import Ledger

    if not options.ledger:
        raise UserError("--lm needs --ledger, the folder that keeps answers")
    tests: list[BenchmarkTest] = []
    documents: dict = {}

    def plan(suite) -> None:
        documents.update(documents_of(bank, suite.documents))
        tests.extend(planned(options, bank, rule, set(documents)))

    lm, suite, about = prepare(options, plan, suite)
    if not tests:  # the tasks were built before, or a chat template needed the model first
        plan(suite)
    ledger = Ledger(options.ledger, about)
    closing.callback(ledger.close)
    there = sum(document.key in ledger.answers for document in documents.values())
    if there:
        print(f"notice: {there} answers are in the ledger {ledger.path}; the test goes on from "
              "them and asks nothing twice", file=sys.stderr)  # fmt: skip
    warn_of_documents(bank, documents, about["harness"])
    chosen = choices_of(options, bank)

    def answer(benchmark: str, items: Sequence[str]) -> list[int]:
        asked = [documents[item] for item in items]
        wanted = [document for document in asked if document.key not in ledger.answers]
        if wanted:
            start = time.perf_counter()
            ask_documents(lm, suite, wanted, ledger, lambda m: print(m, file=sys.stderr))
            clock.add(time.perf_counter() - start)
        rows = [
            {"subject": about["subject"], "benchmark": benchmark, "item": item,
             "filter": filter_name, "metric": metric, "response": value}
            for item, document in zip(items, asked, strict=True)
            for filter_name, metrics in ledger.answers[document.key].items()
            for metric, value in metrics.items()
        ]  # fmt: skip
        return responses_of(bank, benchmark, pd.DataFrame(rows), items, *chosen)

    return answer, about["subject"], tests, about


def replay(options, bank: Bank, rule: Rule) -> tuple[Answer, str, list[BenchmarkTest], dict]:
    """Answer from stored results of one model."""
    table = read_table(options.replay, "evaluations")
    rows = match_items(bank, table)
    if rows.empty:
        raise no_item_error(bank, table, options.form)
    subjects = rows["subject"].unique()
    if options.subject:
        rows = rows[rows["subject"] == options.subject]
    elif len(subjects) != 1:
        raise UserError(
            f"{options.replay}: holds {len(subjects)} models with items of the bank "
            f"({listed(subjects)}); name one by --subject"
        )
    if rows.empty:
        raise UserError(f"{options.replay}: no result of '{options.subject}' on the bank's items")
    parts = dict(iter(rows.groupby("benchmark")))
    chosen = choices_of(options, bank)
    for name, part in parts.items():
        kept, metric_label = with_main_metric(bank, name, part, *chosen[:2])
        warn(f"{name}: {t}" for t in unlike_calibration(bank, name, kept, metric_label, chosen[0]))

    def answer(benchmark: str, items: Sequence[str]) -> list[int]:
        return responses_of(bank, benchmark, parts[benchmark], items, *chosen)

    known = rows.dropna(subset=["response"])
    subject = str(rows["subject"].iloc[0])
    tests = planned(options, bank, rule, set(known["item"]))
    return answer, subject, tests, {"subject": subject, "replay": options.replay}


def choices_of(options, bank: Bank) -> tuple[dict, dict, float | None]:
    """Return metric and filter by benchmark, and the value from which a response is right."""
    metrics = key_values(options.metric, "--metric")
    filters = key_values(options.filter, "--filter")
    check_benchmarks(bank, metrics, "--metric")
    check_benchmarks(bank, filters, "--filter")
    return metrics, filters, options.binarize


def warn_of_documents(bank: Bank, documents: dict, harness: str) -> None:
    """Say when prompts, documents or harness are not those of the calibration."""
    rows = pd.DataFrame(
        {"item": item, "doc_hash": d.doc_hash, "prompt_hash": d.prompt_hash, "harness": harness}
        for item, d in documents.items()
    )
    benchmark = rows["item"].map(bank.items.drop_duplicates("item").set_index("item")["benchmark"])
    for name, part in rows.groupby(benchmark):
        warn(f"{name}: {t}" for t in unlike_calibration(bank, name, part, "response", {}))


def show(bar: Progress, tests: list[BenchmarkTest]) -> None:
    """Show what is known so far."""
    parts = []
    for test in tests:
        if test.asked:
            predicted, half = test.score()
            parts.append(f"{test.name} {predicted:.1f}±{half:.1f}")
    bar.know(", ".join(parts))
    bar.update(sum(len(test.asked) for test in tests) - bar.n)


def draw(trace: pd.DataFrame, path: str) -> None:
    """Draw the reconstructed score and its interval over the items asked."""
    import matplotlib.pyplot as plt

    from itemwise.report.figures import FORM, QUIET, STYLE, WARN

    names = trace["benchmark"].unique()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False, sharey=True
        )
        for panel, name in zip(axes[0], names, strict=True):
            part = trace[trace["benchmark"] == name]
            low, high = (
                part["predicted"] - part["half_width"],
                part["predicted"] + part["half_width"],
            )
            panel.fill_between(part["step"], low.clip(0), high.clip(upper=100), color=FORM,
                               alpha=0.2, lw=0, step="mid", label="interval")  # fmt: skip
            panel.step(part["step"], part["predicted"], color=FORM, where="mid",
                       label="reconstructed score")  # fmt: skip
            for right, colour in ((1, QUIET), (0, WARN)):
                at = part.loc[part["response"] == right, "step"]
                panel.plot(at, [1.5] * len(at), "|", color=colour, ms=7,
                           label="right" if right else "wrong")  # fmt: skip
            panel.set(title=name, xlabel="items asked", ylim=(0, 100))
        axes[0, 0].set_ylabel("full score (points)")
        axes[0, 0].legend(fontsize=8)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150, format="png")
        plt.close(figure)
