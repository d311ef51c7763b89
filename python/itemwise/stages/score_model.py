"""Score models by a bank: ability, reconstructed full scores, intervals.

Reads sample logs of lm-evaluation-harness (--samples) or an evaluations table
(--results). Needs no R, no network and no GPU.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

import pandas as pd

from itemwise.bank.folder import read_bank
from itemwise.bank.model_scores import Scored, score_models
from itemwise.cli.options import add, add_metric_options, key_values
from itemwise.cli.score_table import text_table
from itemwise.cli.terminal import warn
from itemwise.errors import UserError, listed
from itemwise.forms import MAIN_FORM
from itemwise.harness.import_messages import warnings
from itemwise.harness.samples import import_samples
from itemwise.readout.features import OVERALL
from itemwise.report.templates import templates
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record, write_text


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--samples", nargs="+", help="sample logs, or folders of them")
    source.add_argument("--results", help="evaluations table of evaluate-model or import-samples")
    parser.add_argument("--subject", help="with --samples: name of the model; with "
                        "--results: the one model to score")  # fmt: skip
    parser.add_argument(
        "--form", default=MAIN_FORM, help=f"form of the bank (default: {MAIN_FORM})"
    )
    add_metric_options(parser)
    parser.add_argument("--out", help="scores table to write")
    parser.add_argument("--json", help="the same as JSON, with all warnings")
    parser.add_argument("--html", help="a page for people")


def run(options) -> None:
    """Score, print and write."""
    bank = read_bank(options.bank)
    if options.samples:
        imported = import_samples(options.samples, options.subject)
        evaluations, skipped, noted = (
            imported.table,
            [*map(str, imported.skipped)],
            warnings(imported),
        )
    else:
        evaluations = results_of(options.results, options.subject)
        skipped, noted = [], []
    scored = score_models(
        bank,
        evaluations,
        options.form,
        key_values(options.metric, "--metric"),
        key_values(options.filter, "--filter"),
        options.binarize,
    )
    print(text_table(scored.scores))
    warn([*scored.warnings, *noted])
    if options.json:
        write_record(
            {
                "bank": bank.card["source"],
                "metrics": scored.metrics,
                "warnings": scored.warnings,
                "skipped": skipped,
                "scores": scored.scores.to_dict("records"),
            },
            options.json,
        )
    if options.html:
        write_text(page(scored, bank.card, options), options.html)
    if options.out:
        write_table(scored.scores, options.out, "scores")


def results_of(path: str, subject: str | None) -> pd.DataFrame:
    """Read an evaluations table, of one model where it is named."""
    table = read_table(path, "evaluations")
    if subject is None:
        return table
    mine = table[table["subject"] == subject]
    if mine.empty:
        raise UserError(
            f"{path}: column 'subject': has no '{subject}'; it has "
            f"{listed(table['subject'].unique())}"
        )
    return mine


def page(scored: Scored, card: dict, options) -> str:
    """Return the page for people."""
    return (
        templates()
        .get_template("scores.html")
        .render(
            rows=scored.scores.to_dict("records"),
            warnings=scored.warnings,
            metrics=scored.metrics,
            card=card,
            bank=options.bank,
            form=options.form,
            overall=OVERALL,
            version=version("itemwise"),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )
