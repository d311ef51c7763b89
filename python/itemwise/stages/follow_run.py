"""Set the measures of a training run side by side: full suite, short form, adaptive test."""

from __future__ import annotations

from itemwise.bank.folder import read_bank
from itemwise.bank.follow import follow
from itemwise.cli.options import add
from itemwise.tables.contract import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    parser.add_argument("--subjects", required=True, help="subjects table of the checkpoints")
    parser.add_argument("--evaluations", required=True, help="evaluations table of the full suite")
    parser.add_argument("--form-scores", required=True, help="scores table of score-model")
    parser.add_argument(
        "--adaptive-scores", required=True, help="scores table of adapt-checkpoints"
    )
    add(parser, "out", help="table run_measures to write")


def run(options) -> None:
    """Read, join and write."""
    table = follow(
        read_bank(options.bank),
        read_table(options.subjects, "subjects"),
        read_table(options.evaluations, "evaluations"),
        read_table(options.form_scores, "scores"),
        read_table(options.adaptive_scores, "scores"),
    )
    write_table(table, options.out, "run_measures")
