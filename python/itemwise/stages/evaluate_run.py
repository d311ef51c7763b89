"""Evaluate the checkpoints of one training run, one after the other, in one process.

As evaluate-model for each, with the tasks built once: where models are small, starting a
process and building the tasks take longer than the answers. A killed evaluation goes on
where it was.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from itemwise.cli.model_options import (
    add_model_options,
    add_question_options,
    evaluated,
    make_suite,
    wanted,
)
from itemwise.cli.options import add
from itemwise.errors import UserError
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--lms", nargs="+", required=True, help="checkpoints: folders, hub ids, id@revision"
    )
    add_model_options(parser)
    add_question_options(parser)
    add(parser, "record")


def run(options) -> None:
    """Evaluate each checkpoint and write one table."""
    twice = [lm for lm in options.lms if options.lms.count(lm) > 1]
    if twice:
        raise UserError(f"--lms: {twice[0]} is named twice; name every checkpoint once")
    suite = None
    if not options.apply_chat_template:  # that of another checkpoint may differ
        suite = make_suite(options, None)
        wanted(options, suite)
    tables, records, documents = [], [], None
    for lm in tqdm(options.lms, unit="checkpoint", disable=None):
        name, revision = (lm, "") if Path(lm).is_dir() else lm.partition("@")[::2]
        identity = {"lm": name, "revision": revision or None, "subject": None}
        each = Namespace(**{**vars(options), **identity})
        table, record, documents = evaluated(each, suite)
        tables.append(table)
        records.append(record)
    if options.record:
        write_record({"checkpoints": records}, options.record)
    if options.out_documents:
        write_table(documents(), options.out_documents, "documents")
    write_table(pd.concat(tables, ignore_index=True), options.out, "evaluations")
