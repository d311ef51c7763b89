"""Complete small runs on awkward simulated data: none dies, and intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from itemwise.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def edge_runs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return pytest.importorskip("edge_runs")


def test_every_kind_of_run_ends_and_its_intervals_hold(edge_runs):
    """Nine runs of 60 to 400 models; each learns from few, so that coverages vary by .03.

    Their mean is known to .01; intervals that rest on few models may hold more than they say,
    but not less than .04 below.
    """
    rows = [edge_runs.outcome(case) for case in edge_runs.cases(9)]
    assert [row["died"] for row in rows] == [""] * 9
    for readout in ("form", "ability"):
        coverage = np.array([row[f"coverage {readout}"] for row in rows])
        assert 0.86 < coverage.mean() < 0.96
        assert coverage.min() > 0.75
    # Permuted scores: nothing is found.
    assert all(row["stated"] is None for row in rows if row["kind"] == "permuted scores")
