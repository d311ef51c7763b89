"""Compare two models on the items that both answered.

Difference in points with its interval, McNemar's exact test and, with a bank, the
difference of the abilities. A model that is in several tables was run several times: its
answers are averaged within the item. Items that share a passage, document or subject are
not independent draws: --cluster names the column that groups them.
"""

from __future__ import annotations

import pandas as pd

from itemwise.bank.clusters import with_clusters
from itemwise.bank.comparison import compare_models
from itemwise.bank.folder import read_bank
from itemwise.cli.options import add, add_metric_options, key_values
from itemwise.cli.terminal import warn
from itemwise.errors import UserError, listed
from itemwise.tables.contract import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--results",
        nargs="+",
        required=True,
        help="evaluations tables that hold both "
        "models; those that hold the same model are runs of it",
    )
    parser.add_argument(
        "--models",
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="names of the models (default: the two that there are)",
    )
    add(parser, "bank", required=False)
    parser.add_argument("--level", type=float, default=0.95, help="of intervals (default: 0.95)")
    parser.add_argument(
        "--cluster",
        metavar="COLUMN",
        help="column of the items that groups those that belong together",
    )
    parser.add_argument(
        "--items",
        help="items table with that column, parquet or CSV (default: the results "
        "themselves, else the bank's items)",
    )
    add_metric_options(parser)
    add(parser, "out", required=False, help="comparisons table to write")


def run(options) -> None:
    """Compare, print and write."""
    if not 0 < options.level < 1:
        raise UserError(f"--level {options.level:g}: must lie between 0 and 1")
    if options.items and not options.cluster:
        raise UserError("--items: is read for its clusters alone; name the column by --cluster")
    bank = read_bank(options.bank) if options.bank else None
    evaluations = pd.concat(
        [read_table(path, "evaluations").assign(run=n) for n, path in enumerate(options.results)],
        ignore_index=True,
    )
    first, second = the_two(options.models, evaluations)
    if options.cluster:
        evaluations = with_clusters(evaluations, options.cluster, options.items, bank)
    compared = compare_models(
        evaluations,
        first,
        second,
        bank,
        options.level,
        key_values(options.metric, "--metric"),
        key_values(options.filter, "--filter"),
        options.binarize,
        options.cluster,
    )
    print(f"{first} minus {second}")
    for row in compared.table.to_dict("records"):
        print(line(row))
    warn(compared.warnings)
    if options.out:
        write_table(compared.table, options.out, "comparisons")


def the_two(models: list[str] | None, evaluations: pd.DataFrame) -> list[str]:
    """Return the models to compare: those named, else the two that there are."""
    subjects = models or sorted(evaluations["subject"].unique())
    if len(subjects) != 2:
        raise UserError(
            f"{len(subjects)} models in the results ({listed(subjects)}); name two by --models"
        )
    if subjects[0] == subjects[1]:
        raise UserError(f"--models {subjects[0]} {subjects[1]}: is one model; name two")
    return subjects


def line(row: dict) -> str:
    """Return what is printed of a benchmark."""
    clusters = f" in {row['n_clusters']} clusters of {row['cluster']}" if row["cluster"] else ""
    clusters = clusters.replace(" 1 clusters ", " 1 cluster ")
    text = (
        f"{row['benchmark']}, {row['metric']}: {row['score_first']:.1f} - "
        f"{row['score_second']:.1f} = {row['difference']:+.1f} points, {row['lower']:+.1f} to "
        f"{row['upper']:+.1f} ({row['level']:.0%}), {row['n_items']} items{clusters}; "
    )
    if pd.notna(row["p_mcnemar"]):
        text += (
            f"right alone {row['only_first']} and {row['only_second']}, McNemar p = "
            f"{row['p_mcnemar']:.3g}"
        )
    else:
        text += f"p = {row['p_value']:.3g}" if pd.notna(row["p_value"]) else "no p value"
    if pd.notna(row["standard_error_runs"]):
        text += f"; standard error {row['standard_error']:.2f}, by drawing answers alone "
        text += f"{row['standard_error_runs']:.2f}"
    if pd.notna(row.get("theta_difference")):
        text += f"; ability {row['theta_difference']:+.2f} ± {row['theta_se']:.2f}"
    return text
