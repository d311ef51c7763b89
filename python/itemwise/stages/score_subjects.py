"""Estimate abilities with fixed item parameters.

With --selection, once for each form, from that form's items alone: parameters stay
those of the whole pool, so that all abilities lie on one scale. With --training and
--fold-parameters, subjects are scored by items that were calibrated without their fold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.cli.options import add, check_pair
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import RANDOM, WHOLE_POOL
from itemwise.irt.calibration_error import calibration_error
from itemwise.irt.cross_calibration import by_fold
from itemwise.irt.person_fit import standardized_log_likelihood
from itemwise.irt.scoring import ENGINES, METHODS, score
from itemwise.responses.inputs import answered_responses
from itemwise.responses.matrix import Responses
from itemwise.responses.sets import read_training
from itemwise.tables.contract import read_any_rows, read_table, write_no_rows, write_table


def add_options(parser) -> None:
    """Declare the options."""
    source = parser.add_mutually_exclusive_group(required=True)
    add(source, "responses", required=False)
    add(source, "training", required=False, help="training table, whose folds are those of "
        "--fold-parameters")  # fmt: skip
    add(parser, "parameters")
    parser.add_argument("--fold-parameters", help="fold_parameters table of fit-folds")
    parser.add_argument("--selection", help="selection table: score each form by itself")
    parser.add_argument("--fold-selection", help="selection table of the forms as they are chosen "
                        "without each fold: score them too")  # fmt: skip
    parser.add_argument("--out-folds", help="abilities table by these forms to write")
    parser.add_argument(
        "--pool", action="store_true", help="with --selection, by the whole pool too"
    )
    add_section(parser, "scoring", changes={"method": {"choices": METHODS}})  # and ML, by hand
    parser.add_argument(
        "--engine", choices=ENGINES, default="native", help="who scores (default: native)"
    )
    add(parser, "quadrature", "threads", "out")


def run(options) -> None:
    """Score and write."""
    check_pair(options, "fold-selection", "out-folds")
    if bool(options.fold_parameters) != bool(options.training):
        raise UserError(
            "--training and --fold-parameters: give both, or --responses and neither of them"
        )
    parameters = read_table(options.parameters, "parameters")
    parameters = parameters.set_index("item", drop=False)
    parts = None
    if options.training:
        training = read_training(options.training)
        responses = training.responses
        fold_parameters = read_table(options.fold_parameters, "fold_parameters")
        parts = list(by_fold(responses, training.folds, fold_parameters, options.fold_parameters))
    else:
        responses = answered_responses(options.responses)

    def abilities(items: list[str], form: str, bare: bool = False) -> pd.DataFrame | None:
        chosen = responses.select_items(items, options.training or options.responses)
        # A subject may have answered nothing of a form; it has no ability there.
        answered = chosen.take(subjects=chosen.administered.any(axis=1))
        if not len(answered.subjects):
            return None
        # Of random forms, which only show what chance reaches, nobody asks for more than ability.
        bare = bare or form.startswith(RANDOM)
        if parts is None:
            table = scored(answered, parameters.loc[items], options, fit=not bare)
        else:
            table = cross_scored(parts, answered, items, options, fit=not bare)
        if not bare:
            by_all = table if parts is None else scored(answered, parameters.loc[items], options)
            error = calibration_error(answered, parameters.loc[items], by_all)
            if error is not None:
                at = positions(answered, table)
                table["se_calibration"] = error[at]
        table.insert(1, "form", form)
        return table

    forms = {}
    if options.pool or options.selection is None:
        forms[WHOLE_POOL] = parameters["item"].tolist()
    if options.selection is not None:
        forms |= selected(options.selection, parameters, options)
    tables = [abilities(items, form) for form, items in forms.items()]
    if all(table is None for table in tables):
        raise UserError(
            f"{options.training or options.responses}: no subject answered any of the items; give "
            "responses to the items of --parameters"
        )
    if options.fold_selection is not None:
        chosen = selected(options.fold_selection, parameters, options)
        again = [abilities(items, form, bare=True) for form, items in chosen.items()]
        if again:
            write_table(pd.concat(again, ignore_index=True), options.out_folds, "abilities")
        else:
            write_no_rows(options.out_folds, "abilities")
    write_table(pd.concat(tables, ignore_index=True), options.out, "abilities")


def selected(path: str, parameters: pd.DataFrame, options) -> dict[str, list[str]]:
    """Return the items of each form of a selection table, none where it has no rows."""
    selection = read_any_rows(path, "selection")
    unknown = set(selection["item"]) - set(parameters["item"])
    if unknown:
        raise UserError(
            f"{path}: column 'item': '{min(unknown)}' has no parameters in "
            f"{options.parameters}; select from the calibrated pool"
        )
    return {form: part["item"].tolist() for form, part in selection.groupby("form")}


def scored(
    responses: Responses, parameters: pd.DataFrame, options, fit: bool = False
) -> pd.DataFrame:
    """Return abilities, with person fit where wanted."""
    table = score(
        responses, parameters, options.method, options.quadrature, options.threads, options.engine
    )
    if not fit:
        return table
    found = standardized_log_likelihood(responses, parameters, table["theta"].fillna(0).to_numpy())
    return table.assign(person_fit=pd.Series(found).where(table["theta"].notna()))


def cross_scored(
    parts: list[tuple[Responses, pd.DataFrame]],
    responses: Responses,
    items: list[str],
    options,
    fit: bool,
) -> pd.DataFrame:
    """Return abilities by the other folds' items, in the order of the responses.

    Whoever answered only items that all other folds answered alike has no ability.
    """
    tables = []
    for part, parameters in parts:
        known = parameters[parameters["item"].isin(items)]
        part = part.select_items(known["item"].tolist(), options.fold_parameters)
        part = part.take(subjects=part.administered.any(axis=1))
        if len(part.subjects):
            tables.append(scored(part, known, options, fit))
    table = pd.concat(tables, ignore_index=True)
    return table.iloc[np.argsort(positions(responses, table))].reset_index(drop=True)


def positions(responses: Responses, table: pd.DataFrame) -> np.ndarray:
    """Return where the subjects of a table are among those of the responses."""
    return pd.Index(responses.subjects, dtype=object).get_indexer(table["subject"])
