"""Numbers that others published, beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from itemwise.forms import MAIN_FORM
from itemwise.readout.accuracy import accuracy
from itemwise.readout.features import OVERALL
from itemwise.report.content import Benchmark, read_overall

COMPARED = ("n_items", "n_test", "rmse", "mae", "spearman", "random_rmse")


def published_rows(run: Path, benchmarks: list[Benchmark], config: Mapping) -> list[dict]:
    """Return published numbers and ours, one row each, and the difference in RMSE.

    Parameters
    ----------
    run : Path
        `results/<run>`.
    benchmarks : list of Benchmark
    config : mapping
        The resolved configuration; keys `published` of the benchmarks, and of all together.

    Returns
    -------
    list of dict
        `benchmark`, `readout`, `source`, `differs`; `theirs` and `ours` with the keys
        `COMPARED`, None where unknown; `gain`, theirs less ours.
    """
    by_name = {benchmark.name: benchmark for benchmark in benchmarks}
    rows = []
    of_each = {name: each["published"] for name, each in config["benchmarks"].items()}
    of_each[OVERALL] = config["published"]
    for name, row in ((name, row) for name, given in of_each.items() for row in given):
        benchmark = by_name.get(name)
        ours = dict.fromkeys(COMPARED) | _ours(run, benchmark, row["readout"])
        theirs = {key: row.get(key) for key in COMPARED}
        known = None not in (ours["rmse"], theirs["rmse"])
        rows.append(
            {
                "benchmark": name, "readout": row["readout"],
                "source": row["source"], "differs": row.get("differs"),
                "ours": ours, "theirs": theirs,
                "gain": theirs["rmse"] - ours["rmse"] if known else None,
            }
        )  # fmt: skip
    return rows


def _ours(run: Path, benchmark: Benchmark | None, readout: str) -> dict:
    """Return what this run reached with a read-out; nothing where it has none."""
    test = benchmark.tested(MAIN_FORM, readout) if benchmark else read_overall(run, readout)
    if test.empty:
        return {}
    found = accuracy(test)
    return {
        "n_items": int(test["n_items"].iloc[0]),
        "n_test": len(test),
        "rmse": found["rmse"],
        "mae": found["mae"],
        "spearman": _rank_correlation(test),
        "random_rmse": float(benchmark.baseline["rmse"].median()) if benchmark else None,
    }


def _rank_correlation(test: pd.DataFrame) -> float:
    """Return Spearman's correlation of predicted and true full scores."""
    return float(test["predicted"].corr(test["full_score"], method="spearman"))
