"""Estimates against known values."""

import numpy as np
import pytest

from itemwise.analyses.intervals import average, bootstrap, mean, proportion


def test_wilson_by_its_formula():
    # 16 of 1,000, the share that a well-known demonstration gives without interval.
    found = proportion(16, 1000)
    p, n, z = 0.016, 1000, 1.959963984540054
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (found.lower, found.upper) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert found.se == pytest.approx(np.sqrt(p * (1 - p) / n))
    assert proportion(0, 0).n == 0
    with pytest.raises(ValueError, match="k"):
        proportion(5, 4)


def test_mean_and_average_by_hand():
    found = mean([1, 2, 3, 6])
    assert (found.value, found.n) == (3, 4)
    assert found.se == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3 / 4))
    parts = [proportion(1, 4), proportion(9, 10)]
    over = average(parts)
    assert over.value == pytest.approx((0.25 + 0.9) / 2)
    assert over.se == pytest.approx(np.sqrt(0.25 * 0.75 / 4 + 0.9 * 0.1 / 10) / 2)


def test_bootstrap_agrees_with_the_formula_of_a_mean():
    values = np.random.default_rng(0).normal(size=200)
    found = bootstrap(lambda i: values[i].mean(), 200, seed=1)
    assert found.value == pytest.approx(values.mean())
    assert found.se == pytest.approx(mean(values).se, rel=0.1)  # 1,000 draws: 2 % and more
    assert found.lower < found.value < found.upper
    assert found == bootstrap(lambda i: values[i].mean(), 200, seed=1)


def test_intervals_of_a_largest_difference_are_corrected_for_its_bias():
    # Ten groups alike: the largest difference is biased upwards in every sample of the sample.
    groups = np.repeat(np.arange(10), 8)
    values = np.random.default_rng(4).normal(size=80)

    def spread(i):
        return float(np.ptp(np.bincount(groups[i], values[i]) / np.bincount(groups[i])))

    found = bootstrap(spread, 80, 1, groups)
    assert found.lower < found.value <= found.upper


def test_bootstrap_within_strata_keeps_their_sizes():
    strata = np.array(["a"] * 3 + ["b"] * 7)
    sizes = set()
    bootstrap(lambda i: sizes.add((strata[i] == "a").sum()) or 0.0, 10, 1, strata, repeats=20)
    assert sizes == {3}
