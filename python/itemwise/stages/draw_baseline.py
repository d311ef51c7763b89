"""Rebuild full scores from thousands of random forms, the baseline of every selection.

Each draw: one penalised spline from the sub-score of random items to the full score,
fitted to training subjects; its error on test subjects.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add, whole_number
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import check_size
from itemwise.readout.random_subsets import random_form_errors
from itemwise.responses.sets import (
    HeldOut,
    Training,
    check_enough,
    read_test,
    read_training,
)
from itemwise.tables.contract import write_table
from itemwise.tables.files import read_record, write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training", help="training table, of the items to draw from")
    add(parser, "test", "benchmark")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--sizes", nargs="+", type=whole_number(1), help="items of a random form")
    size.add_argument("--size-of", help="record of select_items: as many items as it selected")
    add_section(parser, "selection", only=["draws"])
    add(parser, "seed", "out", "record")


def run(options) -> None:
    """Draw and write."""
    began = time.perf_counter()
    training = read_training(options.training)
    items = training.responses.items
    sizes = options.sizes or [read_record(options.size_of)["n_selected"]]
    for size in sizes:
        check_size(size, len(items))
    test = read_test(options.test).of_set("test").of_items(items, options.test)
    training, test = training.scored(), test.scored()
    check_subjects(options, training, test)
    matrix = np.vstack([training.responses.matrix, test.responses.matrix])
    score = np.concatenate([training.full_score, test.full_score])
    trains = np.arange(len(score)) < len(training.full_score)
    parts = []
    with tqdm(total=len(sizes) * options.draws, unit=" forms", disable=None) as bar:
        for size in sizes:
            rmse, mae = random_form_errors(
                matrix, score, trains, size, options.draws, options.seed, bar.update
            )
            draws = np.arange(1, options.draws + 1)
            parts.append(pd.DataFrame({"n_items": size, "draw": draws, "rmse": rmse, "mae": mae}))
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "benchmark", options.benchmark)
    if options.record:
        write_record(record(options, table, trains, time.perf_counter() - began), options.record)
    write_table(table, options.out, "baseline")


def check_subjects(options, training: Training, test: HeldOut) -> None:
    """Check that there are subjects enough with a full score."""
    n_training, n_test = len(training.full_score), len(test.full_score)
    check_enough(n_training, options.training, "the random baseline")
    if not n_test:
        raise UserError(
            f"{options.test}: no test model has responses and a full score; raise config key "
            "'split.test' or add full scores"
        )


def record(options, table: pd.DataFrame, trains: np.ndarray, seconds: float) -> dict:
    """Return the distribution of the errors at each size."""
    by_size = table.groupby("n_items")["rmse"]
    quantiles = {
        str(size): {f"{q} %": float(errors.quantile(q / 100)) for q in (5, 50, 95)}
        for size, errors in by_size
    }
    return {
        "benchmark": options.benchmark,
        "draws": options.draws,
        "seed": options.seed,
        "n_training": int(trains.sum()),
        "n_test": int((~trains).sum()),
        "rmse": quantiles,
        "seconds": round(seconds, 2),
    }
