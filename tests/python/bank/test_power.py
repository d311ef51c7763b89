"""The smallest difference that a form finds: by hand, and found by models drawn anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from itemwise.bank.power import minimum_detectable_difference
from itemwise.readout.splines import smooth

ITEMS, FITTED, NEW = 80, 1000, 3000


def table(full, predicted) -> pd.DataFrame:
    return pd.DataFrame({"full_score": full, "predicted": predicted})


def test_by_hand():
    # Errors of 1 and -1 in turn around the line: the spread of neighbours is 2.
    full = np.arange(100.0)
    predicted = 0.9 * full + np.where(np.arange(100) % 2 == 0, 1.0, -1.0)
    told = minimum_detectable_difference(table(full, predicted))
    assert told["standard_deviation"] == pytest.approx(2, rel=1e-2)
    assert told["pairs"] == 100 * 99 / 2
    # A pair is found above 1.96 x 2 = 3.92 points of prediction: at 0.9 points a point of full
    # score, even distances from 5 on, odd ones with errors of 2 or -2 from 3 or from 7 on.
    assert 5 <= told["difference"] <= 7
    # Errors twice as large: 4 (1 - 0.9) of the variance, and 0.6 points a point.
    larger = minimum_detectable_difference(table(full, predicted), optimism=2)
    assert larger["standard_deviation"] == pytest.approx(4 * np.sqrt(0.6 / 0.9), rel=1e-2)
    assert larger["difference"] > 1.8 * told["difference"]
    # Four times: more than their variance.
    assert minimum_detectable_difference(table(full, predicted), optimism=4)["difference"] is None


def test_nothing_is_detectable_where_predictions_tell_nothing():
    rng = np.random.default_rng(1)
    full = rng.normal(50, 20, 200).clip(0, 100)
    for predicted in (np.full(200, 50.0), 50 + rng.normal(0, 1e-3, 200), 60 - full * 1e-3):
        assert minimum_detectable_difference(table(full, predicted))["difference"] is None
    for few in (full[:0], full[:1], full[:1].repeat(5)):
        told = minimum_detectable_difference(table(few, few))
        assert told["difference"] is None
        assert told["pairs"] == 0


def form_of(rng, slopes: str, size: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return fitted models, cross-fitted, and full scores and predictions of new ones."""
    a = np.ones(ITEMS) if slopes == "1PL" else rng.lognormal(0.2, 0.4, ITEMS)
    theta = 1.2 * rng.standard_normal(FITTED + NEW)
    chance = expit(a * (theta[:, None] - rng.normal(size=ITEMS)))
    right = rng.random(chance.shape) < chance
    full, part = 100 * right.mean(axis=1), right[:, :size].mean(axis=1)
    old, fold, bases = slice(FITTED), np.arange(FITTED) % 5, min(20, size + 3)
    predicted = np.empty(FITTED)
    for k in range(5):
        out = fold == k
        predicted[out] = smooth(part[old][~out], full[old][~out], part[old][out], bases)
    new = smooth(part[old], full[old], part[FITTED:], bases)
    return table(full[old], predicted), full[FITTED:], new


def found(rng, told: dict, full: np.ndarray, predicted: np.ndarray) -> float:
    """Return the share of new pairs found that differ as stated, to half an item."""
    first, second = rng.integers(0, NEW, (2, 400_000))
    near = np.abs(full[second] - full[first] - told["difference"]) <= 50 / ITEMS
    gap = predicted[second[near]] - predicted[first[near]]
    assert len(gap) > 300
    return float((gap > 1.959964 * told["standard_deviation"]).mean())


@pytest.mark.parametrize("slopes", ["1PL", "2PL"])
@pytest.mark.parametrize("size", [20, 10])
def test_models_drawn_anew_are_found_with_the_stated_power(slopes, size):
    """Ten forms each: a form's power has a standard deviation of .025, the mean of ten .008.

    Scores lie on a lattice of 20 (10) items, so that the power of one form jumps.
    """
    rng = np.random.default_rng([size, len(slopes), slopes == "2PL"])
    power = []
    for _ in range(10):
        fitted, full, predicted = form_of(rng, slopes, size)
        power.append(found(rng, minimum_detectable_difference(fitted), full, predicted))
    assert np.mean(power) == pytest.approx(0.8, abs=0.02)


def test_fewer_items_find_larger_differences_only():
    rng = np.random.default_rng(5)
    told = [
        minimum_detectable_difference(form_of(rng, "2PL", size)[0])["difference"]
        for size in (40, 20, 10, 5)
    ]
    assert told == sorted(told)
