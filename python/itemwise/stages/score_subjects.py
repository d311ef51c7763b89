"""Estimate abilities with fixed item parameters.

With --selection, once for each form, from that form's items alone: parameters stay
those of the whole pool, so that all abilities lie on one scale.
"""

from __future__ import annotations

import pandas as pd

from itemwise.errors import UserError
from itemwise.irt.calibration_error import calibration_error
from itemwise.irt.person_fit import standardized_log_likelihood
from itemwise.irt.scoring import ENGINES, METHODS, score
from itemwise.stages.inputs import answered_responses
from itemwise.stages.options import add
from itemwise.tables import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "responses", "parameters")
    parser.add_argument("--selection", help="selection table: score each form by itself")
    parser.add_argument("--method", choices=METHODS, default="EAP", help="default: EAP")
    parser.add_argument("--engine", choices=ENGINES, default="native", help="default: native")
    add(parser, "quadrature", "threads", "out")


def run(options) -> None:
    """Score and write."""
    responses = answered_responses(options.responses)
    parameters = read_table(options.parameters, "parameters")
    parameters = parameters.set_index("item", drop=False)

    def abilities(items, form: str) -> pd.DataFrame:
        chosen = responses.select_items(items, options.responses)
        # A subject may have answered nothing of a form; it has no ability there.
        answered = chosen.take(subjects=chosen.administered.any(axis=1))
        table = score(
            answered,
            parameters.loc[items],
            options.method,
            options.quadrature,
            options.threads,
            options.engine,
        )
        table.insert(1, "form", form)
        error = calibration_error(answered, parameters.loc[items], table)
        if error is not None:
            table["se_calibration"] = error
        table["person_fit"] = standardized_log_likelihood(
            answered, parameters.loc[items], table["theta"].fillna(0).to_numpy()
        )
        table.loc[table["theta"].isna(), "person_fit"] = float("nan")
        return table

    if options.selection is None:
        tables = [abilities(parameters["item"].tolist(), "pool")]
    else:
        selection = read_table(options.selection, "selection")
        unknown = set(selection["item"]) - set(parameters["item"])
        if unknown:
            raise UserError(
                f"{options.selection}: column 'item': '{min(unknown)}' has no parameters in "
                f"{options.parameters}; select from the calibrated pool"
            )
        tables = [
            abilities(part["item"].tolist(), form) for form, part in selection.groupby("form")
        ]
    write_table(pd.concat(tables, ignore_index=True), options.out, "abilities")
