"""The whole pipeline on the Open LLM Leaderboard: minutes, so only when asked for."""

import os
import sys

import pytest

from itemwise.readout.accuracy import accuracy
from itemwise.tables.contract import read_table

CONFIG = "tests/config/leaderboard.yaml"
BENCHMARKS = ["arc", "gsm8k"]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("ITEMWISE_SLOW"), reason="slow: set ITEMWISE_SLOW=1"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def results(new_project, root, real_data):
    """Return the folder of a complete run on real data."""
    project = new_project()
    (project.folder / CONFIG).write_bytes((root / CONFIG).read_bytes())
    project.environment["ITEMWISE_DATA"] = str(real_data)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", CONFIG]
    finished = project.run(command, timeout=3600)
    assert finished.returncode == 0, finished.stdout
    return project.folder / "results" / "leaderboard"


def unseen(results, benchmark):
    """Return reconstructions of models that took no part in anything before."""
    table = read_table(results / "assess_readout/test.parquet", "reconstructions")
    return table[(table["benchmark"] == benchmark) & (table["readout"] == "form")]


def test_report_does_not_call_real_data_simulated(results):
    assert "Simulated data." not in (results / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_full_scores_are_rebuilt_within_their_intervals(benchmark, results):
    form = unseen(results, benchmark).query("form == 'A'")
    found = accuracy(form)
    # Far below every published read-out: only a broken pipeline misses it.
    assert 1 - found["rmse"] ** 2 / form["full_score"].var() > 0.8
    # Some 500 test models, alike within organizations: about four binomial SE.
    assert found["coverage"] == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_selection_beats_random_forms(benchmark, results):
    by_form = {
        name: accuracy(part)["rmse"] for name, part in unseen(results, benchmark).groupby("form")
    }
    ours = by_form.pop("A")
    assert ours < min(by_form.values())
