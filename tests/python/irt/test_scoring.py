"""Abilities against enumeration, published values and properties."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from itemwise import irt
from itemwise.errors import UserError
from itemwise.irt.model import parameters_beta, probabilities, to_beta
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.scoring import METHODS, log_posterior_derivatives, sum_score_log_likelihood
from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses, read_responses
from itemwise.tables.contract import open_parquet

ITEMS = pd.DataFrame(
    {
        "item": [f"q{i}" for i in range(6)],
        "a": [1.0, 1.5, 0.7, 2.2, 1.1, 0.9],
        "d": [0.5, -1.0, 0.0, 1.2, -0.3, 0.8],
        "g": [0.0, 0.2, 0.1, 0.0, 0.25, 0.0],
        "u": [1.0, 1.0, 0.95, 1.0, 0.9, 1.0],
    }
)
TWO = ITEMS.assign(g=0.0, u=1.0)
ALL = np.array(list(product([0, 1], repeat=6)), dtype=np.int8)


def people(matrix):
    names = np.array([f"s{i}" for i in range(len(matrix))], dtype=object)
    return Responses(names, ITEMS["item"].to_numpy(object), np.asarray(matrix, np.int8))


def log_posterior(parameters, row, theta):
    right, wrong = probabilities(parameters_beta(parameters), theta)
    known = row >= 0
    answers = row[known, None]
    cells = np.where(answers == 1, np.log(right[known]), np.log(wrong[known]))
    return cells.sum(axis=0) - theta**2 / 2


@pytest.mark.parametrize("parameters", [TWO, ITEMS], ids=["2PL", "4PL"])
def test_map_is_the_highest_point_of_the_posterior(parameters):
    coarse = np.linspace(-6, 6, 1201)
    table = irt.score(people(ALL), parameters, "MAP")
    for row, theta, se in zip(ALL, table["theta"], table["se"], strict=True):
        highest = coarse[log_posterior(parameters, row, coarse).argmax()]
        fine = np.linspace(highest - 0.01, highest + 0.01, 201)
        curve = log_posterior(parameters, row, fine)
        assert theta == pytest.approx(fine[curve.argmax()], abs=1e-4)
        h = 1e-3
        at = log_posterior(parameters, row, np.array([theta - h, theta, theta + h]))
        assert se == pytest.approx((-(at[0] - 2 * at[1] + at[2]) / h**2) ** -0.5, rel=1e-4)


@pytest.mark.parametrize("parameters", [TWO, ITEMS], ids=["2PL", "4PL"])
def test_eap_is_the_posterior_mean(parameters):
    fine = np.linspace(-8, 8, 4001)
    table = irt.score(people(ALL), parameters, "EAP")
    for row, theta, se in zip(ALL, table["theta"], table["se"], strict=True):
        weight = np.exp(log_posterior(parameters, row, fine))
        weight /= weight.sum()
        mean = weight @ fine
        assert theta == pytest.approx(mean, abs=1e-6)
        assert se == pytest.approx(np.sqrt(weight @ (fine - mean) ** 2), abs=1e-6)


def test_a_wrong_answer_far_up_a_steep_item_keeps_its_slope():
    """1 - P underflows beside 1 there; the derivative must not be taken from it."""
    parameters = pd.DataFrame({"item": ["x"], "a": [14.0], "d": [13.0], "g": [0.2], "u": [1.0]})
    beta, theta = to_beta(parameters, "3PL"), np.array([2.4])
    slope, _ = log_posterior_derivatives(np.array([[0]], np.int8), beta, theta, 0.0)
    assert slope[0] == pytest.approx(-14.0)


def test_eapsum_equals_enumeration_of_all_patterns():
    grid = normal_grid(61)
    right, wrong = probabilities(parameters_beta(ITEMS), grid.nodes)
    by_sum = np.zeros((7, 61))
    for row in ALL:
        by_sum[row.sum()] += np.where(row[:, None] == 1, right, wrong).prod(axis=0)
    np.testing.assert_allclose(np.exp(sum_score_log_likelihood(right, wrong)), by_sum, rtol=1e-10)
    table = irt.score(people(ALL), ITEMS, "EAPsum", quadrature=61)
    weight = by_sum * np.exp(grid.log_weights)
    mean = weight @ grid.nodes / weight.sum(axis=1)
    np.testing.assert_allclose(table["theta"], mean[ALL.sum(axis=1)], rtol=1e-10)


def test_ml_is_null_just_where_it_does_not_exist():
    table = irt.score(people(ALL), TWO, "ML")
    extreme = (ALL.sum(axis=1) == 0) | (ALL.sum(axis=1) == 6)
    assert np.array_equal(table["theta"].isna().to_numpy(), extreme)
    row = ALL[20]
    theta = table["theta"][20]
    flat = [log_posterior(TWO, row, np.array([t]))[0] + t**2 / 2 for t in (theta - 0.01, theta)]
    assert flat[1] > flat[0]


@pytest.mark.parametrize("u", [1.0, 0.95])
def test_ml_is_null_on_steep_tests_too(u):
    # The likelihood of an all-right subject is flat up to rounding from about 0.5 on.
    steep = TWO.assign(a=15.0, u=u)
    table = irt.score(people([[1] * 6, [0] * 6, [1, 0, 1, 1, 0, 1]]), steep, "ML")
    assert table["theta"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize("method", ["MAP", "EAP", "EAPsum"])
def test_all_right_and_all_wrong_are_finite(method):
    table = irt.score(people([[1] * 6, [0] * 6]), ITEMS, method)
    assert np.isfinite(table[["theta", "se"]]).all(axis=None)
    assert table["theta"][0] > table["theta"][1]


@pytest.mark.parametrize("method", METHODS)
def test_missing_cells_count_for_nothing(method):
    masked = np.array([[1, 0, 1, -1, -1, -1], [1, 1, 0, -1, -1, -1]])
    table = irt.score(people(masked), ITEMS, method, quadrature=201)
    alone = irt.score(people(masked).take(items=np.arange(3)), ITEMS[:3], method, quadrature=201)
    pd.testing.assert_frame_equal(table, alone)


def test_more_items_than_doubles_can_multiply():
    rng = np.random.default_rng(0)
    n = 1100  # a half to that power is 0
    items = pd.DataFrame(
        {"item": [f"i{k}" for k in range(n)], "a": 1.0, "d": rng.normal(size=n), "g": 0.0, "u": 1.0}
    )
    theta = rng.standard_normal(20)
    data = simulate_responses(items, theta, seed=1)
    for method in ("MAP", "EAP", "EAPsum"):
        table = irt.score(data, items, method)
        assert np.isfinite(table["theta"]).all()
        assert np.abs(table["theta"] - theta).max() < 0.3  # standard errors are 0.06


def test_too_many_patterns_for_eapsum_are_refused(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = ALL.copy()
    matrix[rng.random(matrix.shape) < 0.4] = -1
    matrix[:, 0] = 1
    monkeypatch.setattr("itemwise.irt.scoring.LARGEST_PATTERNS", 5)
    with pytest.raises(UserError, match=r"EAPsum: \d+ patterns .* use --method EAP"):
        irt.score(people(matrix), ITEMS, "EAPsum")


def test_a_subject_without_responses_is_named():
    with pytest.raises(UserError, match="1 subjects answered none of the items: s1"):
        irt.score(people([[1, 0, 1, 0, 1, 0], [-1] * 6]), ITEMS)


def test_items_without_a_column_are_named():
    with pytest.raises(UserError, match="1 items have no column in the responses: q5"):
        irt.score(people(ALL).take(items=np.arange(5)), ITEMS)


def test_unknown_method_is_refused():
    with pytest.raises(UserError, match="method: 'WLE' is not one of MAP, EAP, EAPsum, ML"):
        irt.score(people(ALL), ITEMS, "WLE")


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("arc_primary", "MAP"),
        ("arc_secondary", "MAP"),
        ("gsm8k_primary", "EAPsum"),
        ("gsm8k_secondary", "EAPsum"),
    ],
)
def test_published_parameters_give_the_published_abilities(name, method, real_data):
    folder = real_data / "leaderboard"
    data = read_responses(folder / f"{name}.responses.parquet")
    parameters = open_parquet(folder / f"{name}.mirt-items.parquet").to_pandas()
    published = open_parquet(folder / f"{name}.mirt-theta.parquet").to_pandas()
    ours = irt.score(data, parameters, method, quadrature=61)
    both = ours.merge(published, "inner", "subject", suffixes=("", "_published"))
    assert len(both) == len(published)
    assert (both["theta"] - both["theta_published"]).abs().max() < 0.001
    # mirt's numerical Hessian is off for 3 of 4,280 subjects of arc_secondary.
    assert ((both["se"] - both["se_published"]).abs() < 0.001).mean() >= 0.999


def test_negative_slopes_make_the_sum_a_poor_statistic(caplog):
    irt.score(people(ALL), ITEMS, "EAPsum")
    assert not caplog.text
    irt.score(people(ALL), ITEMS.assign(a=-ITEMS["a"]), "EAPsum")
    assert "6 of 6 items have negative slopes" in caplog.text
