"""How good adaptive tests are at each length, beside fixed and random ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

QUANTILE = 0.9


def study(
    traces: pd.DataFrame, full_scores: pd.Series, theta: pd.Series | None = None
) -> pd.DataFrame:
    """Judge every rule after each item.

    A test that has ended stays as it was: after n items every subject counts, with the
    estimate of its last item so far.

    Parameters
    ----------
    traces : data frame
        Table `cat_traces` of one benchmark, with reconstructed scores.
    full_scores : series
        Points, by subject.
    theta : series, optional
        Abilities from the whole pool, by subject.

    Returns
    -------
    data frame
        Table `cat_study`.
    """
    rows = []
    for (benchmark, rule), part in traces.groupby(["benchmark", "rule"], sort=False):
        about = {"benchmark": benchmark, "rule": rule}
        rows += [about | row for row in _by_length(part, full_scores, theta)]
    return pd.DataFrame(rows)


def _by_length(part: pd.DataFrame, full_scores: pd.Series, theta) -> list[dict]:
    """Return one row a length of one rule."""
    wide = {
        name: part.pivot(index="step", columns="subject", values=name).ffill()
        for name in ("predicted", "half_width", "theta", "se")
    }
    codes, _ = pd.factorize(part["item"])
    asked = np.zeros((codes.max() + 1, len(wide["se"].columns)), dtype=bool)
    column = wide["se"].columns.get_indexer(part["subject"])
    subjects = wide["se"].columns
    true = full_scores.reindex(subjects).to_numpy()
    pool = None if theta is None else theta.reindex(subjects).to_numpy()
    lengths = part.groupby("subject")["step"].max().reindex(subjects).to_numpy()
    rows = []
    for step in wide["se"].index:
        now = (part["step"] == step).to_numpy()
        asked[codes[now], column[now]] = True
        predicted = wide["predicted"].loc[step].to_numpy()
        half = wide["half_width"].loc[step].to_numpy()
        error = np.abs(predicted - true)
        known = ~np.isnan(error)
        rows.append(
            {
                "n_items": int(step),
                "n_subjects": int(known.sum()),
                "rmse": float(np.sqrt(np.mean(error[known] ** 2))),
                "median_error": float(np.median(error[known])),
                "p90_error": float(np.quantile(error[known], QUANTILE)),
                "coverage": float((error[known] <= half[known]).mean()),
                "theta_rmse": None
                if pool is None
                else float(np.sqrt(np.nanmean((wide["theta"].loc[step].to_numpy() - pool) ** 2))),
                "mean_se": float(np.nanmean(wide["se"].loc[step])),
                "mean_length": float(np.minimum(lengths, step).mean()),
                "exposure": float(asked.mean(axis=1).max()),
                "overlap": overlap(asked),
            }
        )
    return rows


def overlap(asked: np.ndarray) -> float:
    """Return the mean share of items that two tests have in common.

    Parameters
    ----------
    asked : array of bool, shape (n_items, n_subjects)
    """
    n = asked.shape[1]
    length = asked.sum(axis=0).mean()
    if n < 2 or not length:
        return float("nan")
    together = asked.sum(axis=1)
    return float((together * (together - 1)).sum() / (n * (n - 1)) / length)


def items_to_reach(table: pd.DataFrame, column: str, points: float) -> int | None:
    """Return the smallest number of items from which on an error stays at or below points."""
    above = table.loc[table[column] > points, "n_items"]
    rest = table.loc[table["n_items"] > (above.max() if len(above) else 0), "n_items"]
    return int(rest.min()) if len(rest) else None
