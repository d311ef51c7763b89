"""Fit the Gaussian process that rebuilds full scores from the answers to each form.

Random forms of a size share the kernel of the first of them: they differ by chance alone.
"""

from __future__ import annotations

import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add, check_pair
from itemwise.cli.section import add_section
from itemwise.forms import RANDOM
from itemwise.readout.answered import Calibrated, fold_forms, read_chosen
from itemwise.readout.process import fit_process
from itemwise.readout.process_tables import (
    PROCESS,
    cross_fitted_rows,
    described,
    process_terms,
    reference_rows,
)
from itemwise.responses.sets import check_enough
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training", "parameters", "benchmark")
    parser.add_argument("--abilities", required=True, help="abilities table by form, of the models "
                        "in --training, each by items that others calibrated")  # fmt: skip
    parser.add_argument("--selection", required=True, help="selection table")
    parser.add_argument("--fold-selection", help="selection table of the forms as they are chosen "
                        "without each fold, for honest errors of a form whose choice looked at "
                        "full scores")  # fmt: skip
    parser.add_argument("--fold-abilities", help="abilities table by these forms")
    parser.add_argument("--items", help="items table, after screening: how often the items that "
                        "are not calibrated are answered right")  # fmt: skip
    add_section(parser, "readout", only=["level"])
    add(parser, "seed", "out", "record")
    parser.add_argument("--out-terms", required=True, help="terms table to write")
    parser.add_argument("--out-reference", required=True, help="reference table to write")


def run(options) -> None:
    """Fit every form, and write."""
    check_pair(options, "fold-selection", "fold-abilities")
    calibrated = Calibrated.read(options.training, options.parameters, options.items)
    selections, abilities = [options.selection], [options.abilities]
    if options.fold_selection:
        selections.append(options.fold_selection)
        abilities.append(options.fold_abilities)
    forms = read_chosen(calibrated, options.benchmark, selections, abilities)
    terms, reference, tables, records, drawn = [], [], [], {}, {}
    for form, chosen in tqdm(forms.items(), unit=" forms", disable=None):
        answered = chosen.answered()
        models, n_items = answered.models, answered.answers.filled[0].shape[1]
        check_number(len(models.fold), form, options)
        random = form.startswith(RANDOM)
        process, crossed = fit_process(
            answered.answers, models.full_score, models.fold, options.level, calibrated.implied,
            drawn.get(n_items) if random else None, options.seed,
            {} if random else fold_forms([chosen], answered.subjects),
        )  # fmt: skip
        if random:
            drawn[n_items] = process
        else:
            known = {"benchmark": options.benchmark, "form": form, "readout": PROCESS,
                     "n_items": n_items, "subject": answered.subjects}  # fmt: skip
            tables.append(cross_fitted_rows(process, crossed, known))
            records[form] = {PROCESS: described(process, tables[-1], crossed)}
        terms.append(process_terms(process, options.benchmark, form))
        reference.append(
            reference_rows(models.responses.matrix, answered.theta, models.full_score,
                           options.benchmark, form, answered.subjects)
        )  # fmt: skip
    write_table(pd.concat(terms, ignore_index=True), options.out_terms, "terms")
    write_table(pd.concat(reference, ignore_index=True), options.out_reference, "reference")
    if options.record:
        write_record(
            {"benchmark": options.benchmark, "level": options.level, "seed": options.seed,
             "forms": records},
            options.record,
        )  # fmt: skip
    write_table(pd.concat(tables, ignore_index=True), options.out, "reconstructions")


def check_number(n: int, form: str, options) -> None:
    """Refuse too few models to relate scores to answers."""
    have = f"a full score and an ability by form '{form}'"
    check_enough(n, options.training, "a read-out", have)
