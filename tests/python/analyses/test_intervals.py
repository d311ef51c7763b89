"""Estimates against known values."""

import numpy as np
import pytest

from itemwise.analyses.intervals import (
    average,
    bootstrap,
    difference,
    distance,
    mean,
    proportion,
    share,
    size,
)


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
    again = bootstrap(lambda i: values[i].mean(), 200, seed=1)
    assert repr(found) == repr(again)  # `trials` is no number, which equals nothing


def test_a_bootstrap_whose_samples_do_not_differ_knows_nothing():
    """A mean of thirds differs from sample to sample by rounding alone, 1e-16: not certainty."""
    values = np.full(50, 2 / 3)
    found = bootstrap(lambda i: values[i].mean() + 1e-16 * i[0], 50, seed=1)
    assert found.value == pytest.approx(2 / 3)
    assert np.isnan([found.se, found.lower, found.upper]).all()


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


def test_the_macro_of_one_share_is_wilsons_and_of_equal_zeros_that_of_all():
    one, alone = average([proportion(3, 20)]), proportion(3, 20)
    assert (one.lower, one.upper) == pytest.approx((alone.lower, alone.upper), abs=1e-9)
    none, together = average([proportion(0, 20)] * 57), proportion(0, 57 * 20)
    assert (none.lower, none.upper) == pytest.approx((0, together.upper), abs=1e-9)
    every = average([proportion(20, 20)] * 57)
    assert (every.lower, every.upper) == pytest.approx((1 - together.upper, 1), abs=1e-9)
    # Of parts that count alike, one of two trials tells hardly more than alone.
    uneven = average([proportion(0, 2), proportion(0, 10_000)])
    assert uneven.upper == pytest.approx(proportion(0, 2).upper / 2, rel=0.01)


def test_a_share_of_repeats_is_between_units_and_repeats():
    flags = np.zeros((30, 5), bool)
    assert share(flags).upper == pytest.approx(proportion(0, 30).upper)  # no event tells D
    flags[:10] = True
    assert share(flags).upper == pytest.approx(proportion(10, 30).upper)  # all repeats alike
    apart = np.zeros((30, 5), bool)
    apart[:, 0] = True
    assert proportion(30, 150).upper <= share(apart).upper < proportion(6, 30).upper


# Coverage of 95 % intervals by simulation: 1,000 runs have a standard error of 0.7 % there, and
# Wilson's swings by 2 % with the rate; 92 % is the least that any of these may have.
RUNS, LEAST = 1000, 0.92


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.3])
def test_rates_of_repeats_hold_rare_events(rate):
    rng = np.random.default_rng(1)
    p = rng.beta(4 * rate, 4 * (1 - rate), (RUNS, 100, 1))  # repeats correlate by 1 / 5
    found = [share(flags) for flags in rng.random((RUNS, 100, 5)) < p]
    assert np.mean([f.lower <= rate <= f.upper for f in found]) >= LEAST


@pytest.mark.parametrize("rate", [0.002, 0.3])
def test_macros_of_rates_hold_rare_events(rate):
    rng = np.random.default_rng(2)
    counts = rng.binomial(20, rate, (RUNS // 5, 57))
    found = [average([proportion(k, 20) for k in row]) for row in counts]
    # 200 runs have a standard error of 1.5 %.
    assert np.mean([f.lower <= rate <= f.upper for f in found]) >= LEAST - 0.01


def test_distances_and_ranges_hold_a_true_zero():
    rng = np.random.default_rng(3)
    even = [distance(proportion(k, 200), 0.5) for k in rng.binomial(200, 0.5, RUNS)]
    assert np.mean([f.lower == 0 for f in even]) >= LEAST
    group = np.repeat(np.arange(5), 40)
    for norm in (np.ptp, np.std):
        made = rng.normal(0, 0.4, (RUNS // 5, 200))
        found = [size(lambda m, f=norm: f(m, axis=-1), x, group, 1) for x in made]
        assert np.mean([f.lower == 0 for f in found]) >= LEAST - 0.02  # 200 runs
        assert all(f.lower <= f.value <= f.upper for f in found)
    far = distance(proportion(170, 200), 0.5)
    assert far.lower == pytest.approx(proportion(170, 200).lower - 0.5)
    assert far.value == pytest.approx(0.35)


def test_a_range_that_is_there_is_held_and_told_from_zero():
    rng = np.random.default_rng(4)
    true = np.array([0, 0.05, 0.1, 0.2, 0.6])
    group = np.repeat(np.arange(5), 40)
    made = rng.normal(0, 0.4, (200, 200)) + true[group]
    found = [size(lambda m: np.ptp(m, axis=-1), x, group, 1) for x in made]
    assert np.mean([f.lower <= 0.6 <= f.upper for f in found]) >= LEAST
    assert np.mean([f.lower > 0 for f in found]) > 0.95


def test_differences_of_shares_by_newcombes_table():
    # Newcombe 1998, Statist. Med. 17:873, table II, method 10: 56/70 - 48/80 and 10/10 - 0/10.
    found = difference(proportion(56, 70), proportion(48, 80))
    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    found = difference(proportion(10, 10), proportion(0, 10))
    assert (found.lower, found.upper) == pytest.approx((0.6075, 1), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("likeness", [0.02, 0.2, 0.6, 0.95])
@pytest.mark.parametrize("units", [50, 200])
def test_rates_of_repeats_over_rates_and_likeness(units, likeness):
    """One event of 50 alike units has Wilson's lower end at 0.35 %: at .2 %, 10 % miss by it."""
    rng = np.random.default_rng(5)
    held = []
    for rate in (0.002, 0.01, 0.05, 0.2, 0.5):
        more = 1 / likeness - 1
        p = rng.beta(rate * more, (1 - rate) * more, (RUNS, units, 1))
        found = [share(flags) for flags in rng.random((RUNS, units, 5)) < p]
        held.append(np.mean([f.lower <= rate <= f.upper for f in found]))
    assert min(held) >= 0.88
    assert np.mean(held) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 1.5])
@pytest.mark.parametrize("sizes", [(10, 40, 200), (20,) * 57])
def test_macros_of_rates_over_rates_and_sizes(sizes, spread):
    rng = np.random.default_rng(6)
    for rate in (0.002, 0.01, 0.05, 0.2, 0.5):
        logit = np.log(rate / (1 - rate)) + spread * np.linspace(-1, 1, len(sizes))
        p = 1 / (1 + np.exp(-logit))
        counts = rng.binomial(sizes, p, (400, len(sizes)))
        found = [average(list(map(proportion, row, sizes))) for row in counts]
        held = np.mean([f.lower <= p.mean() <= f.upper for f in found])
        assert held >= LEAST - 0.01  # 400 runs have a standard error of 1.1 %
