"""What scores from short adaptive tests mean, learnt from simulated tests of training models.

Items that measure ability best do not mirror the whole benchmark, and few items leave more
doubt than the model says. Tests of training models under the same rule tell by how much,
at every length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.adaptive.rules import Rule
from itemwise.readout.splines import smooth
from itemwise.responses.sets import check_enough

LENGTHS = (3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 300)
"""Lengths at which tests are looked at; in between, interpolated."""
NODES = 41


@dataclass(frozen=True)
class Calibration:
    """Correction of reconstructed scores and of their intervals by length of the test.

    Attributes
    ----------
    lengths : array of int, shape (n_lengths,)
    nodes : array, shape (n_nodes,)
        Reconstructed scores before the correction, in points.
    corrected : array, shape (n_lengths, n_nodes)
        Mean full score of training models with that reconstruction.
    factor : array, shape (n_lengths,)
        Widening of intervals so that they hold the stated share of training models.
    """

    lengths: np.ndarray
    nodes: np.ndarray
    corrected: np.ndarray
    factor: np.ndarray

    def apply(self, n: int, predicted: np.ndarray, half: np.ndarray) -> tuple:
        """Return corrected scores and half widths after n items."""
        at = np.interp(n, self.lengths, np.arange(len(self.lengths)))
        low, high = int(np.floor(at)), int(np.ceil(at))
        curve = self.corrected[low] + (at - low) * (self.corrected[high] - self.corrected[low])
        factor = self.factor[low] + (at - low) * (self.factor[high] - self.factor[low])
        return np.interp(predicted, self.nodes, curve), half * factor

    def table(self, benchmark: str, rule: Rule) -> pd.DataFrame:
        """Return the rows of the table `cat_calibration`."""
        n_lengths, n_nodes = self.corrected.shape
        return pd.DataFrame(
            {
                "benchmark": benchmark,
                "rule": rule.name,
                "settings": rule.settings(),
                "n_items": np.repeat(self.lengths, n_nodes),
                "node": np.tile(np.arange(1, n_nodes + 1), n_lengths),
                "x": np.tile(self.nodes, n_lengths),
                "value": self.corrected.ravel(),
                "factor": np.repeat(self.factor, n_nodes),
            }
        )

    @classmethod
    def of(cls, table: pd.DataFrame, benchmark: str, settings: str) -> Calibration | None:
        """Read the calibration of tests of these settings; None where there is none."""
        rows = table[(table["benchmark"] == benchmark) & (table["settings"] == settings)]
        if rows.empty:
            return None
        # Rules that differ in stops and lengths alone: the one that went furthest.
        longest = rows.loc[rows["n_items"].idxmax(), "rule"]
        rows = rows[rows["rule"] == longest].sort_values(["n_items", "node"])
        values = rows.pivot(index="n_items", columns="node", values="value")
        first = rows[rows["n_items"] == rows["n_items"].iloc[0]]
        return cls(
            values.index.to_numpy(),
            first["x"].to_numpy(),
            values.to_numpy(),
            rows.groupby("n_items")["factor"].first().to_numpy(),
        )


def calibrate(
    traces: pd.DataFrame, full_scores: pd.Series, level: float, folds: pd.Series
) -> Calibration:
    """Relate the scores of tests of training models to their full scores.

    At each length a penalised spline of the full score on the reconstruction, and as
    factor the `level` quantile of |error| / half width (with the finite-sample ceiling of
    conformal prediction), errors being those of splines that the other folds were fitted to.

    Parameters
    ----------
    traces : data frame
        Table `cat_traces` of one benchmark and rule, with `predicted` and `half_width`
        before correction.
    full_scores : series
        Points, by subject.
    level : float
        Coverage of the intervals.
    folds : series
        Fold of each training model, by subject: those of a training run or an organization
        are in one.

    Raises
    ------
    UserError
        Too few of the tested models have a full score.
    """
    columns = ["subject", "step", "predicted", "half_width"]
    traces = traces.loc[traces["subject"].isin(full_scores.index), columns]
    n_tests = traces["subject"].nunique()
    check_enough(n_tests, "simulated tests", "the correction of adaptive scores")
    shortest, longest = int(traces["step"].min()), int(traces["step"].max())
    lengths = np.array([n for n in LENGTHS if shortest <= n < longest] + [longest])
    span = traces["predicted"].min(), traces["predicted"].max()
    nodes = np.linspace(*span, NODES)
    corrected, factor = [], []
    for n in lengths:
        last = traces[traces["step"] <= n].groupby("subject").last()
        true = full_scores.loc[last.index].to_numpy()
        predicted = last["predicted"].to_numpy()
        corrected.append(_curve(predicted, true, nodes))
        fold = folds.loc[last.index].to_numpy()
        expected = np.empty(len(true))
        for left_out in np.unique(fold):
            out = fold == left_out
            expected[out] = _curve(predicted[~out], true[~out], predicted[out])
        ratio = np.abs(true - expected) / last["half_width"].to_numpy()
        rank = min(int(np.ceil((n_tests + 1) * level)), n_tests)
        factor.append(np.sort(ratio)[rank - 1])
    return Calibration(lengths, nodes, np.array(corrected), np.array(factor))


def _curve(predicted: np.ndarray, true: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the mean full score at some reconstructions, in points."""
    return np.clip(smooth(predicted, true, at, n_bases=12), 0, 100)
