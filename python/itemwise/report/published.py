"""Numbers that others published, beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.forms import MAIN_FORM
from itemwise.readout.accuracy import accuracy
from itemwise.report.content import Benchmark, read_joint

GRAND = "grand"
"""Name of the mean of all benchmarks."""
READOUTS = ("form", "ability", "joint")
COMPARED = ("n_items", "n_test", "rmse", "mae", "spearman", "random_rmse")


def parse_published(text: str, benchmarks: list[str]) -> list[dict]:
    """Read published numbers from JSON: a list of mappings, as config key `published`.

    Each names a `benchmark` (or `grand`), the `readout` of ours that it is set beside and
    its `source`, and gives some of `COMPARED`.

    Raises
    ------
    UserError
        Not JSON, not of that form, or of no benchmark of the run.
    """
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--published: not JSON ({error}); give a list of mappings") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError("--published: not a list of mappings; write [{...}, ...]")
    for row in rows:
        for key, known in (("benchmark", [*benchmarks, GRAND]), ("readout", READOUTS)):
            if row.get(key) not in known:
                raise UserError(
                    f"--published: {key} {row.get(key)!r} is not one of {listed(known)} (config "
                    "key 'published')"
                )
        if not row.get("source"):
            raise UserError(
                f"--published: numbers of {row['benchmark']} lack 'source', where they were "
                "published (config key 'published')"
            )
    return rows


def published_rows(run: Path, benchmarks: list[Benchmark], published: list[dict]) -> list[dict]:
    """Return published numbers and ours, one row each, and the difference in RMSE.

    Parameters
    ----------
    run : Path
        `results/<run>`.
    benchmarks : list of Benchmark
    published : list of dict
        From `parse_published`.

    Returns
    -------
    list of dict
        `benchmark`, `readout`, `source`, `differs`; `theirs` and `ours` with the keys
        `COMPARED`, None where unknown; `gain`, theirs less ours.
    """
    by_name = {benchmark.name: benchmark for benchmark in benchmarks}
    rows = []
    for row in published:
        benchmark = by_name.get(row["benchmark"])
        ours = dict.fromkeys(COMPARED) | _ours(run, benchmark, row["readout"])
        theirs = {name: row.get(name) for name in COMPARED}
        known = None not in (ours["rmse"], theirs["rmse"])
        rows.append(
            {
                "benchmark": row["benchmark"], "readout": row["readout"],
                "source": row["source"], "differs": row.get("differs"),
                "ours": ours, "theirs": theirs,
                "gain": theirs["rmse"] - ours["rmse"] if known else None,
            }
        )  # fmt: skip
    return rows


def _ours(run: Path, benchmark: Benchmark | None, readout: str) -> dict:
    """Return what this run reached with a read-out; nothing where it has none."""
    if benchmark is None:
        table = read_joint(run, GRAND)
    elif readout == "joint":
        table = benchmark.joint
    else:
        table = benchmark.tested(MAIN_FORM, readout)
    if table is None or not (table["set"] == "test").any():
        return {}
    test = table[table["set"] == "test"]
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
