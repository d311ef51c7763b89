"""The information filter: metabench's published outcome, and what must always hold."""

import json
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.errors import UserError
from itemwise.forms import random_forms
from itemwise.selection.information_filter import (
    ability_grid,
    bin_maxima,
    budget_filter,
    information_filter,
    quantiles_type_4,
)


@pytest.mark.parametrize(
    "name", ["arc_primary", "arc_secondary", "gsm8k_primary", "gsm8k_secondary"]
)
def test_published_selection_is_reproduced(name, real_data):
    table = pq.read_table(real_data / "leaderboard" / f"{name}.information.parquet")
    published = json.loads((real_data / "leaderboard" / f"{name}.selection.json").read_text())
    items = table.column_names[1:]
    values = np.column_stack([column.to_numpy() for column in table.columns])
    chosen = information_filter(
        values[:, 0], values[:, 1:], published["n_quantiles"], published["threshold"]
    )
    assert [items[position] for position in chosen.positions] == published["items"]


@st.composite
def problems(draw):
    """Return abilities, information (no two values alike) and a number of bins."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_nodes, n_items = draw(st.integers(2, 40)), draw(st.integers(1, 15))
    theta = np.sort(rng.standard_normal(n_nodes))
    return theta, rng.exponential(size=(n_nodes, n_items)), draw(st.integers(1, 30))


@given(problems(), st.floats(0, 5))
@settings(deadline=None)
def test_filter_takes_an_item_once_and_only_if_it_is_worth_it(problem, threshold):
    theta, information, bins = problem
    chosen = information_filter(theta, information, bins, threshold)
    assert len(chosen.positions) <= min(bins, information.shape[1])
    assert len(set(chosen.positions)) == len(chosen.positions)
    assert (chosen.information >= threshold).all()
    assert (np.diff(chosen.theta) > 0).all()  # bins are visited from low to high ability
    for item, gain, place in zip(chosen.positions, chosen.information, chosen.theta, strict=True):
        assert information[theta == place, item] == gain


@given(problems(), st.integers(1, 15))
@settings(deadline=None)
def test_budget_is_kept_by_the_smallest_threshold_that_keeps_it(problem, budget):
    theta, information, bins = problem
    budget = min(budget, bins, information.shape[1])
    chosen = budget_filter(theta, information, bins, budget)
    assert len(chosen.positions) <= budget
    # By brute force: every threshold that matters, in place of bisection.
    maxima, _ = bin_maxima(theta, information, bins)
    sizes = {
        threshold: len(information_filter(theta, information, bins, threshold).positions)
        for threshold in np.unique(maxima[np.isfinite(maxima)])
    }
    assert chosen.threshold == min(t for t, size in sizes.items() if size <= budget)
    thresholds = sorted(sizes)
    assert all(sizes[a] >= sizes[b] for a, b in pairwise(thresholds))


def test_filter_walks_as_by_hand():
    theta = np.array([0.0, 1.0, 2.0, 3.0])
    # Two bins: edges at theta[0], theta[1], theta[3], the upper edge being exclusive.
    information = np.array([[0.9, 0.8, 0.1], [0.9, 0.2, 0.3], [0.1, 0.7, 0.4], [9.0, 9.0, 9.0]])
    chosen = information_filter(theta, information, bins=2, threshold=0.0)
    assert chosen.positions.tolist() == [0, 1]
    assert chosen.information.tolist() == [0.9, 0.7]
    assert chosen.theta.tolist() == [0.0, 2.0]
    assert information_filter(theta, information, 2, threshold=0.8).positions.tolist() == [0]


def test_quantiles_are_type_4_of_hyndman_and_fan():
    ascending = np.array([1.0, 2.0, 4.0, 8.0])
    # Linear interpolation of the empirical distribution function, k / n at the k-th value.
    at = np.array([0.0, 0.25, 0.375, 0.5, 0.875, 1.0])
    assert quantiles_type_4(ascending, at).tolist() == [1.0, 1.0, 1.5, 2.0, 6.0, 8.0]


def test_quantiles_equal_those_of_r(rscript):
    theta = np.sort(np.random.default_rng(7).standard_normal(101))
    code = (
        "options(digits = 17); x <- scan(text = Sys.getenv('X'), quiet = TRUE); "
        "cat(quantile(x, (0:60) / 60, type = 4, names = FALSE))"
    )
    printed = rscript(code, X=" ".join(map(repr, theta.tolist())))
    expected = [float(text) for text in printed.stdout.split()]
    # 17 printed digits: to the last bit but for what R's printing rounds.
    np.testing.assert_allclose(quantiles_type_4(theta, np.arange(61) / 60), expected, rtol=1e-15)


def test_grids():
    theta = np.array([2.0, -1.0, 0.5])
    assert ability_grid(theta, "subjects", 5).tolist() == [-1.0, 0.5, 2.0]
    assert ability_grid(theta, "even", 4).tolist() == [-1.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("budget", "bins", "message"),
    [
        (0, 10, "budget: 0 items of 3 in the pool; set config key 'selection.budget' between"),
        (4, 10, "budget: 4 items of 3 in the pool"),
        (3, 2, "budget: 3 items with 2 quantile bins, one item a bin; raise .* at least 3"),
    ],
)
def test_impossible_budget_is_refused(budget, bins, message):
    theta = np.linspace(-2, 2, 9)
    information = np.random.default_rng(1).random((9, 3))
    with pytest.raises(UserError, match=message):
        budget_filter(theta, information, bins, budget)


def test_items_that_all_tell_the_same_cannot_keep_a_budget():
    with pytest.raises(UserError, match="budget: 5 items reach the largest information alike"):
        budget_filter(np.linspace(-2, 2, 9), np.ones((9, 5)), bins=8, budget=2)


@given(st.integers(1, 60), st.data(), st.integers(0, 5), st.integers(0, 1000))
def test_random_forms_have_no_item_twice(n_items, data, n_forms, seed):
    size = data.draw(st.integers(1, n_items))
    forms = random_forms(n_items, size, n_forms, seed)
    assert len(forms) == n_forms
    for form in forms:
        assert len(set(form.tolist())) == size
        assert set(form.tolist()) <= set(range(n_items))
    again = random_forms(n_items, size, n_forms, seed)
    assert all(np.array_equal(a, b) for a, b in zip(forms, again, strict=True))


def test_random_forms_draw_every_item_alike():
    forms = random_forms(n_items=10, size=3, n_forms=3000, seed=1)
    counts = np.bincount(np.concatenate(forms), minlength=10)
    # Binomial(3000, 0.3): standard deviation 25; four of them for the ten counts.
    assert (np.abs(counts - 900) < 100).all()
    assert not np.array_equal(forms[0], forms[1])
