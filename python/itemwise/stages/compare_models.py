"""Compare two models on the items that both answered.

Difference in points with its interval, McNemar's exact test and, with a bank, the
difference of the abilities.
"""

from __future__ import annotations

import pandas as pd

from itemwise.bank.bank import read_bank
from itemwise.bank.comparison import compare_models
from itemwise.cli.options import add, add_metric_options, key_values
from itemwise.errors import UserError
from itemwise.tables.contract import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--results", nargs="+", required=True, help="evaluations tables that hold both models"
    )
    parser.add_argument(
        "--models",
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="names of the models (default: the two that there are)",
    )
    add(parser, "bank", required=False)
    parser.add_argument("--level", type=float, default=0.95, help="of intervals (default: 0.95)")
    add_metric_options(parser)
    add(parser, "out", required=False, help="comparisons table to write")


def run(options) -> None:
    """Compare, print and write."""
    if not 0 < options.level < 1:
        raise UserError(f"--level {options.level:g}: must lie between 0 and 1")
    evaluations = pd.concat([read_table(path, "evaluations") for path in options.results])
    subjects = options.models or sorted(evaluations["subject"].unique())
    if len(subjects) != 2:
        raise UserError(f"{len(subjects)} models in the results; name two by --models")
    table = compare_models(
        evaluations,
        *subjects,
        read_bank(options.bank) if options.bank else None,
        options.level,
        key_values(options.metric, "--metric"),
        key_values(options.filter, "--filter"),
        options.binarize,
    )
    print(f"{subjects[0]} minus {subjects[1]}")
    for row in table.itertuples():
        text = (
            f"{row.benchmark}: {row.score_first:.1f} - {row.score_second:.1f} = "
            f"{row.difference:+.1f} points, {row.lower:+.1f} to {row.upper:+.1f} "
            f"({row.level:.0%}), {row.n_items} items; right alone {row.only_first} and "
            f"{row.only_second}, McNemar p = {row.p_mcnemar:.3g}"
        )
        if options.bank:
            text += f"; ability {row.theta_difference:+.2f} ± {row.theta_se:.2f}"
        print(text)
    if options.out:
        write_table(table, options.out, "comparisons")
