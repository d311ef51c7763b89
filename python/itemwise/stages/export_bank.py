"""Write the portable bank: the calibrated pool, the forms and both read-outs, without R."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from itemwise.bank import write_bank
from itemwise.errors import UserError
from itemwise.files import read_record
from itemwise.irt.person_fit import UNBELIEVABLE
from itemwise.readout import accuracy
from itemwise.selection import MAIN_FORM
from itemwise.tables import read_table

LISTS = ("items", "builds", "parameters", "fits", "selections", "form-abilities", "terms",
         "linear", "reconstructions", "readout-records", "methods")  # fmt: skip
"""Options that take one value a benchmark, in the order of --benchmarks."""
HELP = {
    "builds": "records of build_responses",
    "fits": "records of fit_irt",
    "form-abilities": "abilities tables by form",
    "readout-records": "records of fit_readout",
    "methods": "ability estimators",
}


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--benchmarks", nargs="+", required=True, help="names of the benchmarks")
    for name in LISTS:
        text = HELP.get(name, f"{name} tables")
        parser.add_argument(f"--{name}", nargs="+", required=True, help=f"{text}, one a benchmark")
    parser.add_argument(
        "--adaptive", nargs="+", default=[], help="cat_calibration tables of simulate_cat"
    )
    parser.add_argument("--joint-terms", help="terms of the joint read-out")
    parser.add_argument("--source", default="not stated", help="where the results came from")
    parser.add_argument("--licence", default="not stated", help="licence of items and results")
    parser.add_argument("--out", required=True, help="folder to write")


def run(options) -> None:
    """Collect and write."""
    for name in LISTS:
        given = getattr(options, name.replace("-", "_"))
        if len(given) != len(options.benchmarks):
            raise UserError(
                f"--{name}: {len(given)} given for {len(options.benchmarks)} benchmarks; "
                "give one a benchmark, in the order of --benchmarks"
            )
    records = [read_record(path) for path in options.readout_records]
    for name, record in zip(options.benchmarks, records, strict=True):
        check_terms(name, record)
    parameters = stacked(options.parameters, "parameters")
    items = stacked(options.items, "items")
    selection = stacked(options.selections, "selection")
    terms = stacked(options.terms, "terms")
    if options.joint_terms:
        terms = pd.concat([terms, read_table(options.joint_terms, "terms")], ignore_index=True)
    tables = {
        "items": items[items["item"].isin(parameters["item"])].reset_index(drop=True),
        "parameters": parameters,
        "selection": selection[~selection["form"].str.startswith("random")].reset_index(drop=True),
        "terms": terms,
        "linear_predictors": stacked(options.linear, "linear_predictors"),
        "cat_calibration": stacked(options.adaptive, "cat_calibration")
        if options.adaptive
        else None,
    }
    card = {
        "source": options.source,
        "licence": options.licence,
        "written": datetime.now(UTC).strftime("%Y-%m-%d"),
        "joint": options.joint_terms is not None,
        "benchmarks": {
            name: describe(place, options) for place, name in enumerate(options.benchmarks)
        },
    }
    write_bank(options.out, card, tables)


def stacked(paths: list[str], table: str) -> pd.DataFrame:
    """Return the tables of all benchmarks under one another."""
    return pd.concat([read_table(path, table) for path in paths], ignore_index=True)


def check_terms(benchmark: str, record: dict) -> None:
    """Refuse a read-out with a term that cannot be tabulated."""
    for form, readouts in record["forms"].items():
        for readout, about in readouts.items():
            if about.get("unsupported_terms"):
                raise UserError(
                    f"benchmark '{benchmark}', form '{form}', read-out '{readout}': term "
                    f"{about['unsupported_terms'][0]} cannot be tabulated; a bank takes linear "
                    "terms, smooths of one variable and smooth surfaces of two: change config key "
                    "'readout.formula' or 'readout.form_formula'"
                )


def describe(place: int, options) -> dict:
    """Return what the card says of one benchmark."""
    fit = read_record(options.fits[place])
    build = read_record(options.builds[place])
    abilities = read_table(options.form_abilities[place], "abilities")
    fits = abilities.loc[abilities["form"] == MAIN_FORM, "person_fit"]
    table = read_table(options.reconstructions[place], "reconstructions")
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
        "harness": build["harness"],
        "scoring": options.methods[place],
        "person_fit_low": float(fits.quantile(UNBELIEVABLE)),
        "level": float(table["level"].iloc[0]),
        "accuracy": errors,
    }
