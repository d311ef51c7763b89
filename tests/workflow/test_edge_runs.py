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
    """Nine runs of 60 to 400 models; each learns from few, so that coverages vary by .03."""
    rows = [edge_runs.outcome(case) for case in edge_runs.cases(9)]
    assert [row["died"] for row in rows] == [""] * 9
    for readout in ("form", "ability"):
        coverage = np.array([row[f"coverage {readout}"] for row in rows])
        assert coverage.mean() == pytest.approx(0.9, abs=0.04)
        assert coverage.min() > 0.75
    # Permuted scores: nothing is found.
    assert all(row["stated"] is None for row in rows if row["kind"] == "permuted scores")
