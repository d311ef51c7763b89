"""Predict the full scores of the test subjects, once, to measure the error of all choices.

Every form, the random ones too, by its Gaussian process, and the forms of all benchmarks by the
joint one; chosen forms by smooths as well, as they are tabulated for the bank. No stage that
selects, searches or fits reads what this one writes.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from itemwise.cli.options import add, add_joint, add_lists, check_lists
from itemwise.forms import MAIN_FORM
from itemwise.readout.accuracy import accuracy
from itemwise.readout.assessment import (
    FittedForms,
    assess,
    assess_joint_process,
    assess_joint_smooths,
    assess_processes,
)
from itemwise.readout.process_tables import JOINT_SMOOTHS
from itemwise.readout.tabulated import check_record, read_joint_terms
from itemwise.responses.sets import read_test
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record, write_record

LISTS = {
    "test": "test tables",
    "parameters": "parameters tables",
    "form-abilities": "abilities tables by form, of the models in the test tables",
    "selections": "selection tables",
    "terms": "terms tables",
    "linear": "linear_predictors tables",
    "readout-records": "records of fit_readout",
    "process-terms": "terms tables of fit_process",
    "references": "reference tables",
}
"""Options that take one file a benchmark, in the order of --benchmarks."""


def add_options(parser) -> None:
    """Declare the options."""
    add_lists(parser, LISTS)
    add_joint(parser)
    parser.add_argument(
        "--form",
        default=MAIN_FORM,
        help=f"form of joint read-outs and the record (default: {MAIN_FORM})",
    )
    parser.add_argument(
        "--split-set",
        choices=("test", "validation"),
        default="test",
        help="models of --test to predict, by their column `set` (default: test)",
    )
    add(parser, "threads")
    add(parser, "out", help="reconstructions table to write")
    parser.add_argument("--out-features", help="features table to write")
    add(parser, "record")


def run(options) -> None:
    """Predict and write."""
    check_lists(options, LISTS)
    chosen_set, form = options.split_set, options.form
    features, tables, fitted = {}, [], []
    for place, name in enumerate(options.benchmarks):
        check_record(read_record(options.readout_records[place]))
        one = read_fitted(options, place)
        fitted.append(one)
        features[name] = one.features(chosen_set)
        tables.append(assess_processes(one, chosen_set, options.threads))
        tables.append(assess(one, features[name]))
    terms, left_out = read_joint_terms(options.joint_terms, options.joint_record)
    if terms is not None:
        tables.append(assess_joint_process(terms, fitted, chosen_set, form))
        if tables[-1].empty:
            left_out = f"The joint read-out has no {chosen_set} model with every benchmark."
    smooths, no_smooths = read_joint_terms(
        options.joint_smooths_terms, options.joint_smooths_record, JOINT_SMOOTHS
    )
    left_out = left_out or no_smooths
    if smooths is not None:
        n_items = sum(len(one.form(form)) for one in fitted)
        tables.append(assess_joint_smooths(smooths, features, n_items, form))
    table = pd.concat(tables, ignore_index=True)
    if options.out_features:
        write_table(pd.concat(features.values(), ignore_index=True), options.out_features,
                    "features")  # fmt: skip
    if options.record:
        write_record({**record(options, table), "joint_left_out": left_out}, options.record)
    write_table(table, options.out, "reconstructions")


def read_fitted(options, place: int) -> FittedForms:
    """Read one benchmark, with the subjects to predict."""
    name = options.benchmarks[place]
    predicted = read_test(options.test[place]).of_set(options.split_set)
    selection = read_table(options.selections[place], "selection")
    return FittedForms(
        name,
        predicted.responses,
        read_table(options.parameters[place], "parameters"),
        read_table(options.form_abilities[place], "abilities"),
        selection[selection["benchmark"] == name],
        read_table(options.terms[place], "terms"),
        read_table(options.linear[place], "linear_predictors"),
        read_table(options.process_terms[place], "terms"),
        read_table(options.references[place], "reference"),
        predicted.scores,
    )


def record(options, table: pd.DataFrame) -> dict:
    """Return when who was predicted, and how well by the main forms."""
    main = table[table["form"] == options.form]
    return {
        "set": options.split_set,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "n_subjects": int(table["subject"].nunique()),
        "benchmarks": {
            name: {readout: {"n": len(part), **accuracy(part)}
                   for readout, part in rows.groupby("readout")}
            for name, rows in main.groupby("benchmark")
        },
    }  # fmt: skip
