"""Standard errors against the numerical Hessian of the marginal likelihood."""

import numpy as np
import pytest

from itemwise import irt
from itemwise.irt import standard_errors
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import to_beta
from itemwise.irt.prior import WEAK, Prior
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.recovery import Design, designs, draw_parameters, recover
from itemwise.irt.simulation import simulate_responses


def simulated(model, missing=0.1, n_subjects=1500, n_items=6, seed=8):
    rng = np.random.default_rng(seed)
    truth = draw_parameters(Design(n_subjects, n_items, model, "none", missing), rng)
    return simulate_responses(truth, rng.standard_normal(n_subjects), seed, missing)


@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_closed_form_equals_the_sum_over_nodes(model, monkeypatch):
    data = simulated(model)
    errors = {}
    for most in (0, 100):  # patterns of missing cells: more than there are, and fewer
        monkeypatch.setattr(standard_errors, "MOST_PATTERNS", most)
        table, _ = irt.fit(data, model, prior="weak", quadrature=61, standard_errors=True)
        errors[most] = table[["se_a", "se_d", "cov_ad"]].to_numpy()
    # The sum leaves posterior weights below 1e-10 out.
    np.testing.assert_allclose(errors[100], errors[0], rtol=1e-6)


@pytest.mark.parametrize("model", ["2PL", "3PL", "4PL"])
def test_equal_the_inverse_numerical_hessian(model):
    data = simulated(model)
    table, _ = irt.fit(data, model, prior="weak", quadrature=61, standard_errors=True)
    beta = to_beta(table, model)
    prior = Prior(WEAK, model, len(table))
    likelihood = MarginalLikelihood(data.matrix, model, normal_grid(61))
    size, step = beta.size, 1e-4
    hessian = np.zeros((size, size))
    for column in range(size):
        move = np.zeros(size)
        move[column] = step
        sides = []
        for sign in (1, -1):
            at = beta + sign * move.reshape(beta.shape)
            sides.append((likelihood.evaluate(at).gradient + prior.gradient(at)).ravel())
        hessian[:, column] = (sides[0] - sides[1]) / (2 * step)
    numeric = np.sqrt(np.diag(np.linalg.inv(-hessian))).reshape(beta.shape)
    np.testing.assert_allclose(table[["se_a", "se_d"]], numeric[:, :2], rtol=1e-3)
    if model != "2PL":
        slope = (table["g"] * (1 - table["g"])).to_numpy()
        np.testing.assert_allclose(table["se_g"], numeric[:, 2] * slope, rtol=1e-3)


def test_common_slope_equals_the_spread_of_its_estimates():
    table = recover(designs([300], [8], ["1PL"], ["none"], [0.0]), 60, "native", seed=4)
    # 480 intercepts: three binomial standard errors of 95 % are 3 points.
    assert table.set_index("parameter")["coverage"]["d"] == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("model", ["1PL", "2PL", pytest.param("3PL", marks=pytest.mark.slow)])
def test_many_items_need_no_joint_matrix(monkeypatch, model):
    data = simulated(model, n_subjects=800, n_items=100, missing=0.02)
    arguments = {"prior": "weak", "quadrature": 101, "standard_errors": True}
    joint, record = irt.fit(data, model, **arguments)
    monkeypatch.setattr(standard_errors, "LARGEST_JOINT", 10)
    blocks, block_record = irt.fit(data, model, **arguments)
    assert record["standard_errors"] == "observed information"
    assert "one block an item" in block_record["standard_errors"]
    for name in ("se_a", "se_d"):
        ratio = blocks[name] / joint[name]
        # What theta's remaining uncertainty ties together is left out: a few per cent.
        assert ratio.between(0.93, 1.07).all()
        assert ratio.median() == pytest.approx(1, abs=0.015)


def test_parameters_that_ran_off_have_none():
    data = simulated("2PL", n_items=10)
    table, record = irt.fit(data, "3PL", prior="none", quadrature=61, standard_errors=True)
    at_bound = table["item"].isin(record["items_at_bounds"])
    assert at_bound.any()
    far = at_bound & (table["g"] < 1e-6)
    assert table.loc[far, "se_g"].isna().all()
    assert table.loc[~at_bound, "se_g"].notna().all()


def test_intervals_of_well_identified_designs_cover():
    table = recover(designs([600], [15], ["2PL"], ["none"], [0.1]), 20, "native", seed=11)
    coverage = table.set_index("parameter")["coverage"]
    # 300 estimates each (9,000 and more abilities): three binomial standard errors
    # of 95 % are 3.8 points.
    assert coverage[["a", "d"]].between(0.912, 0.988).all()
    assert coverage["theta"] == pytest.approx(0.95, abs=0.02)
