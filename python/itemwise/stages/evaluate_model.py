"""Evaluate one model revision through lm-evaluation-harness, item by item.

What is asked: whole tasks (--tasks), the short form of a bank (--bank), or listed items
(--item-list) of the tasks. Prompts are those of the full tasks whatever is asked. Answers
go into a ledger as they come, so that a killed evaluation goes on where it was, and
nothing is asked twice.
"""

from __future__ import annotations

from itemwise.cli.model_options import (
    add_identity_options,
    add_model_options,
    add_question_options,
    evaluated,
)
from itemwise.cli.options import add
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--lm", required=True, help="folder or hub id of the language model")
    add_identity_options(parser)
    add_model_options(parser)
    add_question_options(parser)
    add(parser, "out", help="evaluations table to write")
    add(parser, "record")


def run(options) -> None:
    """Load, ask and write."""
    table, record, documents = evaluated(options)
    if options.record:
        write_record(record, options.record)
    if options.out_documents:
        write_table(documents(), options.out_documents, "documents")
    write_table(table, options.out, "evaluations")
