"""Measures of trajectories, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise.adaptive.checkpoints import measures, monotonicity, rank_distance, total_variation
from itemwise.tables.contract import check_table


def test_by_hand():
    assert total_variation([0, 1, 2, 4]) == 1
    assert total_variation([0, 2, 1, 3]) == pytest.approx(5 / 3)
    assert np.isnan(total_variation([2, 2]))
    assert monotonicity([1, 2, 5]) == 1
    assert monotonicity([3, 2, 1]) == -1
    assert monotonicity([1, 3, 2, 4]) == pytest.approx(0.8)
    assert rank_distance([1, 2, 3], [30, 20, 10]) == pytest.approx(4 / 3)


def test_a_run_on_two_benchmarks_in_the_order_of_training():
    scores = pd.DataFrame(
        [("m@2", "a", 1.0), ("m@1", "a", 0.0), ("m@3", "a", 3.0), ("m@1", "b", 2.0),
         ("m@2", "b", 1.0)],
        columns=["subject", "benchmark", "theta"],
    )  # fmt: skip
    table = measures(scores, ["m@1", "m@2", "m@3"])
    check_table(table, "checkpoint_measures", "measures")
    found = table.set_index(["benchmark", "other", "measure"])["value"]
    assert found["a", "", "monotonicity"] == 1
    assert found["b", "", "monotonicity"] == pytest.approx(-1)
    assert found["a", "b", "rank_distance"] == 1
    assert table.set_index(["benchmark", "measure"]).loc[("b", "rank_distance"),
                                                         "n_checkpoints"] == 2  # fmt: skip
