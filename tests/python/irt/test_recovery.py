"""Recovery studies and simulation-based calibration."""

import numpy as np
import pytest

from itemwise.cli.main import main
from itemwise.irt.recovery import Design, designs, posterior_ranks, recover, uniformity
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record


def test_four_times_the_subjects_halve_the_error():
    table = recover(designs([300, 1200], [12], ["2PL"], ["weak"], [0.0]), 20, "native", seed=2)
    rmse = table[table["parameter"] == "a"].set_index("design")["rmse"]
    # 240 slopes each, with long tails: the ratio of two RMSEs varies by about 0.1.
    assert rmse.iloc[1] / rmse.iloc[0] == pytest.approx(0.5, abs=0.2)


def test_the_same_seed_gives_the_same_study():
    study = designs([100], [6], ["2PL"], ["weak"], [0.2])
    one, two = (recover(study, 2, "native", seed=3) for _ in range(2))
    assert one.equals(two)


def test_subjects_without_any_response_are_left_out():
    table = recover(designs([300], [6], ["2PL"], ["weak"], [0.7]), 1, "native", seed=1)
    n = table.set_index("parameter")["n"]
    assert 200 < n["theta"] < 290


@pytest.mark.parametrize("model", ["2PL", "4PL"])
def test_posteriors_are_calibrated(model):
    ranks = posterior_ranks(Design(400, 25, model, "none", 0.1), 3, seed=1)
    assert len(ranks) == 1200
    assert uniformity(ranks) > 0.01
    # The check can fail: posteriors of a wrong prior are not uniform.
    assert uniformity(np.clip(ranks * 1.15, 0, 1)) < 0.01


def test_stage_writes_table_record_and_figure(tmp_path):
    paths = {name: tmp_path / f"recovery.{name}" for name in ("parquet", "json", "png")}
    status = main(
        ["recover-parameters", "--n-subjects", "80", "--n-items", "5", "--irt-models", "1PL", "2PL"]
        + ["--replications", "2", "--out", str(paths["parquet"])]
        + ["--record", str(paths["json"]), "--figure", str(paths["png"])]
    )
    assert status == 0
    table = read_table(paths["parquet"], "recovery")
    assert set(table["parameter"]) == {"a", "d", "theta"}
    assert len(read_record(paths["json"])["posterior_uniformity_p_value"]) == 2
    assert paths["png"].read_bytes()[:4] == b"\x89PNG"
