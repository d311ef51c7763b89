"""Choose the items that carry the information.

metabench's filter: over quantile bins of ability, from low to high, the item with the
largest Fisher information is taken, once, if it reaches the threshold. Random forms
of the same size are drawn beside it, as the baseline that a selection has to beat.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.files import write_record
from itemwise.irt.model import item_information
from itemwise.irt.quadrature import LIMIT
from itemwise.selection import (
    MAIN_FORM,
    Selected,
    ability_grid,
    budget_filter,
    information_filter,
    random_forms,
)
from itemwise.stages.inputs import training_subjects
from itemwise.stages.options import add, whole_number
from itemwise.tables import read_table, write_table

TABULATED = 121
"""Abilities at which the information table states each item's information."""


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "parameters", "abilities", "splits", "benchmark")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--threshold", type=float, help="smallest information worth an item")
    size.add_argument("--budget", type=whole_number(1), help="largest number of items")
    parser.add_argument(
        "--bins", type=whole_number(1), default=250, help="quantile bins of ability (default: 250)"
    )
    parser.add_argument(
        "--grid",
        choices=("subjects", "even"),
        default="even",
        help="look at the subjects' abilities, or at evenly spaced ones (default: even)",
    )
    parser.add_argument(
        "--random-forms", type=whole_number(0), default=0, help="random forms of the same size"
    )
    add(parser, "seed", "out")
    parser.add_argument("--out-information", help="information table of the pool to write")
    add(parser, "record")


def run(options) -> None:
    """Select and write."""
    parameters = read_table(options.parameters, "parameters")
    theta = ability_grid(_training_abilities(options), options.grid, options.bins)
    information = item_information(parameters, theta).T
    if options.budget is not None:
        chosen = budget_filter(theta, information, options.bins, options.budget)
    else:
        chosen = information_filter(theta, information, options.bins, options.threshold)
    if not len(chosen.positions):
        raise UserError(
            f"benchmark '{options.benchmark}': no item reaches an information of "
            f"{chosen.threshold:g} (the largest is {information.max():.3g}); lower config key "
            "'selection.threshold'"
        )
    items = parameters["item"].to_numpy(object)
    table = selection_table(options, items, chosen)
    if options.out_information:
        table_of_all = information_table(options.benchmark, parameters)
        write_table(table_of_all, options.out_information, "information")
    if options.record:
        write_record(_record(options, chosen, len(items)), options.record)
    write_table(table, options.out, "selection")


def selection_table(options, items: np.ndarray, chosen: Selected) -> pd.DataFrame:
    """Return the main form and the random forms of its size."""
    parts = [_form(options.benchmark, MAIN_FORM, items, chosen.positions)]
    parts[0]["information"], parts[0]["theta_at_maximum"] = chosen.information, chosen.theta
    drawn = random_forms(len(items), len(chosen.positions), options.random_forms, options.seed)
    width = len(str(len(drawn)))
    for number, positions in enumerate(drawn, start=1):
        parts.append(_form(options.benchmark, f"random{number:0{width}d}", items, positions))
    return pd.concat(parts, ignore_index=True)


def information_table(benchmark: str, parameters: pd.DataFrame) -> pd.DataFrame:
    """Return the information of every item over the range of ability, long."""
    theta = np.linspace(-LIMIT, LIMIT, TABULATED)
    return pd.DataFrame(
        {
            "benchmark": benchmark,
            "item": np.repeat(parameters["item"].to_numpy(object), TABULATED),
            "theta": np.tile(theta, len(parameters)),
            "information": item_information(parameters, theta).ravel(),
        }
    )


def _form(benchmark: str, form: str, items: np.ndarray, positions: np.ndarray) -> pd.DataFrame:
    """Return the rows of one form."""
    return pd.DataFrame(
        {
            "benchmark": benchmark,
            "form": form,
            "rank": np.arange(1, len(positions) + 1),
            "item": items[positions],
            "information": np.nan,
            "theta_at_maximum": np.nan,
        }
    )


def _training_abilities(options) -> np.ndarray:
    """Return the abilities of training subjects from the whole pool."""
    table = read_table(options.abilities, "abilities")
    if options.splits is not None:
        table = table[table["subject"].isin(training_subjects(options.splits))]
    theta = table["theta"].dropna().to_numpy()
    if len(theta) < 2:
        raise UserError(
            f"{options.abilities}: {len(theta)} training subjects have an ability; at least 2 are "
            "needed: check that the splits name the same models"
        )
    return theta


def _record(options, chosen: Selected, n_pool: int) -> dict:
    """Return how the form was chosen."""
    return {
        "benchmark": options.benchmark,
        "method": "information filter",
        "budget": options.budget,
        "threshold": chosen.threshold,
        "bins": options.bins,
        "grid": options.grid,
        "n_pool": n_pool,
        "n_selected": len(chosen.positions),
        "random_forms": options.random_forms,
        "seed": options.seed,
    }
