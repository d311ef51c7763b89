"""Check that a benchmark has items enough for the short forms that are asked for.

Runs before calibration, which may take hours, and refuses a budget that cannot be met
and items that another benchmark of the run has too, which no bank can hold.
"""

from __future__ import annotations

import pandas as pd

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.errors import UserError, listed
from itemwise.selection.selectors import check_size
from itemwise.tables.contract import read_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "benchmark")
    parser.add_argument("--items", required=True, help="items table of screen_items")
    add_section(parser, "selection", only=["budget", "threshold", "forms"])
    parser.add_argument(
        "--all-items",
        nargs="+",
        default=[],
        help="items tables of all benchmarks of the run, whose ids must differ",
    )
    add(parser, "record", required=True)


def run(options) -> None:
    """Count and compare."""
    table = read_table(options.items, "items")
    check_distinct(table, options.benchmark, options.all_items)
    n_items = int((table["keep"] == 1).sum())
    # A threshold makes forms as large as it does: one item is enough.
    budget = options.budget if options.threshold is None else None
    try:
        check_size(budget or 1, n_items, options.forms)
    except UserError as error:
        raise UserError(
            f"benchmark '{options.benchmark}' has {len(table)} items, of which {n_items} passed "
            f"the screen; {error}"
        ) from None
    write_record({"budget": budget, "forms": options.forms, "n_items": n_items}, options.record)


def check_distinct(table: pd.DataFrame, benchmark: str, others: list[str]) -> None:
    """Refuse items that another benchmark has too: a bank knows them by their ids alone."""
    for path in others:
        other = read_table(path, "items")
        other = other[other["benchmark"] != benchmark]
        both = other[other["item"].isin(table["item"])]
        if len(both):
            raise UserError(
                f"{path}: {len(both)} items of benchmark '{both['benchmark'].iloc[0]}' are called "
                f"as items of '{benchmark}': {listed(both['item'])}; make item ids unique in the "
                f"sources, such as '{benchmark}.{both['item'].iloc[0]}'"
            )
