"""Fit the Gaussian process that rebuilds each full score from the answers to all benchmarks' forms.

And the mean of all full scores. The kernel weighs the answers to each benchmark by a decay of its
own, and the mean is a sum of splines of the scores that each form implies. It predicts from the
training models that every benchmark has; where these are too few, the tables are without rows, and
the record says why.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add, add_lists, check_lists, check_pair
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM
from itemwise.readout.answered import Answered, Calibrated, Chosen, fold_forms, read_chosen
from itemwise.readout.implied import beside
from itemwise.readout.process import fit_process, weighted
from itemwise.readout.process_tables import (
    JOINT,
    cross_fitted_rows,
    described,
    process_terms,
    shares,
)
from itemwise.responses.sets import FEWEST_SUBJECTS
from itemwise.tables.contract import write_no_rows, write_table
from itemwise.tables.files import write_record

LISTS = {
    "training": "training tables",
    "parameters": "parameters tables",
    "abilities": "abilities tables by form, of the models in the training tables",
    "selections": "selection tables",
    "fold-selections": "selection tables of the forms as they are chosen without each fold",
    "fold-abilities": "abilities tables by these forms",
    "items": "items tables, after screening",
}
"""Options that take one file a benchmark, in the order of --benchmarks."""
OPTIONAL = ("fold-selections", "fold-abilities", "items")


def add_options(parser) -> None:
    """Declare the options."""
    add_lists(parser, LISTS, optional=OPTIONAL)
    parser.add_argument(
        "--form", default=MAIN_FORM, help=f"form to read out (default: {MAIN_FORM})"
    )
    add_section(parser, "readout", only=["level"])
    add(parser, "seed", "out", "record")
    parser.add_argument("--out-terms", required=True, help="terms table to write")


def run(options) -> None:
    """Fit every target, and write."""
    check_lists(options, LISTS)
    if len(options.benchmarks) < 2:
        raise UserError("--benchmarks: a joint process needs two or more; fit-process reads one")
    check_pair(options, "fold-selections", "fold-abilities")
    forms = read_forms(options)
    parts = [form.answered() for form in forms]
    shared = reduce(np.intersect1d, [part.subjects for part in parts])
    head = {"benchmarks": options.benchmarks, "form": options.form, "level": options.level,
            "seed": options.seed}  # fmt: skip
    if len(shared) < FEWEST_SUBJECTS:
        leave_out(options, head, left_out(options.benchmarks, parts, len(shared)))
        return
    n_items = sum(part.answers.filled[0].shape[1] for part in parts)
    parts = [part.of(shared) for part in parts]
    answers = beside([part.answers for part in parts])
    scores = np.stack([part.models.full_score for part in parts])
    terms, tables, records = [], [], {}
    implied = [form.calibrated.implied for form in forms]
    again = fold_forms(forms, shared)
    for target, share in tqdm(shares(options.benchmarks).items(), unit=" targets", disable=None):
        process, crossed = fit_process(
            answers, share @ scores, parts[0].models.fold, options.level, weighted(implied, share),
            seed=options.seed, fold_forms=again,
        )  # fmt: skip
        known = {"benchmark": target, "form": options.form, "readout": JOINT,
                 "n_items": n_items, "subject": shared}  # fmt: skip
        tables.append(cross_fitted_rows(process, crossed, known))
        records[target] = described(process, tables[-1], crossed)
        terms.append(process_terms(process, target, options.form, options.benchmarks))
    write_table(pd.concat(terms, ignore_index=True), options.out_terms, "terms")
    if options.record:
        write_record({**head, "targets": records}, options.record)
    write_table(pd.concat(tables, ignore_index=True), options.out, "reconstructions")


def read_forms(options) -> list[Chosen]:
    """Return the form of each benchmark."""
    forms = []
    for place, name in enumerate(options.benchmarks):
        given = {
            option: [tables[place] for tables in (getattr(options, option), more) if tables]
            for option, more in (
                ("selections", options.fold_selections),
                ("abilities", options.fold_abilities),
            )
        }
        items = options.items[place] if options.items else None
        calibrated = Calibrated.read(options.training[place], options.parameters[place], items)
        found = read_chosen(calibrated, name, given["selections"], given["abilities"])
        if options.form not in found:
            raise UserError(
                f"{options.selections[place]}: no form '{options.form}' of benchmark '{name}'; "
                "choose another --form"
            )
        forms.append(found[options.form])
    return forms


def leave_out(options, head: dict, reason: str) -> None:
    """Write tables without rows, and why they are."""
    write_no_rows(options.out_terms, "terms")
    write_no_rows(options.out, "reconstructions")
    if options.record:
        write_record({**head, "targets": {}, "left_out": reason}, options.record)


def left_out(benchmarks: list[str], parts: list[Answered], n_shared: int) -> str:
    """Say why nothing is read out jointly."""
    each = ", ".join(
        f"{name} {len(part.subjects)}" for name, part in zip(benchmarks, parts, strict=True)
    )
    return (
        f"The joint read-out is left out: {n_shared} training models have every benchmark "
        f"({each}), and it needs at least {FEWEST_SUBJECTS}."
    )
