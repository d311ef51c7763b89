"""Cut the responses of each benchmark in two: training subjects, and those that judge in the end.

The training table holds nothing of anybody else. Stages that choose, calibrate or fit read it;
test tables are read by `score-subjects`, to score the models in them, and by the stages that
judge: `assess-readout`, `draw-baseline` and `simulate-cat`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.cli.options import add_lists, check_lists
from itemwise.errors import UserError, listed
from itemwise.responses.inputs import answered_responses
from itemwise.responses.sets import cut, write_test, write_training
from itemwise.tables.contract import read_table

LISTS = {
    "responses": "responses tables",
    "full-scores": "full_scores tables, in points",
    "out-training": "training tables to write",
    "out-test": "test tables to write",
}
"""Options that take one file a benchmark, in the order of --benchmarks."""


def add_options(parser) -> None:
    """Declare the options."""
    add_lists(parser, LISTS)
    parser.add_argument("--splits", required=True, help="splits table: set and fold of everybody")


def run(options) -> None:
    """Cut and write, one benchmark after the other."""
    check_lists(options, LISTS)
    splits = read_table(options.splits, "splits")
    known = pd.Series(dtype=object)
    for name, *files in zip(
        options.benchmarks, options.responses, options.full_scores, options.out_training,
        options.out_test, strict=True,
    ):  # fmt: skip
        source, given, out_training, out_test = files
        responses = answered_responses(source)
        check_distinct(responses.items, name, source, known)
        known = pd.concat([known, pd.Series(name, index=responses.items)])
        scores = benchmark_scores(given, name)
        check_known(responses.subjects, source, splits, options.splits)
        check_known(scores.index.to_numpy(object), given, splits, options.splits)
        training, test = cut(responses, splits, scores, options.splits)
        write_training(training, out_training)
        write_test(test, out_test)


def check_distinct(items: np.ndarray, benchmark: str, source: str, known: pd.Series) -> None:
    """Refuse items that another benchmark has too: a bank knows them by their ids alone.

    `known` holds the benchmark of each item so far.
    """
    both = items[np.isin(items.astype(str), known.index.to_numpy(str))]
    if both.size:
        raise UserError(
            f"{source}: {both.size} items of benchmark '{benchmark}' are called as items of "
            f"'{known[both[0]]}': {listed(both)}; make item ids unique in the sources, such as "
            f"'{benchmark}.{both[0]}'"
        )


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
