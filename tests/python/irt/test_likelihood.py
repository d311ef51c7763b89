"""The marginal likelihood against brute force, finite differences and published values."""

import numpy as np
import pytest

from itemwise.irt.agreement import log_likelihood_of
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import probabilities
from itemwise.irt.quadrature import doubled, enough_points, normal_grid
from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import open_parquet

PUBLISHED = {
    "arc_primary": -189889.47,
    "arc_secondary": -120279.17,
    "gsm8k_primary": -382224.49,
    "gsm8k_secondary": -409894.40,
}
"""Log-likelihoods stored with the published mirt fits, to 0.01."""


def draw(n_subjects, n_items, k, missing, seed=3):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 2, (n_subjects, n_items)).astype(np.int8)
    matrix[rng.random(matrix.shape) < missing] = -1
    beta = rng.normal(size=(n_items, 4)) * [1, 1, 0.5, 0.5] + [1, 0, -1.5, 2.5]
    return matrix, beta[:, :k]


def brute_force(matrix, beta, grid):
    """Sum over nodes of products of probabilities, cell by cell."""
    right, wrong = probabilities(beta, grid.nodes)
    total = 0.0
    for row in matrix:
        likelihood = np.exp(grid.log_weights)
        for item, answer in enumerate(row):
            if answer >= 0:
                likelihood = likelihood * (right[item] if answer else wrong[item])
        total += np.log(likelihood.sum())
    return total


# Up to 10 % missing cells are sparse, more are dense: both paths.
@pytest.mark.parametrize("missing", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_log_likelihood_equals_brute_force(k, missing):
    matrix, beta = draw(30, 8, k, missing)
    grid = normal_grid(41)
    likelihood = MarginalLikelihood(matrix, f"{k}PL", grid)
    expected = brute_force(matrix, beta, grid)
    assert likelihood.log_likelihood(beta) == pytest.approx(expected, abs=1e-9)
    assert likelihood.evaluate(beta).log_likelihood == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_gradient_equals_finite_differences(k, missing):
    matrix, beta = draw(40, 6, k, missing)
    likelihood = MarginalLikelihood(matrix, f"{k}PL", normal_grid(61))
    gradient = likelihood.evaluate(beta).gradient
    step = 1e-5
    for item in range(6):
        for column in range(k):
            up, down = beta.copy(), beta.copy()
            up[item, column] += step
            down[item, column] -= step
            numeric = (likelihood.log_likelihood(up) - likelihood.log_likelihood(down)) / (2 * step)
            # Rounding of a log-likelihood of about -150 over 2e-5: 1e-9; truncation 1e-8.
            assert gradient[item, column] == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("n_forms", [1, 2, 300])
def test_fine_grids_lose_nothing_by_looking_only_where_posteriors_are(n_forms):
    rng = np.random.default_rng(4)
    slopes = rng.lognormal(2, 0.5, 40)
    beta = np.column_stack([slopes, slopes * rng.uniform(-3, 3, 40)])
    right, _ = probabilities(beta, np.linspace(-3, 3, 300))
    matrix = (rng.random(right.shape) < right).T.astype(np.int8)
    lacking = rng.random((n_forms, 40)) < (0.2 if n_forms > 1 else 0)
    matrix[lacking[np.arange(300) % n_forms]] = -1
    grid = normal_grid(961)
    likelihood = MarginalLikelihood(matrix, "2PL", grid)
    log_right, log_wrong = map(np.log, probabilities(beta, grid.nodes))
    joint = (matrix == 1) @ log_right + (matrix == 0) @ log_wrong + grid.log_weights
    whole = np.logaddexp.reduce(joint, axis=1, keepdims=True)
    assert likelihood.log_likelihood(beta) == pytest.approx(whole.sum(), rel=1e-12)
    posterior = np.exp(joint - whole)
    # Steep items: hardly any node of the 961 matters to a subject.
    assert (posterior > 1e-15).mean() < 0.25
    np.testing.assert_allclose(likelihood.posterior(beta), posterior, atol=1e-12)
    mean, sd = likelihood.moments(beta)
    np.testing.assert_allclose(mean, posterior @ grid.nodes, atol=1e-12)
    np.testing.assert_allclose(sd**2 + mean**2, posterior @ grid.nodes**2, atol=1e-11)
    counts = likelihood.counts(beta)
    np.testing.assert_allclose(counts.right, (matrix == 1).T @ posterior, atol=1e-10)
    total = np.broadcast_to(counts.total, counts.right.shape)
    np.testing.assert_allclose(total, (matrix >= 0).T @ posterior, atol=1e-10)


def test_thousands_of_items_do_not_underflow():
    matrix, beta = draw(5, 1500, 2, 0.0)
    value = MarginalLikelihood(matrix, "2PL", normal_grid(61)).log_likelihood(beta)
    assert np.isfinite(value)
    assert value < -1000  # exp of it is 0 in double precision


@pytest.mark.parametrize("k", [2, 4])
def test_threads_do_not_change_a_bit(k):
    matrix, beta = draw(5000, 60, k, 0.02)
    one = MarginalLikelihood(matrix, f"{k}PL", normal_grid(201), threads=1).evaluate(beta)
    two = MarginalLikelihood(matrix, f"{k}PL", normal_grid(201), threads=2).evaluate(beta)
    assert one.log_likelihood == two.log_likelihood
    assert np.array_equal(one.gradient, two.gradient)


def test_grid_of_61_points_is_mirts():
    grid = normal_grid(61)
    assert grid.nodes[0] == -6
    assert grid.spacing == pytest.approx(0.2)
    assert np.exp(grid.log_weights).sum() == pytest.approx(1)
    assert doubled(61) == 121


def test_enough_points_resolve_the_posterior():
    for sd in (0.1, 0.02):
        assert normal_grid(enough_points(sd)).spacing <= sd
    assert enough_points(0.5) == 61  # never coarser than mirt's


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_estimates_give_the_published_log_likelihood(name, real_data):
    responses = read_responses(real_data / f"leaderboard/{name}.responses.parquet")
    parameters = open_parquet(real_data / f"leaderboard/{name}.mirt-items.parquet").to_pandas()
    value = log_likelihood_of(responses, parameters, 61)
    assert value == pytest.approx(PUBLISHED[name], abs=0.01)
