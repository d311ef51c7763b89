"""Write the portable bank: the calibrated pool, the forms and how to score by them, without R."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from itemwise.bank.folder import write_bank
from itemwise.cli.options import add_joint, add_lists, check_lists
from itemwise.cli.section import add_section
from itemwise.forms import MAIN_FORM, RANDOM
from itemwise.irt.person_fit import UNBELIEVABLE
from itemwise.readout.accuracy import accuracy, calibration_share
from itemwise.readout.process_tables import JOINT_SMOOTHS, PROCESS, without_names
from itemwise.readout.tabulated import check_record, read_joint_terms
from itemwise.responses.item_facts import RUN_CONDITIONS
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

LISTS = {
    "items": "items tables",
    "builds": "records of build_responses",
    "parameters": "parameters tables",
    "fits": "records of fit_irt",
    "selections": "selection tables",
    "form-abilities": "abilities tables by form, of the training subjects",
    "terms": "terms tables",
    "linear": "linear_predictors tables",
    "reconstructions": "reconstructions tables of the training subjects",
    "readout-records": "records of fit_readout",
    "process-terms": "terms tables of fit_process",
    "references": "reference tables of fit_process",
    "process-reconstructions": "reconstructions tables of fit_process",
}
"""Options that take one value a benchmark, in the order of --benchmarks."""
NO_ANSWERS = (
    "The mean of all benchmarks is rebuilt from what the calibration's models answered, which this "
    "bank leaves out; config key 'joint.smooths' fits smooths that do without."
)
"""Why a bank without answers has no joint read-out."""


def add_options(parser) -> None:
    """Declare the options."""
    add_lists(parser, LISTS)
    parser.add_argument(
        "--assessment", required=True, help="reconstructions of assess_readout, for the card"
    )
    parser.add_argument(
        "--adaptive", nargs="+", default=[], help="cat_calibration tables of simulate_cat"
    )
    add_joint(parser)
    add_section(parser, "bank")
    parser.add_argument("--out", required=True, help="folder to write")


def run(options) -> None:
    """Collect and write."""
    check_lists(options, LISTS)
    for path in options.readout_records:
        check_record(read_record(path))
    parameters = stacked(options.parameters, "parameters")
    items = stacked(options.items, "items")
    terms = chosen(stacked(options.terms + options.process_terms, "terms"))
    reference = without_names(chosen(stacked(options.references, "reference")))
    joint, left_out = read_joint_terms(options.joint_terms, options.joint_record)
    if options.without_answers:
        terms, reference = terms[terms["readout"] != PROCESS], None
        joint, left_out = None, NO_ANSWERS if len(options.benchmarks) > 1 else None
    smooths, _ = read_joint_terms(
        options.joint_smooths_terms, options.joint_smooths_record, JOINT_SMOOTHS
    )
    joined = [table for table in (joint, smooths) if table is not None]
    terms = pd.concat([terms, *joined], ignore_index=True)
    tables = {
        "items": items[items["item"].isin(parameters["item"])].reset_index(drop=True),
        "parameters": parameters,
        "selection": chosen(stacked(options.selections, "selection")),
        "terms": terms,
        "linear_predictors": chosen(stacked(options.linear, "linear_predictors")),
        "reference": reference,
        "cat_calibration": stacked(options.adaptive, "cat_calibration")
        if options.adaptive
        else None,
    }
    assessed = read_table(options.assessment, "reconstructions")
    card = {
        "source": options.source,
        "licence": options.licence,
        "written": datetime.now(UTC).strftime("%Y-%m-%d"),
        "joint": bool(joined),
        "joint_left_out": None if joined else left_out,
        "benchmarks": {
            name: describe(place, options, assessed)
            for place, name in enumerate(options.benchmarks)
        },
    }
    write_bank(options.out, card, tables)


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the forms that were chosen, not drawn at random."""
    return table[~table["form"].str.startswith(RANDOM)].reset_index(drop=True)


def stacked(paths: list[str], table: str) -> pd.DataFrame:
    """Return the tables of all benchmarks under one another."""
    return pd.concat([read_table(path, table) for path in paths], ignore_index=True)


def describe(place: int, options, assessed: pd.DataFrame) -> dict:
    """Return what the card says of one benchmark."""
    fit = read_record(options.fits[place])
    build = read_record(options.builds[place])
    abilities = read_table(options.form_abilities[place], "abilities")
    fits = abilities.loc[abilities["form"] == MAIN_FORM, "person_fit"]
    trained = stacked(
        [options.reconstructions[place], options.process_reconstructions[place]], "reconstructions"
    )
    tested = assessed[assessed["benchmark"] == options.benchmarks[place]]
    table = pd.concat([trained, tested])
    table = table[table["form"] == MAIN_FORM]
    errors = {
        readout: {name: accuracy(rows) for name, rows in part.groupby("set")}
        for readout, part in table.groupby("readout")
    }
    kept = ("engine", "version", "model", "prior", "converged", "n_subjects")
    return {
        **{key: fit[key] for key in kept},
        "n_pool": fit["n_items"],
        "metric": build["metric"],
        "filter": build["filter"],
        **{name: build[name] for name in RUN_CONDITIONS},
        "scoring": abilities["method"].iloc[0],
        "person_fit_low": float(fits.quantile(UNBELIEVABLE)),
        "level": float(table["level"].iloc[0]),
        "accuracy": errors,
        "calibration_error": calibration_share(abilities),
    }
