"""Accuracy of reconstructed scores, against the formulas by hand."""

import pandas as pd
import pytest

from itemwise.readout.accuracy import accuracy


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
