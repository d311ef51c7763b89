"""All tables of trajectories from the gathered measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.harness.names import metric_name
from itemwise.trajectories.axis import Axis
from itemwise.trajectories.changepoints import find_changes, penalty
from itemwise.trajectories.compare import compare
from itemwise.trajectories.correlate import correlations
from itemwise.trajectories.gather import CERTAIN, SERIES
from itemwise.trajectories.measures import summarize
from itemwise.trajectories.smooth import FEWEST_POINTS, Curve, smooth

GRID = 80
"""Positions at which a smoothed curve is written."""
MANY_MODELS = 4
"""Models up to which every two are compared where no pairs are named."""

RANGES = {"share": (0.0, 1.0), "points": (0.0, 100.0)}
"""Possible values by unit of the suite."""


@dataclass(frozen=True)
class Trajectory:
    """One measure of one model over its training, in its order."""

    key: dict
    rows: pd.DataFrame
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None
    curve: Curve | None


def possible_values(suite: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the least and the largest value of headlines, by analysis and metric."""
    units = dict(zip(suite["name"], suite["unit"], strict=True))
    return {
        (name, metric): RANGES[units[name]]
        for name, metric in headlines(suite).items()
        if units[name] in RANGES
    }


def trajectories_of(
    placed: pd.DataFrame, bounds: dict[tuple[str, str], tuple[float, float]]
) -> list[Trajectory]:
    """Divide placed rows (`gather.place`) into trajectories, each smoothed where it can be.

    Standard errors are used where a half of the points have them; the others then get
    the median. Bands are cut to `bounds`, the possible values by analysis and metric.
    """
    made = []
    groups = list(placed.groupby(SERIES, sort=False))
    for key, rows in tqdm(groups, unit="trajectory", disable=None, leave=False):
        x, y = rows["position"].to_numpy(float), rows["value"].to_numpy(float)
        error = rows["error"]
        known = error.notna().mean() >= 0.5
        error = error.fillna(error.median()).to_numpy(float) if known else None
        enough = len(np.unique(x)) >= FEWEST_POINTS
        curve = smooth(x, y, error) if enough else None
        if curve is not None and (key[1], key[2]) in bounds:
            curve = replace(curve, bounds=bounds[key[1], key[2]])
        made.append(Trajectory(dict(zip(SERIES, key, strict=True)), rows, x, y, error, curve))
    return made


def curve_table(trajectories: list[Trajectory], axis: Axis) -> pd.DataFrame:
    """Return smoothed curves with their bands: table `trajectory_curves`."""
    parts = []
    for one in trajectories:
        if one.curve is not None:
            at = np.linspace(one.curve.low, one.curve.high, GRID)
            lower, upper = one.curve.band(at)
            value = np.clip(one.curve.mean(at), *one.curve.bounds)
            columns = {"position": at, "at": axis.value(at), "value": value}
            parts.append(pd.DataFrame(one.key | columns | {"lower": lower, "upper": upper}))
    return _joined(parts)


def summary_table(trajectories: list[Trajectory], axis: Axis, seed: int) -> pd.DataFrame:
    """Return what is measured of every trajectory: table `trajectory_measures`."""
    rows = []
    for number, one in enumerate(trajectories):
        rng = np.random.default_rng([seed, number])
        for measure, value, lower, upper in summarize(
            one.x, one.y, one.error, one.curve, axis, rng
        ):
            rows.append(
                one.key
                | {"measure": measure, "value": value, "lower": lower, "upper": upper,
                   "n_checkpoints": len(one.x)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def change_table(trajectories: list[Trajectory]) -> pd.DataFrame | None:
    """Return change points: table `change_points`; None where there are none.

    Errors are the stated ones, widened where the scatter around the smoothed curve is
    larger than they say.
    """
    rows = []
    for one in trajectories:
        if one.curve is None:
            continue
        error = one.error if one.error is not None else np.ones(len(one.x))
        scale = max(one.curve.phi, 1.0) if one.error is not None else one.curve.phi
        # A trajectory that lies on its curve but for rounding has no scatter to measure breaks by.
        if np.sqrt(scale) * error.max() <= CERTAIN * max(np.abs(one.y).max(), 1):
            continue
        at, revision = one.rows["at"].to_numpy(), one.rows["revision"].to_numpy()
        for number, change in enumerate(find_changes(one.x, one.y, error * np.sqrt(scale)), 1):
            rows.append(
                one.key
                | {"number": number, "revision_before": revision[change.before],
                   "revision_after": revision[change.after], "at_before": at[change.before],
                   "at_after": at[change.after], "kind": change.kind, "jump": change.jump,
                   "jump_se": change.jump_se, "slope_before": change.slope_before,
                   "slope_after": change.slope_after, "slope_change_se": change.slope_change_se,
                   "evidence": change.evidence, "penalty": penalty(len(one.x))}
            )  # fmt: skip
    return pd.DataFrame(rows) if rows else None


def comparison_tables(
    trajectories: list[Trajectory], pairs: list[tuple[str, str]], axis: Axis
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Compare runs: tables `run_comparisons` and `run_differences`, None where none overlap."""
    curves = {
        (one.key["model"], *(one.key[name] for name in SERIES[1:])): one.curve
        for one in trajectories
        if one.curve is not None
    }
    rows, parts = [], []
    for first, second in pairs:
        for model, *series in list(curves):
            other = curves.get((second, *series))
            if model != first or other is None:
                continue
            found = compare(curves[model, *series], other)
            if found is None:
                continue
            key = {"first": first, "second": second} | dict(zip(SERIES[1:], series, strict=True))
            at = axis.value(found.at)
            area, lower, upper = found.area
            parted = None if found.parted is None else float(axis.value(found.parted))
            rows.append(
                key
                | {"at_from": at[0], "at_to": at[-1], "final_difference": found.value[-1],
                   "final_lower": found.lower[-1], "final_upper": found.upper[-1], "area": area,
                   "area_lower": lower, "area_upper": upper, "parted_at": parted}
            )  # fmt: skip
            columns = {"position": found.at, "at": at, "difference": found.value}
            bounds = {"lower": found.lower, "upper": found.upper}
            parts.append(pd.DataFrame(key | columns | bounds))
    if not rows:
        return None, None
    table = pd.DataFrame(rows)
    table["parted_at"] = table["parted_at"].astype(float)
    return table, _joined(parts)


def correlation_table(
    placed: pd.DataFrame, headlines: dict[str, str], seed: int
) -> pd.DataFrame | None:
    """Correlate the headlines of each model's analyses: table `analysis_correlations`.

    Parameters
    ----------
    placed : data frame
        Of `gather.place`.
    headlines : dict
        Metric of each analysis.
    seed : int

    Returns
    -------
    data frame or None
        None where no two analyses share enough checkpoints.
    """
    main = placed[(placed["group"] == "") & (placed["metric"] == placed["analysis"].map(headlines))]
    rows = []
    for number, (model, part) in enumerate(main.groupby("model", sort=False)):
        part = part.sort_values(["position", "revision"])
        order = part["revision"].drop_duplicates()
        wide = part.pivot(index="revision", columns="analysis", values="value").loc[order]
        rng = np.random.default_rng([seed, number])
        rows += [{"model": model} | row for row in correlations(wide, rng)]
    return pd.DataFrame(rows) if rows else None


def headlines(suite: pd.DataFrame) -> dict[str, str]:
    """Return the headline metric of each row of the suite as the table `measures` calls it."""
    filters = suite["filter"] if "filter" in suite else [None] * len(suite)
    return {
        name: metric_name(metric, chosen)
        for name, metric, chosen in zip(suite["name"], suite["metric"], filters, strict=True)
    }


def headline_metrics(table: pd.DataFrame, suite: pd.DataFrame) -> dict[str, str]:
    """Return the headline metric of each analysis: the suite's, else the first that occurs.

    Parameters
    ----------
    table : data frame
        All rows of `trajectories`: a headline without a value is still the headline, and a gap.
    suite : data frame
    """
    stated = headlines(suite)
    found = {}
    for analysis, metrics in table.groupby("analysis", sort=False)["metric"]:
        first = metrics.iloc[0]
        found[analysis] = stated[analysis] if stated.get(analysis) in set(metrics) else first
    return found


def default_pairs(models: list[str]) -> list[tuple[str, str]]:
    """Return the pairs to compare where none are named: all of few models, else none."""
    return list(combinations(models, 2)) if len(models) <= MANY_MODELS else []


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame | None:
    return pd.concat(parts, ignore_index=True) if parts else None
