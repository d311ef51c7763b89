"""Options that load a language model and ask it the items of a suite."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from itemwise.bank.folder import read_bank
from itemwise.bank.model_scores import form_documents
from itemwise.bank.questions import suite_of
from itemwise.cli.options import key_values, literals, whole_number
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM
from itemwise.harness.evaluate import CHUNK, describe_documents, evaluate, tabulate
from itemwise.harness.ledger import Ledger, check_folder
from itemwise.harness.model import LanguageModel, check_context, provenance
from itemwise.harness.progress import Progress
from itemwise.harness.suite import Document, Prompting, Suite
from itemwise.workflow.schema import LOADING


def add_question_options(parser) -> None:
    """Declare what is asked, and where answers are kept."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bank", help="ask the bank's short form only, by the prompts or the tasks "
                      "that it knows")  # fmt: skip
    what.add_argument("--item-list", help="text file with one item id a line")
    parser.add_argument(
        "--form", default=MAIN_FORM, help=f"form of the bank (default: {MAIN_FORM})"
    )
    add_benchmarks(parser)
    parser.add_argument("--ledger", required=True, help="folder that keeps answers")
    parser.add_argument(
        "--chunk",
        type=whole_number(1),
        default=CHUNK,
        help=f"documents between two writes (default: {CHUNK})",
    )
    parser.add_argument("--out-documents", help="documents table to write: prompts as asked")


def add_benchmarks(parser) -> None:
    """Declare which benchmarks of a bank are asked."""
    parser.add_argument("--benchmarks", nargs="+", default=[], metavar="BENCHMARK",
                        help="benchmarks of the bank to ask (default: all)")  # fmt: skip


def add_identity_options(parser) -> None:
    """Declare which revision is loaded, and what it is called."""
    parser.add_argument("--revision", help="branch, tag or commit of a hub model")
    parser.add_argument("--subject", help="name of the model in the table")


def add_model_options(parser) -> None:
    """Declare how a model is loaded and prompted."""
    add_section(parser, "evaluate", only=[*LOADING, "apply_chat_template"])
    add_task_options(parser)


def add_task_options(parser) -> None:
    """Declare which tasks are built, and how they become prompts."""
    parser.add_argument("--system-instruction", help="text before every prompt")
    parser.add_argument("--tasks", nargs="+", help="tasks or groups of the harness")
    parser.add_argument(
        "--benchmark-of",
        nargs="+",
        default=[],
        metavar="TASK=BENCHMARK",
        help="benchmark of a task (default: metabench's, else the name in --tasks)",
    )
    add_section(parser, "evaluate", only=["include_path", "num_fewshot"])
    parser.add_argument(
        "--fewshot-seed",
        type=whole_number(0),
        default=1234,
        help="seed of their choice (default: 1234, the harness's)",
    )


def evaluated(options, suite: Suite | None = None) -> tuple[pd.DataFrame, dict, Callable]:
    """Evaluate one model; return its answers, the record, and how to describe the documents.

    Tasks that are built already (`suite`) may be handed in.
    """
    lm, suite, about = prepare(options, lambda suite: wanted(options, suite), suite)
    documents = wanted(options, suite)
    ledger = Ledger(options.ledger, about)
    start = time.perf_counter()
    with Progress(len(documents), "item", about["subject"]) as bar:
        asked = evaluate(
            lm, suite, documents, ledger, options.chunk, bar.update,
            lambda message: print(f"itemwise evaluate-model: notice: {message}", file=sys.stderr),
        )  # fmt: skip
    table = tabulate(documents, ledger, about)
    record = {
        **about,
        "documents": len(documents),
        "asked_now": asked,
        "seconds": time.perf_counter() - start,
        "batch_sizes": sorted(ledger.batch_sizes),
        "ledger": str(ledger.path),
    }
    ledger.close()
    return table, record, lambda: describe_documents(documents, suite)


def prepare(
    options,
    check: Callable[[Suite], object] = lambda suite: None,
    suite: Suite | None = None,
) -> tuple:
    """Build the tasks and load the model; return model, tasks and provenance.

    Tasks come first, and are checked, so that a mistake in them does not cost the loading
    of a model; only a chat template needs the model before. Tasks that are built already
    may be handed in.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    model = language_model(options)
    model.check_folder()
    check_folder(options.ledger)
    if suite is None and not options.apply_chat_template:
        suite = make_suite(options, None)
        check(suite)
    lm = model.load()
    suite = suite or make_suite(options, lm)
    check_context(lm, suite)
    about = provenance(model, lm, suite)
    if options.subject:
        about["subject"] = options.subject
    return lm, suite, about


def language_model(options) -> LanguageModel:
    """Return which model to load, and how."""
    return LanguageModel(
        options.lm,
        options.revision,
        options.backend,
        options.dtype,
        options.device,
        options.batch_size,
        literals(key_values(options.lm_args, "--lm-args")),
        options.trust_remote_code,
        options.recompute_prefixes,
    )


def make_suite(options, lm) -> Suite:
    """Build the tasks: those named, else those of the bank."""
    prompting = Prompting(
        options.num_fewshot,
        options.fewshot_seed,
        options.apply_chat_template,
        options.system_instruction,
    )
    tasks, known = options.tasks or [], key_values(options.benchmark_of, "--benchmark-of")
    if not options.bank:
        return Suite(tasks, prompting, lm, options.include_path, known)
    bank = read_bank(options.bank, options.benchmarks)
    return suite_of(bank, options.bank, prompting, lm, tasks, options.include_path, known)


def wanted(options, suite: Suite) -> list[Document]:
    """Return the documents to ask."""
    if options.bank:
        bank = read_bank(options.bank, options.benchmarks)
        return form_documents(bank, suite, options.form, options.bank)
    if options.item_list:
        try:
            lines = Path(options.item_list).read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise UserError(
                f"{options.item_list}: cannot be read ({error.strerror}); check --item-list"
            ) from error
        return suite.pick([line.strip() for line in lines if line.strip()], options.item_list)
    return suite.documents
