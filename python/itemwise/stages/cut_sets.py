"""Cut the responses of a benchmark in two: training subjects, and those that judge in the end.

The training table holds nothing of anybody else. Stages that choose, calibrate or fit read it;
test tables are read by `score-subjects`, to score the models in them, and by the stages that
judge: `assess-readout`, `draw-baseline` and `simulate-cat`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.cli.options import add
from itemwise.errors import UserError, listed
from itemwise.responses.inputs import answered_responses
from itemwise.responses.sets import cut, write_test, write_training
from itemwise.tables.contract import read_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "responses")
    parser.add_argument("--splits", required=True, help="splits table: set and fold of everybody")
    parser.add_argument("--full-scores", required=True, help="full_scores table, in points")
    add(parser, "benchmark")
    parser.add_argument("--out-training", required=True, help="training table to write")
    parser.add_argument("--out-test", required=True, help="test table to write")


def run(options) -> None:
    """Cut and write."""
    responses = answered_responses(options.responses)
    splits = read_table(options.splits, "splits")
    scores = benchmark_scores(options.full_scores, options.benchmark)
    for subjects, source in (
        (responses.subjects, options.responses),
        (scores.index.to_numpy(object), options.full_scores),
    ):
        check_known(subjects, source, splits, options.splits)
    training, test = cut(responses, splits, scores, options.splits)
    write_training(training, options.out_training)
    write_test(test, options.out_test)


def benchmark_scores(path: str, benchmark: str) -> pd.Series:
    """Return the full scores of a benchmark in points, by subject.

    Raises
    ------
    UserError
        The table holds none of the benchmark.
    """
    table = read_table(path, "full_scores")
    if benchmark not in set(table["benchmark"]):
        raise UserError(
            f"{path}: no full scores of benchmark '{benchmark}'; it holds "
            f"{listed(sorted(set(table['benchmark'])))}: give the full scores of the same run"
        )
    return table[table["benchmark"] == benchmark].set_index("subject")["full_score"]


def check_known(subjects: np.ndarray, source: str, splits: pd.DataFrame, path: str) -> None:
    """Check that a splits table has a row for every subject of another table.

    Raises
    ------
    UserError
        Some are missing: leaving them out would change every result.
    """
    absent = subjects[~np.isin(subjects.astype(str), splits["subject"].to_numpy(str))]
    if absent.size:
        raise UserError(
            f"{path}: {absent.size} of {subjects.size} subjects of {source} have no row: "
            f"{listed(absent)}; give the splits of the same subjects, names written alike"
        )
