"""Evaluate a language model adaptively: ask only what still tells something.

Several benchmarks in one run, each with its own ability; the next items go to the
benchmark whose reconstructed score is least certain, until the rule or the budget stops.
Prompts are those of the full tasks. Answers go into a ledger, so that a killed run goes on
where it was and asks nothing twice. With --replay stored results answer instead of a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import pandas as pd
from tqdm import tqdm

from itemwise.adaptive.live import Answer, BenchmarkTest, make_tests, run_tests, scores
from itemwise.adaptive.rules import parse_rule
from itemwise.bank import Bank, read_bank
from itemwise.errors import UserError, listed
from itemwise.files import atomic_path, write_record
from itemwise.model_scores import binary, matched, with_main_metric
from itemwise.selection import MAIN_FORM
from itemwise.stages.evaluate_model import add_model_options, prepare
from itemwise.stages.options import add, whole_number
from itemwise.stages.score_model import text_table
from itemwise.tables import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--lm", help="folder or hub id of the language model")
    source.add_argument("--replay", help="evaluations table that answers instead of a model")
    add_model_options(parser)
    parser.add_argument("--ledger", help="folder that keeps answers (with --lm)")
    parser.add_argument("--form", default=MAIN_FORM, help=f"form of the bank; default: {MAIN_FORM}")
    parser.add_argument(
        "--rule",
        default="adaptive:min_length=8,batch=4,points=2",
        help="as of simulate-cat (default: adaptive:min_length=8,batch=4,points=2)",
    )
    parser.add_argument("--budget", type=whole_number(1), help="items over all benchmarks")
    add(parser, "seed")
    add(parser, "out", help="cat_traces table to write")
    parser.add_argument("--out-scores", help="scores table to write")
    parser.add_argument("--figure", help="PNG of the traces to write")
    add(parser, "record")


def run(options) -> None:
    """Ask, estimate, write."""
    bank = read_bank(options.bank)
    rule = parse_rule(options.rule)
    clock = Clock()
    if options.replay:
        answer, subject, available, about = replay(options, bank)
    else:
        answer, subject, available, about = live(options, bank, clock)
    tests = make_tests(bank, rule, options.form, available)
    start = time.perf_counter()
    with tqdm(unit="item", desc=subject, disable=None) as bar:
        trace = run_tests(
            tests, answer, subject, options.budget, options.seed, lambda t: show(bar, t)
        )
    seconds = time.perf_counter() - start
    table = scores(tests, subject, options.form)
    print(text_table(table))
    if options.record:
        write_record(
            {
                **about, "rule": options.rule, "budget": options.budget,
                "items_asked": {t.name: len(t.asked) for t in tests},
                "items_that_could_be_asked": {t.name: len(t.items) for t in tests},
                "seconds": seconds, "seconds_of_the_model": clock.seconds, "batches": clock.calls,
            },
            options.record,
        )  # fmt: skip
    if options.figure:
        draw(trace, options.figure)
    if options.out_scores:
        write_table(table, options.out_scores, "scores")
    write_table(trace, options.out, "cat_traces")


class Clock:
    """Time that the model itself takes."""

    def __init__(self):
        self.seconds, self.calls = 0.0, 0

    def add(self, seconds: float) -> None:
        """Count a call."""
        self.seconds += seconds
        self.calls += 1


def live(options, bank: Bank, clock: Clock) -> tuple[Answer, str, set[str], dict]:
    """Load the model and build the tasks once; answer by asking it."""
    from itemwise.harness.evaluate import ask_documents
    from itemwise.harness.ledger import Ledger

    if not options.ledger:
        raise UserError("--lm needs --ledger, the folder that keeps answers")
    lm, suite, about = prepare(options)
    ledger = Ledger(options.ledger, about)
    documents = {document.item: document for document in suite.documents}
    warn_of_prompts(bank, documents)

    def answer(benchmark: str, items: Sequence[str]) -> list[int]:
        asked = [documents[item] for item in items]
        wanted = [document for document in asked if document.key not in ledger.answers]
        if wanted:
            start = time.perf_counter()
            ask_documents(lm, suite, wanted, ledger, lambda m: print(m, file=sys.stderr))
            clock.add(time.perf_counter() - start)
        rows = [
            {"subject": about["subject"], "benchmark": benchmark, "item": document.item,
             "filter": filter_name, "metric": metric, "response": value}
            for document in asked
            for filter_name, metrics in ledger.answers[document.key].items()
            for metric, value in metrics.items()
        ]  # fmt: skip
        return responses_of(bank, benchmark, pd.DataFrame(rows), items)

    return answer, about["subject"], set(documents), about


def replay(options, bank: Bank) -> tuple[Answer, str, set[str], dict]:
    """Answer from stored results of one model."""
    rows = matched(bank, read_table(options.replay, "evaluations"))
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

    def answer(benchmark: str, items: Sequence[str]) -> list[int]:
        return responses_of(bank, benchmark, parts[benchmark], items)

    known = rows.dropna(subset=["response"])
    subject = str(rows["subject"].iloc[0])
    return answer, subject, set(known["item"]), {"subject": subject, "replay": options.replay}


def responses_of(bank: Bank, benchmark: str, rows: pd.DataFrame, items: Sequence[str]) -> list[int]:
    """Return 0/1 responses to items, by the metric that the bank was calibrated on."""
    kept, _ = with_main_metric(bank, benchmark, rows[rows["item"].isin(items)], {}, {})
    values = binary(kept, None)
    by_item = pd.Series(values.to_numpy(), kept["item"].to_numpy())
    return by_item.loc[list(items)].astype(int).tolist()


def warn_of_prompts(bank: Bank, documents: dict) -> None:
    """Say when prompts are not those of the calibration."""
    if "prompt_hash" not in bank.items:
        return
    known = bank.items.set_index("item")["prompt_hash"].dropna()
    common = [item for item in known.index if item in documents]
    other = sum(known[item] != documents[item].prompt_hash for item in common)
    if other:
        print(
            f"warning: {other} of {len(common)} prompts differ from the calibration's (other "
            "shots, chat template or system instruction)",
            file=sys.stderr,
        )


def show(bar: tqdm, tests: list[BenchmarkTest]) -> None:
    """Show what is known so far."""
    bar.update(sum(len(test.asked) for test in tests) - bar.n)
    parts = []
    for test in tests:
        if test.asked:
            predicted, half = test.score()
            parts.append(f"{test.name} {predicted:.1f}±{half:.1f}")
    bar.set_postfix_str(", ".join(parts))


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
