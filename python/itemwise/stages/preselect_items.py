"""Preselect some of the screened items before calibration, as metabench does 350 a benchmark.

Keeps, of many random subsets, the one whose worst fold is best: each fold's full scores are
read out by one smooth of the sub-score, fitted to the other folds. Training subjects alone.
For engines that cannot calibrate a whole pool; the native one can.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.readout.random_subsets import minimax_form, preselection_errors
from itemwise.responses.sets import Training, check_enough, read_training, write_training
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training")
    parser.add_argument("--items", required=True, help="items table of screen_items")
    add(parser, "benchmark")
    add_section(parser, "preselection", changes={"size": {"required": True}})
    add(parser, "seed")
    add(parser, "out", help="items table to write: --items with further ones left out")
    parser.add_argument(
        "--out-training", required=True, help="training table to write, of the chosen items"
    )
    add(parser, "record")


def run(options) -> None:
    """Choose and write."""
    began = time.perf_counter()
    items = read_table(options.items, "items")
    training = read_training(options.training)
    pool = training.responses.items
    about = {
        "benchmark": options.benchmark,
        "size": options.size,
        "draws": options.draws,
        "seed": options.seed,
        "n_pool": len(pool),
    }
    if options.size < len(pool):
        kept, found = best_subset(options, training)
        training = training.of_items(kept, options.training)
        left_out = (items["keep"] == 1) & ~items["item"].isin(kept)
        items.loc[left_out, "keep"] = 0
        items.loc[left_out, "reason"] = f"not among the {options.size} preselected items"
        about |= found
    about |= {
        "n_kept": int((items["keep"] == 1).sum()),
        "seconds": round(time.perf_counter() - began, 2),
    }
    if options.record:
        write_record(about, options.record)
    write_training(training, options.out_training)
    write_table(items, options.out, "items")


def best_subset(options, training: Training) -> tuple[np.ndarray, dict]:
    """Return the items of the chosen subset, and the errors it was chosen by."""
    training = training.scored()
    responses = training.responses
    check_enough(
        len(responses.subjects), options.training, "preselection",
        instead="leave config key 'preselection.size' out, ",
    )  # fmt: skip
    with tqdm(total=options.draws, unit=" subsets", disable=None, file=sys.stderr) as bar:
        forms, rmse = preselection_errors(
            responses.matrix,
            training.full_score,
            training.fold,
            options.size,
            options.draws,
            options.seed,
            bar.update,
        )
    positions, draw = minimax_form(forms, rmse)
    worst = pd.Series(rmse.max(axis=1))
    return responses.items[positions], {
        "draw": draw + 1,
        "fold_rmse": rmse[draw],
        "largest_fold_rmse": {f"{q} %": worst.quantile(q / 100) for q in (0, 5, 50, 95)},
        "n_training": len(responses.subjects),
    }
