"""The study of adaptive tests, and the calibration of their scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise.adaptive.calibrate import Calibration, calibrate
from itemwise.adaptive.rules import Rule
from itemwise.adaptive.study import items_to_reach, overlap, study
from itemwise.errors import UserError
from itemwise.tables.contract import check_table


def traces() -> pd.DataFrame:
    rows = [
        ("s1", 1, "a", 40.0, 5.0), ("s1", 2, "b", 50.0, 3.0),
        ("s2", 1, "a", 70.0, 5.0), ("s2", 2, "c", 62.0, 1.0), ("s2", 3, "b", 61.0, 1.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["subject", "step", "item", "predicted", "half_width"])
    return table.assign(benchmark="q", rule="r", theta=0.0, se=0.5, response=1)


def test_study_by_hand():
    table = study(traces(), pd.Series({"s1": 52.0, "s2": 60.0}))
    check_table(table, "cat_study", "study")
    first, second, third = table.to_dict("records")
    assert first["rmse"] == pytest.approx(np.sqrt((12**2 + 10**2) / 2))
    assert second["median_error"] == 2.0
    # The test of s1 has ended: it stays at 50 +- 3.
    assert third["rmse"] == pytest.approx(np.sqrt((2**2 + 1**2) / 2))
    assert (first["coverage"], second["coverage"], third["coverage"]) == (0.0, 0.5, 1.0)
    assert third["mean_length"] == 2.5
    assert first["exposure"] == 1.0
    assert second["overlap"] == 0.5


def test_overlap_of_equal_and_of_different_tests():
    assert overlap(np.ones((4, 3), bool)) == 1
    assert overlap(np.eye(3, dtype=bool)) == 0


def test_items_from_which_on_an_error_stays_small():
    table = pd.DataFrame({"n_items": [5, 10, 15, 20], "median_error": [1.0, 1.6, 1.4, 1.2]})
    assert items_to_reach(table, "median_error", 1.5) == 15
    assert items_to_reach(table, "median_error", 0.5) is None
    assert items_to_reach(table, "median_error", 2) == 5


def biased(n: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Tests whose scores are 4 points too high and whose intervals half as wide as due."""
    rng = np.random.default_rng(seed)
    subjects = [f"m{i}" for i in range(n)]
    true = pd.Series(rng.uniform(20, 80, n), subjects)
    parts = []
    for step, noise in ((5, 6.0), (10, 3.0)):
        part = pd.DataFrame({"subject": subjects, "step": step})
        part["predicted"] = true.to_numpy() + 4 + noise * rng.normal(size=n)
        part["half_width"] = 1.645 * noise / 2
        parts.append(part)
    return pd.concat(parts), true


def folds(n: int) -> pd.Series:
    return pd.Series(np.arange(n) % 10 + 1, [f"m{i}" for i in range(n)])


def test_calibration_corrects_bias_and_width_of_new_tests():
    """400 tests and 2,000 new ones: coverage within three standard errors of both, 5 points."""
    made = calibrate(*biased(400, 1), 0.9, folds(400))
    fresh, true = biased(2000, 2)
    for step in (5, 10):
        part = fresh[fresh["step"] == step]
        score, half = made.apply(step, part["predicted"].to_numpy(), part["half_width"].to_numpy())
        error = score - true.loc[part["subject"]].to_numpy()
        assert abs(error.mean()) < 0.6
        assert (np.abs(error) <= half).mean() == pytest.approx(0.9, abs=0.05)


def test_intervals_of_few_tests_hold_new_ones():
    """50 tests, 40 times: each coverage has a standard error of 4 points, their mean of 0.7.

    Splines judged by the tests that they were fitted to would hold 86.4 %.
    """
    covered = []
    fresh, true = biased(1000, 99)
    fresh = fresh[fresh["step"] == 10]
    for seed in range(40):
        made = calibrate(*biased(50, seed), 0.9, folds(50))
        score, half = made.apply(10, fresh["predicted"].to_numpy(), fresh["half_width"].to_numpy())
        covered.append(np.mean(np.abs(score - true.loc[fresh["subject"]].to_numpy()) <= half))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_calibration_travels_as_a_table_and_interpolates():
    made = calibrate(*biased(200, 3), 0.9, folds(200))
    table = made.table("q", Rule(name="r"))
    check_table(table, "cat_calibration", "calibration")
    again = Calibration.of(
        table.sample(frac=1, random_state=1), "q", Rule(name="x", max_length=9, se=0.2).settings()
    )
    values = np.array([30.0, 55.0]), np.array([2.0, 2.0])
    for n in (1, 5, 7, 10, 99):
        np.testing.assert_allclose(again.apply(n, *values), made.apply(n, *values))
    assert Calibration.of(table, "q", Rule(batch=4).settings()) is None
    low, high = made.apply(5, *values)[0][0], made.apply(10, *values)[0][0]
    assert min(low, high) <= made.apply(7, *values)[0][0] <= max(low, high)


def test_too_few_tests_are_refused():
    with pytest.raises(UserError, match="at least 20"):
        calibrate(*biased(15, 1), 0.9, folds(15))
