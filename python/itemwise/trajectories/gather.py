"""Gather the measures of many checkpoints and models; what is missing is a gap, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.readout.features import OVERALL
from itemwise.readout.interval import at_level
from itemwise.tables.contract import contract, read_table
from itemwise.tables.files import read_record
from itemwise.trajectories.axis import Axis, choose_axis

SERIES = ["model", "analysis", "metric", "group"]
"""What one trajectory is."""
CHECKPOINT = ["model", "revision"]
COLUMNS = list(contract()["trajectories"].columns)
BANK = "bank"
"""Analysis of the suite under which scores by a bank stand."""
RIGHT = "right"
"""Its metric of raw accuracy on the items asked."""
FAILURES = "record.json"
"""Record of a checkpoint beside its measures."""
LEVEL = 0.95
"""Nominal coverage of all intervals."""
NORMAL = 1.959964
"""Half the width of such an interval in standard errors."""
CERTAIN = 1e-9
"""Standard error, relative to the value (at least 1), that is rounding and says nothing."""


def read_measures(paths: list[str | Path]) -> pd.DataFrame:
    """Read tables of measures, files or folders of them, to one table `trajectories`.

    Raises
    ------
    UserError
        A folder without tables, a table that breaks the contract, or a measure that two
        files give.
    """
    parts = []
    for path in measure_files(paths):
        parts.append(read_table(path, "measures").reindex(columns=COLUMNS).assign(file=path))
    table = pd.concat(parts, ignore_index=True)
    table["group"] = table["group"].fillna("")
    key = [*CHECKPOINT, *SERIES[1:]]
    twice = table.duplicated(key, keep="first").to_numpy()
    if twice.any():
        row = table.loc[twice].iloc[0]
        first = table[(table[key] == row[key]).all(axis=1)].iloc[0]
        named = ", ".join(f"{name} '{row[name]}'" for name in key)
        raise UserError(
            f"{row['file']}: {named} is in {first['file']} too; keep one of the two files"
        )
    return table[COLUMNS]


def measure_files(paths: list[str | Path]) -> list[Path]:
    """Return the parquet files among `paths` and below the folders among them, sorted."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: holds no parquet files; give the folder of the measures")
        found += inside
    return found


def score_rows(scores: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return scores by a bank as rows of the analysis `bank`.

    Metrics `predicted` (full score in points), `theta` and `right` (share of right answers to
    the items asked); the group is the benchmark, empty for the mean of all.

    Parameters
    ----------
    scores : data frame
        Table `scores`; `subject` is `model@revision`.
    checkpoints : data frame
        Columns `model`, `revision`, `step`, `tokens`.

    Raises
    ------
    UserError
        A subject that is no checkpoint.
    """
    known = checkpoints.assign(subject=checkpoints["model"] + "@" + checkpoints["revision"])
    known = known.drop_duplicates("subject")[["subject", *CHECKPOINT, "step", "tokens"]]
    table = scores.merge(known, "left", "subject")
    strange = table["model"].isna()
    if strange.any():
        subject = table.loc[strange, "subject"].iloc[0]
        raise UserError(
            f"scores: column 'subject': '{subject}' is no checkpoint; subjects are called "
            "model@revision, as in the table of checkpoints: give that table to "
            "adapt-checkpoints by --checkpoints too"
        )
    common = table[[*CHECKPOINT, "step", "tokens"]].assign(
        analysis=BANK,
        group=table["benchmark"].replace(OVERALL, ""),
        n=table["n_items"],
        seed=np.nan,
    )
    # Intervals of another level are brought to the level of all others.
    brought = at_level(table, LEVEL)
    full = common.assign(metric="predicted", value=table["predicted"], **dict(brought))
    reach = NORMAL * table["se"]
    ability = common.assign(metric="theta", value=table["theta"], se=table["se"],
                            lower=table["theta"] - reach, upper=table["theta"] + reach)  # fmt: skip
    n = table["n_items"]
    share = table["n_right"].astype(float) / n if "n_right" in table else full["value"] * np.nan
    right = common.assign(metric=RIGHT, value=share, se=np.sqrt(share * (1 - share) / n),
                          lower=np.nan, upper=np.nan)  # fmt: skip
    known = [part[part["value"].notna()] for part in (ability, right)]
    return pd.concat([full, *known], ignore_index=True)[COLUMNS]


def read_failures(paths: list[str | Path]) -> dict[tuple[str, str], dict[str, str]]:
    """Return why analyses failed, by checkpoint: the records beside the measures.

    A folder `<model>/<revision>` of profile-checkpoints holds `record.json` with
    `failures`: message by analysis.
    """
    found = {}
    for path in map(Path, paths):
        for file in sorted(path.rglob(FAILURES)) if path.is_dir() else []:
            record = read_record(file)
            if {"model", "revision", "failures"} <= record.keys():
                found[record["model"], record["revision"]] = record["failures"]
    return found


def gaps(
    table: pd.DataFrame,
    checkpoints: pd.DataFrame | None = None,
    analyses: list[str] | None = None,
    failures: dict[tuple[str, str], dict[str, str]] | None = None,
    headlines: dict[str, str] | None = None,
) -> list[dict]:
    """Name every checkpoint that lacks an analysis, or the headline of one.

    Parameters
    ----------
    table : data frame
        Table `trajectories`.
    checkpoints : data frame, optional
        Checkpoints that were to be analysed; else those that occur.
    analyses : list of str, optional
        Analyses that were to be run; else those that occur.
    failures : dict, optional
        Of `read_failures`.
    headlines : dict, optional
        Metric of each analysis that must have a value; else any metric will do.

    Returns
    -------
    list of dict
        `model`, `revision`, `analyses` (those without a value), `whole` (all are),
        `reasons` (messages by analysis, of those that failed).
    """
    main = table["analysis"].map(headlines or {})
    has = table[table["value"].notna() & (main.isna() | (table["metric"] == main))]
    there = set(zip(has["model"], has["revision"], has["analysis"], strict=True))
    given = set(zip(table["model"], table["revision"], table["analysis"], strict=True))
    expected = table[CHECKPOINT]
    if checkpoints is not None:
        expected = pd.concat([checkpoints[CHECKPOINT], expected])
    wanted = list(dict.fromkeys(analyses or table["analysis"]))
    found = []
    for model, revision in expected.drop_duplicates().itertuples(index=False):
        missing = [name for name in wanted if (model, revision, name) not in there]
        if missing:
            told = {name: f"gave no value of '{metric}'" for name, metric in
                    (headlines or {}).items() if (model, revision, name) in given}  # fmt: skip
            told |= (failures or {}).get((model, revision), {})
            found.append(
                {"model": model, "revision": revision, "analyses": missing,
                 "whole": len(missing) == len(wanted),
                 "reasons": {name: told[name] for name in missing if name in told}}
            )  # fmt: skip
    return found


def place(table: pd.DataFrame, label: str | None = None) -> tuple[pd.DataFrame, Axis, dict]:
    """Order the rows along their axis, leaving out what has no place or no value.

    Parameters
    ----------
    table : data frame
        Table `trajectories`.
    label : str, optional
        Of `choose_axis`.

    Returns
    -------
    placed : data frame
        Rows with a value, with columns `at` (tokens or steps), `position` (log10) and
        `error` (standard error for smoothing, null where unknown), sorted.
    axis : Axis
    record : dict
        `axis`, `axis_label`, `note`, `unplaced` (checkpoints left out).

    Raises
    ------
    UserError
        No row has a value, or none has a place.
    """
    valued = table[table["value"].notna()]
    if valued.empty:
        raise UserError("column 'value' is null in every row; no analysis gave a result")
    axis, note = choose_axis(valued, label)
    at = valued[axis.name]
    lost = valued.loc[at.isna(), CHECKPOINT].drop_duplicates()
    placed = valued[at.notna()].assign(at=at[at.notna()].astype(float))
    placed["position"] = axis.position(placed["at"])
    placed["error"] = point_errors(placed)
    placed = placed.sort_values([*SERIES, "position", "revision"], ignore_index=True)
    record = {"axis": axis.name, "axis_label": axis.label, "note": note,
              "unplaced": lost.to_dict("records")}  # fmt: skip
    return placed, axis, record


def point_errors(table: pd.DataFrame) -> pd.Series:
    """Return the standard error of each point, null where neither it nor an interval is known.

    Where a share is 0 or 1 its standard error is 0, and of a bootstrap whose samples do not
    differ it is rounding, 1e-16, which no point deserves: half the width of the interval
    then stands for it.
    """
    half = (table["upper"] - table["lower"]) / (2 * NORMAL)
    error = table["se"].astype(float)
    least = CERTAIN * table["value"].abs().clip(lower=1)
    return error.where(error > least, half.where(half > least))
