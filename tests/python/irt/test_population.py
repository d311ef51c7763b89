"""The simulated leaderboard has the properties that its description promises."""

import numpy as np
import pytest

from itemwise.irt.population import (
    COMMON_SHARE,
    FAMILY_SHARE,
    MODELS_PER_ORGANIZATION,
    simulate_population,
)
from itemwise.tables.contract import check_table


def simulate(number=0, n_subjects=4000, n_items=400, guessing=0.0, missing=0.0, seed=1):
    return simulate_population("b", number, n_subjects, n_items, guessing, missing, seed)


@pytest.fixture(scope="module")
def first():
    return simulate(missing=0.1)


def test_tables_keep_the_contract(first):
    check_table(first.parameters, "parameters", "parameters")
    check_table(first.abilities, "abilities", "abilities")


def test_same_seed_gives_the_same_population_and_another_seed_another(first):
    again, other = simulate(missing=0.1), simulate(missing=0.1, seed=2)
    assert np.array_equal(first.responses.matrix, again.responses.matrix)
    assert not np.array_equal(first.responses.matrix, other.responses.matrix)


def test_abilities_are_standard_normal_and_correlate_between_benchmarks(first):
    theta = first.abilities["theta"].to_numpy()
    second = simulate(number=1, n_items=2).abilities["theta"].to_numpy()
    # Within-family correlation makes 4,000 models worth about 2,500: 4 SE = 0.08.
    assert abs(theta.mean()) < 0.08
    assert abs(theta.std() - 1) < 0.08
    assert np.corrcoef(theta, second)[0, 1] == pytest.approx(COMMON_SHARE, abs=0.05)


def test_models_of_an_organization_are_alike(first):
    theta = first.abilities["theta"].to_numpy().reshape(-1, MODELS_PER_ORGANIZATION)
    organizations = {subject.split("/")[0] for subject in first.abilities["subject"]}
    assert len(organizations) == len(theta)
    # 1,000 pairs: 4 SE of a correlation = 0.13.
    expected = COMMON_SHARE * FAMILY_SHARE
    assert np.corrcoef(theta[:, 0], theta[:, 1])[0, 1] == pytest.approx(expected, abs=0.13)


def test_share_of_missing_cells(first):
    # 1.6 million cells: 5 SE = 0.0012.
    assert 1 - first.responses.administered.mean() == pytest.approx(0.1, abs=0.0012)


def test_responses_follow_the_curves(first):
    p, theta = first.parameters, first.abilities["theta"].to_numpy()
    expected = 1 / (1 + np.exp(-(np.outer(theta, p["a"]) + p["d"].to_numpy())))
    right = np.where(first.responses.administered, first.responses.matrix == 1, np.nan)
    difference = np.nanmean(right, axis=0) - expected.mean(axis=0)
    # 3,600 responses an item: SE at most 0.0083; four and a half for 400 items.
    assert np.abs(difference).max() < 0.0375


def test_guessing_is_the_mean_lower_asymptote():
    assert (simulate(n_items=2, guessing=0.0).parameters["g"] == 0).all()
    lower = simulate(n_subjects=2, guessing=0.2).parameters["g"]
    # Beta(4, 16): SD 0.087, so SE of 400 items 0.0044.
    assert lower.mean() == pytest.approx(0.2, abs=0.018)
