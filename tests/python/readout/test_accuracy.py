"""Accuracy of reconstructed scores, against the formulas by hand."""

import numpy as np
import pandas as pd
import pytest

from itemwise.readout.accuracy import accuracy, gain


def test_accuracy_by_hand():
    table = pd.DataFrame(
        {
            "full_score": [50.0, 60.0, 70.0, 80.0],
            "predicted": [53.0, 60.0, 66.0, 80.0],
            "lower": [51.0, 55.0, 60.0, 80.0],
            "upper": [55.0, 65.0, 69.0, 81.0],
        }
    )
    found = accuracy(table)
    assert found["rmse"] == pytest.approx((25 / 4) ** 0.5)
    assert found["mae"] == pytest.approx(7 / 4)
    assert found["coverage"] == 0.5  # the ends of an interval belong to it


def test_gain_and_its_standard_error_are_those_of_a_bootstrap_over_clusters():
    rng = np.random.default_rng(1)
    cluster = pd.Series(np.repeat(np.arange(60), 4))
    shared = rng.normal(size=60)[cluster]
    own = pd.Series(shared + rng.normal(size=240))
    others = pd.DataFrame(1.2 * shared[:, None] + 1.3 * rng.normal(size=(240, 30)))
    found, se = gain(own, others, cluster)
    assert found == pytest.approx(np.sqrt((others**2).mean().mean()) - np.sqrt((own**2).mean()))
    rows = np.arange(240).reshape(60, 4)
    drawn = [rows[rng.integers(60, size=60)].ravel() for _ in range(2000)]
    again = [gain(own.iloc[r], others.iloc[r], cluster)[0] for r in drawn]
    # 2,000 draws know a standard deviation to 1.6 %; the delta method to some more.
    assert se == pytest.approx(np.std(again), rel=0.1)


def test_one_cluster_has_a_gain_and_no_standard_error():
    error = pd.Series([1.0, -1.0])
    assert gain(error, pd.DataFrame({"r": [2.0, 2.0]}), pd.Series(["a", "a"]))[0] == 1
    assert np.isnan(gain(error, pd.DataFrame({"r": [2.0, 2.0]}), pd.Series(["a", "a"]))[1])
