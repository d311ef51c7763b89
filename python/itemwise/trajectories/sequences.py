"""Scores of single training sequences over checkpoints: how they spread, and whether they stay.

Biderman et al. 2023 (arXiv 2304.11158) ask whether what a checkpoint has memorized tells what
the last one has: the correlation of sequence scores between checkpoints.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record
from itemwise.trajectories.gather import FAILURES

METRIC = "token_match"
"""Metric of the units that are sequences: a share between 0 and 1."""
EDGES = np.linspace(0, 1, 11)
"""Ends of the classes of scores; the last one holds a score of 1."""
SERIES = ["model", "analysis"]


def read_sequences(paths: list[str | Path]) -> tuple[pd.DataFrame, list[str]]:
    """Return the score of every sequence, and the files that are no longer there.

    Parameters
    ----------
    paths : list of path
        Folders of profile-checkpoints: the records beside the measures name the tables `units`.

    Returns
    -------
    scores : data frame
        `model`, `revision`, `analysis`, `unit`, `value`; in the order of the records.
    missing : list of str
    """
    parts, missing = [], []
    for path in map(Path, paths):
        for file in sorted(path.rglob(FAILURES)) if path.is_dir() else []:
            record = read_record(file)
            for analysis, about in record.get("analyses", {}).items():
                if not about.get("units"):
                    continue
                if not Path(about["units"]).exists():
                    missing.append(about["units"])
                    continue
                units = read_table(about["units"], "units")
                units = units.loc[units["metric"] == METRIC, ["unit", "value"]]
                key = {"model": record["model"], "revision": record["revision"]}
                parts.append(units.assign(**key, analysis=analysis))
    columns = [*SERIES, "revision", "unit", "value"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns), missing


def histogram_table(scores: pd.DataFrame) -> pd.DataFrame | None:
    """Return how many sequences have which score at each checkpoint: table `sequence_scores`."""
    rows = []
    for key, part in scores.groupby([*SERIES, "revision"], sort=False):
        counts, _ = np.histogram(part["value"], EDGES)
        names = dict(zip([*SERIES, "revision"], key, strict=True))
        rows += [names | {"score_from": low, "score_to": high, "n": int(n)}
                 for low, high, n in zip(EDGES[:-1], EDGES[1:], counts, strict=True)]  # fmt: skip
    return pd.DataFrame(rows) if rows else None


def correlation_table(scores: pd.DataFrame) -> pd.DataFrame | None:
    """Correlate the scores of the same sequences at every two checkpoints.

    Returns
    -------
    data frame or None
        Table `sequence_correlations`: Pearson's correlation, null where all sequences have
        one score; None where no model has two checkpoints.
    """
    rows = []
    for key, part in scores.groupby(SERIES, sort=False):
        wide = part.pivot(index="unit", columns="revision", values="value")
        found, names = wide.corr(), dict(zip(SERIES, key, strict=True))
        for first, second in combinations(part["revision"].drop_duplicates(), 2):
            n = int(wide[[first, second]].notna().all(axis=1).sum())
            rows.append(names | {"first": first, "second": second,
                                 "pearson": found.loc[first, second], "n": n})  # fmt: skip
    return pd.DataFrame(rows) if rows else None
