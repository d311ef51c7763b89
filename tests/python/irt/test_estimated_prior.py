"""Priors from the data against known truth: few models calibrate, many notice nothing."""

import numpy as np
import pandas as pd
import pytest

from itemwise import irt
from itemwise.errors import UserError
from itemwise.irt.cross_calibration import calibrate_folds
from itemwise.irt.model import to_beta
from itemwise.irt.prior import WEAK, Moments, Prior
from itemwise.irt.recovery import Design, designs, draw_parameters, recover
from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses

T = Moments((1.2, 0.3, -3.0, 2.0), (0.5, 1.4, 4.0, 4.0), 0.4, 5.0)


def simulated(n_subjects, n_items, model="2PL", seed=3):
    rng = np.random.default_rng(seed)
    truth = draw_parameters(Design(n_subjects, n_items, model, "none", 0.0), rng)
    theta = rng.standard_normal(n_subjects)
    return simulate_responses(truth, theta, seed + 1), truth, theta


@pytest.fixture(scope="module")
def few():
    data, truth, theta = simulated(20, 400)
    table, record = irt.fit(data, "2PL", standard_errors=True)
    return data, truth, theta, table, record


@pytest.mark.parametrize("moments", [WEAK, T])
def test_derivatives_of_the_prior_are_the_numerical_ones(moments):
    beta = np.random.default_rng(1).normal(1, 2, (6, 4))
    prior = Prior(moments, "4PL", 6)
    step = 1e-5
    for column in range(4):
        moved = np.zeros((6, 4))
        moved[:, column] = step
        rise = prior.log_densities(beta + moved) - prior.log_densities(beta - moved)
        np.testing.assert_allclose(rise / (2 * step), prior.gradient(beta)[:, column], atol=1e-7)
        bend = (prior.gradient(beta - moved) - prior.gradient(beta + moved)) / (2 * step)
        np.testing.assert_allclose(bend, prior.curvature(beta)[:, column], atol=1e-7)


def test_moments_survive_the_record():
    assert Moments.from_record(T.record()) == T
    assert Moments.from_record(WEAK.record()) == WEAK
    assert Moments.from_record(None) is None


def test_twenty_models_calibrate_hundreds_of_items(few):
    data, truth, theta, table, record = few
    assert record["converged"]
    assert record["prior"] == "estimated"
    # Items that all answered alike have an estimate and an error as well.
    assert len(table) == 400
    assert np.isfinite(table[["se_a", "se_d"]]).all(axis=None)
    abilities = irt.score(data, table)["theta"]
    assert np.corrcoef(abilities, theta)[0, 1] > 0.98
    # theta ~ N(0, 1) fixes the scale, however many items pull: posteriors have variance 1.
    assert abilities.std(ddof=0) == pytest.approx(1, abs=0.05)
    # Spread of the true parameters on the scale on which these twenty have SD 1.
    mean, sd = record["prior_values"]["a"]
    assert mean == pytest.approx(truth["a"].mean() * theta.std(), rel=0.2)
    assert 0.25 < sd < 0.8


def test_errors_are_those_of_a_guess_at_worst_and_intervals_hold():
    # Twenty models know the scale of theta to 16 %, and slopes to about their spread of 0.46,
    # which is what guessing the mean would err by; weak and no prior err by 0.9 and more.
    study = designs([20], [300], ["2PL"], ["estimated"], [0.0])
    table = recover(study, 5, "native", seed=7).set_index("parameter")
    assert table.loc["a", "rmse"] < 0.5
    assert table.loc["d", "rmse"] < 0.75
    # 95 % intervals, of which 20 common thetas move all items together: 5 data sets.
    assert 0.85 < table.loc["a", "coverage"] <= 1
    assert 0.82 < table.loc["d", "coverage"] <= 1


def test_many_models_notice_nothing():
    data, _, _ = simulated(3000, 60)
    free, _ = irt.fit(data, "2PL", "none", standard_errors=True)
    table, _ = irt.fit(data, "2PL", standard_errors=True)
    for name in ("a", "d"):
        gap = (table[name] - free[name]).abs() / free[f"se_{name}"]
        assert gap.median() < 0.15
        assert np.median(table[f"se_{name}"] / free[f"se_{name}"]) == pytest.approx(1, abs=0.02)


def test_one_slope_for_all_has_an_estimated_prior_of_its_intercepts():
    data, truth, _ = simulated(30, 80, "1PL")
    table, record = irt.fit(data, "1PL", standard_errors=True)
    assert record["converged"]
    assert table["a"].nunique() == 1
    assert record["prior_values"]["d"][1] == pytest.approx(truth["d"].std(), rel=0.3)


def test_folds_of_four_models_lie_on_the_scale_of_all(few):
    data, _, _, whole, record = few
    folds = pd.Series(np.arange(20) % 5 + 1, data.subjects)
    moments = Moments.from_record(record["prior_values"])
    points = record["quadrature"]["points"]
    table, records = calibrate_folds(data, folds, whole, "2PL", "estimated", moments, points)
    assert all(fold["converged"] for fold in records)
    assert (table.groupby("fold").size() == 400).all()
    beta = to_beta(whole, "2PL")
    for _, part in table.groupby("fold"):
        # Sixteen of twenty models: their items err by about half as much as all twenty's do.
        gap = to_beta(part, "2PL") - beta
        assert np.sqrt((gap**2).mean(axis=0)) == pytest.approx(0, abs=0.5)
        assert np.abs(gap.mean(axis=0)).max() < 0.15


def test_mirt_cannot_estimate_a_prior():
    data, _, _ = simulated(30, 10)
    with pytest.raises(UserError, match="prior: 'estimated' is not one of weak, none"):
        irt.fit(data, "2PL", "estimated", engine="mirt")


def test_a_pool_of_which_half_falls_does_not_run_off():
    """Models that answer by one of two habits: slopes would sum to nothing."""
    rng = np.random.default_rng(8)
    slopes = np.where(np.arange(100) % 2, 1.5, -1.5)
    theta = rng.normal(size=60)
    right = rng.random((60, 100)) < 1 / (1 + np.exp(-theta[:, None] * slopes))
    names = np.array([f"m{i}" for i in range(60)], object)
    items = np.array([f"i{j}" for j in range(100)], object)
    parameters, record = irt.fit(Responses(names, items, right.astype(np.int8)), "2PL")
    # Slopes are 1.5 in size; a location beyond 3 would be none of theirs.
    assert abs(record["prior_values"]["a"][0]) < 3
    assert np.abs(parameters["a"]).max() < 6
    assert abs(np.corrcoef(parameters["a"], slopes)[0, 1]) > 0.9
