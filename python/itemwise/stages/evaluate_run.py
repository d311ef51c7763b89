"""Evaluate the checkpoints of training runs, one after the other, in one process a run.

As evaluate-model for each, with libraries imported and tasks built once: where models are
small, that takes longer than the answers. A killed evaluation goes on where it was. Where there
are several runs, each has a process.
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from itemwise.cli.model_options import (
    add_model_options,
    add_question_options,
    evaluated,
    language_model,
    make_suite,
    wanted,
)
from itemwise.cli.options import add
from itemwise.errors import UserError
from itemwise.harness.model import load_libraries
from itemwise.harness.suite import Suite
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record
from itemwise.workflow.forks import Failure, raise_failures, run_forked


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--lms",
        nargs="+",
        action="append",
        required=True,
        help="checkpoints of a run: folders, hub ids, id@revision; again for another run",
    )
    add_model_options(parser)
    add_question_options(parser)
    add(parser, "threads", help="runs side by side (default: 1); the result does not depend on it")
    add(parser, "out", nargs="+", help="evaluations table to write, one a run")
    add(parser, "record", nargs="+", help="JSON record to write beside it, one a run")


def run(options) -> None:
    """Evaluate each checkpoint and write one table a run."""
    check(options)
    suite = None
    if not options.apply_chat_template:  # that of another checkpoint may differ
        suite = make_suite(options, None)
        wanted(options, suite)
    if len(options.lms) == 1:
        save(options, 0, *evaluated_run(options, options.lms[0], suite))
        return
    load_libraries(language_model(one_model(options, options.lms[0][0])))
    tasks = {
        out: partial(evaluated_run, options, lms, suite)
        for out, lms in zip(options.out, options.lms, strict=True)
    }
    failures, going = {}, len(tasks)
    for out, ended in run_forked(tasks, options.threads):
        going -= 1
        if isinstance(ended, Failure):
            failures[out] = ended
        else:
            save(options, options.out.index(out), *ended)
        said = f"failed: {ended.message}" if out in failures else "evaluated"
        print(f"{out}: {said}; {going} of {len(tasks)} runs to go", flush=True)
    raise_failures(failures, "evaluate-run", "run")


def check(options) -> None:
    """Refuse checkpoints that are named twice, and other numbers of files than of runs."""
    lms = [lm for run in options.lms for lm in run]
    twice = [lm for lm in lms if lms.count(lm) > 1]
    if twice:
        raise UserError(f"--lms: {twice[0]} is named twice; name every checkpoint once")
    for name, given in (("out", options.out), ("record", options.record)):
        if given is not None and len(set(given)) != len(options.lms):
            raise UserError(
                f"--{name}: {len(set(given))} files for {len(options.lms)} runs; give one a run, "
                "in the order of --lms"
            )


def one_model(options, lm: str) -> Namespace:
    """Return the options of evaluate-model for one checkpoint."""
    name, revision = (lm, "") if Path(lm).is_dir() else lm.partition("@")[::2]
    identity = {"lm": name, "revision": revision or None, "subject": None}
    return Namespace(**{**vars(options), **identity})


def evaluated_run(
    options, lms: list[str], suite: Suite | None
) -> tuple[pd.DataFrame, dict, pd.DataFrame | None]:
    """Evaluate the checkpoints of a run; return answers, record and, if wanted, documents."""
    tables, records, documents = [], [], None
    for lm in tqdm(lms, unit="checkpoint", disable=None):
        table, record, documents = evaluated(one_model(options, lm), suite)
        tables.append(table)
        records.append(record)
    described = documents() if options.out_documents else None
    return pd.concat(tables, ignore_index=True), {"checkpoints": records}, described


def save(
    options, number: int, table: pd.DataFrame, record: dict, documents: pd.DataFrame | None
) -> None:
    """Write what came of a run; documents are the same for all, and written with the first."""
    if options.record:
        write_record(record, options.record[number])
    if documents is not None and number == 0:
        write_table(documents, options.out_documents, "documents")
    write_table(table, options.out[number], "evaluations")
