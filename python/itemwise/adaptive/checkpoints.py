"""How well a measure follows a training run: validity, variation, saturation.

The measures of fluid benchmarking (Hofmann et al. 2025, arXiv 2509.11106), from the
descriptions of the paper; normalisers as stated here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def total_variation(values: np.ndarray) -> float:
    """Return how much a trajectory wavers: sum |v_t+1 - v_t| over its range.

    1 for a monotone trajectory, larger the more it goes back and forth; null where the
    values are all the same.
    """
    values = np.asarray(values, float)
    span = np.ptp(values)
    return float(np.abs(np.diff(values)).sum() / span) if span > 0 else float("nan")


def monotonicity(values: np.ndarray) -> float:
    """Return Spearman's correlation with the order of checkpoints (against saturation)."""
    values = np.asarray(values, float)
    if len(values) < 2 or np.ptp(values) == 0:
        return float("nan")
    return float(np.corrcoef(np.arange(len(values)), pd.Series(values).rank())[0, 1])


def rank_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean distance of ranks that two measures give the same checkpoints.

    (1 / N) sum |r_first - r_second|; smaller is more valid.
    """
    return float((pd.Series(first).rank() - pd.Series(second).rank()).abs().mean())


def measures(scores: pd.DataFrame, order: list[str], value: str = "theta") -> pd.DataFrame:
    """Judge trajectories of one run.

    Parameters
    ----------
    scores : data frame
        Table `scores`: one row a checkpoint (`subject`) and benchmark.
    order : list of str
        Subjects in the order of training.
    value : str
        Column that is followed; rows without it, as the ability of `overall`, are passed over.

    Returns
    -------
    data frame
        Table `checkpoint_measures`: benchmark, `other` (for the rank distance), measure,
        value, n_checkpoints.
    """
    wide = scores.dropna(subset=[value]).pivot(index="subject", columns="benchmark", values=value)
    wide = wide.reindex([subject for subject in order if subject in wide.index])
    rows = []
    for name in wide:
        column = wide[name].dropna()
        for measure, of in (("total_variation", total_variation), ("monotonicity", monotonicity)):
            rows.append((name, "", measure, of(column.to_numpy()), len(column)))
        for other in wide:
            if other != name:
                both = wide[[name, other]].dropna()
                distance = rank_distance(*both.to_numpy().T) if len(both) else np.nan
                rows.append((name, other, "rank_distance", distance, len(both)))
    columns = ["benchmark", "other", "measure", "value", "n_checkpoints"]
    return pd.DataFrame(rows, columns=columns)
