"""Choose the items of a short form, and random forms of its size as the baseline.

--method reconstruction   forward selection: whose linear predictor rebuilds the full score best
         test-information  smallest mean posterior variance over the training abilities
         anchors           nearest to the centres of k-means clusters of item parameters
         information       metabench's filter: over quantile bins of ability, from low to
                           high, the item with the largest Fisher information, once
         random            at random
Only training subjects are looked at.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import Selected, random_forms
from itemwise.responses.inputs import sub_domains
from itemwise.selection.balance import assign_parallel_forms
from itemwise.selection.choose import (
    choose,
    fold_table,
    information_table,
    selection_table,
)
from itemwise.tables.contract import read_table, write_no_rows, write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "parameters")
    add(parser, "abilities", help="parquet table of abilities of the training subjects")
    add(parser, "benchmark")
    add(
        parser,
        "training",
        required=False,
        help="training table, for --method reconstruction, --penalty, and errors by size",
    )
    parser.add_argument("--items", help="items table, for --balance")
    add_section(parser, "selection", leave_out=["draws"])
    add(parser, "seed", "out")
    parser.add_argument("--out-information", help="information table of the pool to write")
    parser.add_argument("--out-folds", help="selection table to write of the forms as they are "
                        "chosen without each fold; without rows where the method looks at no "
                        "full score")  # fmt: skip
    add(parser, "record")


def run(options) -> None:
    """Select and write."""
    check_options(options)
    if options.threshold is not None:
        options.budget = None
    whole_pool = read_table(options.parameters, "parameters")
    pool = subsample(whole_pool, options.subsample, options.seed)
    chosen, evaluation, by_fold = choose(options, pool)
    items = pool["item"].to_numpy(object)
    domains = sub_domains(options.balance, options.items, items)
    forms = assign_parallel_forms(
        np.arange(len(chosen.positions)), domains[chosen.positions], options.forms
    )
    if options.out_information:
        write_table(
            information_table(options.benchmark, whole_pool), options.out_information, "information"
        )
    if options.out_folds:
        if by_fold:
            table = fold_table(options, items, domains, by_fold)
            write_table(table, options.out_folds, "selection")
        else:
            write_no_rows(options.out_folds, "selection")
    if options.record:
        write_record(
            {**record(options, chosen, len(items), len(forms[0])), **evaluation},
            options.record,
        )
    write_table(selection_table(options, items, domains, chosen, forms), options.out, "selection")


def check_options(options) -> None:
    """Refuse options that the method does not know, rather than pass over them."""
    if options.threshold is not None and options.method != "information":
        raise UserError(
            f"--threshold means nothing to --method {options.method}; leave it out, or choose "
            "--method information (config key 'selection.method')"
        )
    if options.penalty is not None and options.threshold is not None:
        raise UserError(
            "--penalty chooses a size up to --budget, and --threshold another; leave one of them "
            "out (config keys 'selection.penalty' and 'selection.threshold')"
        )
    if options.balance is not None and options.method == "information":
        raise UserError(
            "--balance: the information filter knows no sub-domains; choose another "
            "config key 'selection.method'"
        )
    if options.balance is not None and options.items is None:
        raise UserError("--balance needs --items, the table that holds the column")
    rebuilds = options.method == "reconstruction" or options.penalty is not None
    if rebuilds and options.training is None:
        what = "--penalty" if options.penalty is not None else "--method reconstruction"
        raise UserError(f"{what} needs --training, the table with the full scores")


def subsample(pool: pd.DataFrame, size: int | None, seed: int) -> pd.DataFrame:
    """Return the pool, or `size` of its items drawn at random, in the pool's order."""
    if size is None or size >= len(pool):
        return pool
    drawn = random_forms(len(pool), size, 1, seed)[0]
    return pool.iloc[np.sort(drawn)].reset_index(drop=True)


def record(options, chosen: Selected, n_pool: int, n_selected: int) -> dict:
    """Return how the forms were chosen."""
    kept = (
        "benchmark",
        "method",
        "budget",
        "penalty",
        "forms",
        "balance",
        "subsample",
        "bins",
        "grid",
    )
    return {
        **{name: getattr(options, name) for name in kept},
        "threshold": chosen.threshold,
        "n_pool": n_pool,
        "n_selected": n_selected,
        "random_forms": options.random_forms,
        "seed": options.seed,
    }
