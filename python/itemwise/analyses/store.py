"""The store: every analysis of every checkpoint once, found again by what it depends on.

The key is checkpoint, analysis and its version, settings, and the hash of the weights. So a
killed run goes on, a new analysis costs only itself, and changed weights count as new.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd

from itemwise.analyses.checkpoint_lists import slug
from itemwise.analyses.model import Measured
from itemwise.analyses.settings import settings_hash
from itemwise.harness.names import metric_name
from itemwise.tables.contract import contract, read_table, write_table
from itemwise.tables.files import read_record, write_record

MEASURES = list(contract()["measures"].columns)
DEFINING = ("name", "analysis", "task", "shots", "version")
"""Columns of the suite that make a row what it is."""
UNITS = list(contract()["units"].columns)


class Store:
    """Results of one checkpoint.

    Parameters
    ----------
    folder : path
        Of all checkpoints.
    checkpoint : dict
        `model`, `revision`, `step`, `tokens`.
    weights : str
        Hash that identifies the weights.
    loading : dict
        How the weights were loaded, as far as it may change results.
    """

    def __init__(self, folder: str | Path, checkpoint: dict, weights: str, loading: dict):
        self.root = Path(folder)
        self.checkpoint = checkpoint
        self.weights, self.loading = weights, loading
        self.folder = self.root / slug(checkpoint["model"]) / slug(checkpoint["revision"])

    def path(self, row, settings) -> Path:
        """Return where the measures of a row of the suite are."""
        decisive = {
            "checkpoint": self.checkpoint,
            "row": {key: str(getattr(row, key)) for key in DEFINING},
            "settings": settings_hash(settings),
            "weights": self.weights,
            "loading": self.loading,
        }  # fmt: skip
        text = json.dumps(decisive, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self.folder / f"{row.name}.{digest}.parquet"

    def find(self, path: Path) -> tuple[pd.DataFrame, dict] | None:
        """Return measures and record, None where there are none."""
        if not path.exists():
            return None
        return read_table(path, "measures"), read_record(path.with_suffix(".json"))

    def add(self, path: Path, name: str, measured: Measured, record: dict) -> pd.DataFrame:
        """Keep a result; the measures come last, so that they are there or nothing counts."""
        table = as_measures(self.checkpoint, name, measured.rows)
        if measured.units is not None:
            units = measured.units.assign(analysis=name)
            for column, default in (("sample", 0), ("group", ""), ("text", None)):
                if column not in units:
                    units[column] = default
            write_table(units[UNITS], path.with_suffix(".units.parquet"), "units")
        write_record(record, path.with_suffix(".json"))
        write_table(table, path, "measures")
        return table


def as_measures(checkpoint: dict, name: str, rows: list[dict]) -> pd.DataFrame:
    """Return rows as the table `measures`."""
    return pd.DataFrame(rows).assign(analysis=name, **checkpoint)[MEASURES]


def gap(checkpoint: dict, row) -> pd.DataFrame:
    """Return the headline without a value: the analysis failed here."""
    nothing = dict.fromkeys(["value", "se", "lower", "upper", "seed"])
    nothing |= {"metric": metric_name(row.metric, row.filter), "group": "", "n": 0}
    return as_measures(checkpoint, row.name, [nothing])
