"""Curves, derivatives and information of the item models."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemwise.irt.model import (
    asymptotes,
    curvature,
    curves,
    item_information,
    parameters_beta,
    probabilities,
    to_beta,
    to_table,
)

THETA = np.linspace(-4, 4, 17)
BETAS = st.lists(st.tuples(*(st.floats(-4, 4) for _ in range(4))), min_size=1, max_size=5).map(
    np.array
)


def finite_difference(function, beta, column, step=1e-6):
    up, down = beta.copy(), beta.copy()
    up[:, column] += step
    down[:, column] -= step
    return (function(up) - function(down)) / (2 * step)


@given(BETAS, st.integers(2, 4))
def test_derivatives_equal_finite_differences(beta, k):
    beta = beta[:, :k]
    shape = curves(beta, THETA)
    for column in range(k):
        numeric = finite_difference(lambda b: probabilities(b, THETA)[0], beta, column)
        # Central differences of O(1) functions err by about 1e-10 / step = 1e-8.
        np.testing.assert_allclose(shape.derivatives[:, column], numeric, atol=1e-7)


@given(BETAS, st.integers(2, 4))
def test_curvature_equals_finite_differences(beta, k):
    beta = beta[:, :k]
    second = curvature(beta, THETA)
    for column in range(k):
        numeric = finite_difference(lambda b: curves(b, THETA).derivatives, beta, column)
        np.testing.assert_allclose(second[:, column], numeric, atol=1e-6)


@given(BETAS)
def test_right_and_wrong_sum_to_one_and_rise_with_the_slope(beta):
    right, wrong = probabilities(beta, THETA)
    np.testing.assert_allclose(right + wrong, 1, atol=1e-12)
    # u may lie below g here: the curve then falls where the slope is positive.
    lower, upper, _ = asymptotes(beta)
    direction = np.sign(beta[:, 0] * (upper - lower))
    assert (np.diff(right) * direction[:, None] >= -1e-12).all()


def test_information_of_a_2pl_item_is_largest_at_its_difficulty():
    table = pd.DataFrame({"item": ["x"], "a": [1.6], "d": [0.8], "g": [0.0], "u": [1.0]})
    theta = np.array([-0.5, -0.6, -0.4])
    information = item_information(table, theta)[0]
    assert information[0] == pytest.approx(1.6**2 / 4)
    assert information[0] == information.max()


def test_information_of_a_4pl_item_equals_the_published_formula():
    a, d, g, u = 1.7, -0.4, 0.22, 0.93
    table = pd.DataFrame({"item": ["x"], "a": [a], "d": [d], "g": [g], "u": [u]})
    p = g + (u - g) / (1 + np.exp(-(a * THETA + d)))
    magis = a**2 * (p - g) ** 2 * (u - p) ** 2 / ((u - g) ** 2 * p * (1 - p))
    np.testing.assert_allclose(item_information(table, THETA)[0], magis, rtol=1e-12)


@pytest.mark.parametrize(("g", "u", "k"), [(0.0, 1.0, 2), (0.2, 1.0, 3), (0.2, 0.9, 4)])
def test_beta_and_table_are_inverse(g, u, k):
    table = pd.DataFrame({"item": ["x", "y"], "a": [1.0, -2.0], "d": [0.5, 3.0], "g": g, "u": u})
    beta = parameters_beta(table)
    assert beta.shape == (2, k)
    pd.testing.assert_frame_equal(to_table(beta, np.array(["x", "y"], object)), table, rtol=1e-12)


def test_asymptotes_at_their_bounds_stay_finite():
    table = pd.DataFrame({"item": ["x"], "a": [50.0], "d": [0.0], "g": [0.0], "u": [1.0]})
    right, wrong = probabilities(to_beta(table, "4PL"), np.array([-6.0, 6.0]))
    assert np.isfinite(np.log(right)).all()
    assert np.isfinite(np.log(wrong)).all()
