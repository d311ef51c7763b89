"""Errors of paired differences: by hand, by scipy, by brute force, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, t, ttest_1samp

from itemwise.bank.paired import clustered_error, error_of_runs, paired


def test_by_hand():
    found = paired(np.array([1, 1, 1, 1, 0, 0]), np.array([1, 0, 0, 0, 1, 0]), 0.95)
    assert (found["only_first"], found["only_second"], found["n_items"]) == (3, 1, 6)
    assert found["difference"] == pytest.approx(100 * 2 / 6)
    assert found["p_mcnemar"] == pytest.approx(2 * binom.cdf(1, 4, 0.5))
    gap = np.array([0, 1, 1, 1, -1, 0])
    assert found["upper"] - found["difference"] == pytest.approx(
        t.ppf(0.975, 5) * 100 * gap.std(ddof=1) / np.sqrt(6), rel=1e-6
    )


def test_equal_models_do_not_differ():
    found = paired(np.array([1.0, 0, 1]), np.array([1.0, 0, 1]), 0.9)
    assert (found["difference"], found["p_mcnemar"]) == (0, 1)
    one = paired(np.array([1.0]), np.array([0.0]), 0.9)
    assert (one["lower"], one["upper"]) == (-100, 100)


def test_the_interval_is_that_of_paired_differences_and_narrower_than_unpaired():
    rng = np.random.default_rng(1)
    hard = rng.random(800)
    first, second = (rng.random(800) < hard).astype(float), (rng.random(800) < hard).astype(float)
    found = paired(first, second, 0.95)
    test = ttest_1samp(first - second, 0)
    low, high = test.confidence_interval(0.95)
    assert found["lower"] == pytest.approx(100 * low)
    assert found["upper"] == pytest.approx(100 * high)
    assert found["p_value"] == pytest.approx(test.pvalue)
    unpaired = 196 * np.sqrt(first.var() / 800 + second.var() / 800)
    assert found["upper"] - found["difference"] < 0.95 * unpaired


def test_clusters_of_one_are_no_clusters():
    values = np.random.default_rng(2).choice([-1.0, 0, 1], 50)
    alone, n = clustered_error(values, np.array([f"item {i}" for i in range(50)]))
    assert n == 50
    assert alone == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=1e-12)
    assert alone == pytest.approx(clustered_error(values)[0], rel=1e-12)


def test_clustered_error_by_brute_force():
    """Every product of two values of one cluster, as Miller (2024) writes it."""
    rng = np.random.default_rng(3)
    values, clusters = rng.normal(size=60), rng.choice(list("abcdefg"), 60)
    total, centred = 0.0, values - values.mean()
    for i in range(60):
        for j in range(60):
            if clusters[i] == clusters[j]:
                total += centred[i] * centred[j]
    error, n = clustered_error(values, clusters)
    assert n == 7
    assert error == pytest.approx(np.sqrt(7 / 6 * total) / 60, rel=1e-12)


def test_copies_of_an_item_add_nothing_when_clustered():
    values = np.random.default_rng(4).choice([-1.0, 0, 1], 40)
    copied, names = np.repeat(values, 5), np.repeat(np.arange(40), 5)
    assert clustered_error(copied, names)[0] == pytest.approx(clustered_error(values)[0])
    assert clustered_error(copied)[0] < 0.5 * clustered_error(values)[0]


def test_one_cluster_tells_nothing():
    found = paired(np.array([1.0, 0, 1]), np.array([0.0, 0, 1]), 0.95, np.array(["a"] * 3))
    assert (found["lower"], found["upper"], found["n_clusters"]) == (-100, 100, 1)
    assert np.isnan(found["standard_error"])
    assert np.isnan(found["p_value"])


def test_clustered_intervals_hold_where_naive_ones_do_not():
    """Equal models on 40 passages of 3 to 20 questions, 1,000 trials: standard error 0.7 %."""
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(40), rng.integers(3, 21, 40))
    held = {"naive": 0, "clustered": 0}
    for _ in range(1000):
        liking = rng.normal(scale=0.25, size=40)[clusters]  # what a model has for a passage
        first = (rng.random(len(clusters)) < np.clip(0.6 + liking, 0, 1)).astype(float)
        liking = rng.normal(scale=0.25, size=40)[clusters]
        second = (rng.random(len(clusters)) < np.clip(0.6 + liking, 0, 1)).astype(float)
        for name, known in (("naive", None), ("clustered", clusters)):
            found = paired(first, second, 0.95, known)
            held[name] += found["lower"] <= 0 <= found["upper"]
    assert held["naive"] < 850
    assert 925 <= held["clustered"] <= 970


def test_error_of_runs_is_the_spread_of_scores_when_answers_are_drawn_anew():
    """Fixed items, 3 runs each, 2,000 draws of all answers: standard error 1.6 %."""
    rng = np.random.default_rng(6)
    right = rng.random(100)
    answers = (rng.random((2000, 3, 100)) < right).astype(float)
    spread = answers.mean(axis=(1, 2)).std()
    counts = np.full(100, 3)
    found = [error_of_runs(counts, draw.var(axis=0, ddof=1)) for draw in answers]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(spread, rel=0.05)
    whole = [clustered_error(draw.mean(axis=0))[0] for draw in answers]
    assert np.mean(whole) > 1.5 * np.mean(found)  # items drawn anew differ, too
    assert np.isnan(error_of_runs(np.ones(3), np.full(3, np.nan)))


def test_means_of_runs_hold_both_parts_of_the_error():
    """Items and 4 answers of each drawn anew, 1,000 trials: the interval holds the truth."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        right = rng.beta(1, 1, (2, 150))
        first, second = rng.binomial(4, right) / 4
        found = paired(first, second, 0.95)
        held += found["lower"] <= 0 <= found["upper"]
    assert 930 <= held <= 970
