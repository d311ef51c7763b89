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
from itemwise.readout.random_subsets import random_form_errors
from itemwise.responses.inputs import (
    FEWEST_SUBJECTS,
    benchmark_scores,
    read_splits,
    screened_responses,
)
from itemwise.responses.matrix import Responses
from itemwise.selection.selectors import check_size
from itemwise.tables.contract import write_table
from itemwise.tables.files import read_record, write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "responses", "items")
    add(parser, "splits", required=True, help="splits table: who trains, who tests")
    parser.add_argument("--full-scores", required=True, help="full_scores table, in points")
    add(parser, "benchmark")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--sizes", nargs="+", type=whole_number(1), help="items of a random form")
    size.add_argument("--size-of", help="record of select_items: as many items as it selected")
    add_section(parser, "selection", only=["draws"])
    add(parser, "seed", "out", "record")


def run(options) -> None:
    """Draw and write."""
    began = time.perf_counter()
    responses = screened_responses(options.responses, options.items)
    responses, score, training = joined(options, responses)
    sizes = options.sizes or [read_record(options.size_of)["n_selected"]]
    for size in sizes:
        check_size(size, len(responses.items))
    parts = []
    with tqdm(total=len(sizes) * options.draws, unit=" forms", disable=None) as bar:
        for size in sizes:
            rmse, mae = random_form_errors(
                responses.matrix, score, training, size, options.draws, options.seed, bar.update
            )
            draws = np.arange(1, options.draws + 1)
            parts.append(pd.DataFrame({"n_items": size, "draw": draws, "rmse": rmse, "mae": mae}))
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "benchmark", options.benchmark)
    if options.record:
        write_record(record(options, table, training, time.perf_counter() - began), options.record)
    write_table(table, options.out, "baseline")


def joined(options, responses: Responses) -> tuple[Responses, np.ndarray, np.ndarray]:
    """Return the subjects with a full score and a set, their scores, and who trains."""
    scores = benchmark_scores(options.full_scores, options.benchmark)
    splits = read_splits(options.splits, responses.subjects, "the responses")
    sets = splits.set_index("subject")["set"]
    sets = sets.reindex(responses.subjects)
    kept = sets.isin(["train", "test"]).to_numpy()
    kept = kept & np.isin(responses.subjects, scores.index.to_numpy(object))
    responses, training = responses.take(subjects=kept), (sets == "train").to_numpy()[kept]
    if training.sum() < FEWEST_SUBJECTS or training.all():
        raise UserError(
            f"{options.splits}: {training.sum()} training and {(~training).sum()} test subjects "
            f"have responses and a full score; at least {FEWEST_SUBJECTS} and 1 are needed: "
            "change config key 'split.test', or add subjects"
        )
    return responses, scores.loc[responses.subjects].to_numpy(), training


def record(options, table: pd.DataFrame, training: np.ndarray, seconds: float) -> dict:
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
        "n_training": int(training.sum()),
        "n_test": int((~training).sum()),
        "rmse": quantiles,
        "seconds": round(seconds, 2),
    }
