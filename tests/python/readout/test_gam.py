"""The read-out inside searches: against its definition, known functions, and mgcv."""

from __future__ import annotations

import numpy as np
import pytest
from r_stages import numbers_from_mgcv

from itemwise.readout.gam import (
    LAMBDAS,
    cross_fit_ridge,
    fit_additive,
    fit_ridge,
    predict_full_scores,
)


@pytest.fixture(scope="module")
def additive():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.uniform(0, 100, 800), rng.normal(size=800), rng.uniform(0, 1, 800)])
    truth = 30 + 20 * np.tanh((x[:, 0] - 50) / 20) + 3 * x[:, 1] ** 2
    return x, truth + rng.normal(size=800), truth


def test_ridge_minimises_generalised_cross_validation():
    rng = np.random.default_rng(2)
    x = (rng.random((90, 12)) < 0.5).astype(float)
    y = x @ rng.normal(size=12) + rng.normal(size=90)
    centred, target = x - x.mean(axis=0), y - y.mean()
    scores, slopes = [], []
    for penalty in LAMBDAS:
        hat = centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(12), centred.T)
        left = target - hat @ target
        scores.append(len(y) * left @ left / (len(y) - 1 - np.trace(hat)) ** 2)
        slopes.append(np.linalg.solve(centred.T @ centred + penalty * np.eye(12), centred.T @ y))
    intercept, ours = fit_ridge(x, y)
    np.testing.assert_allclose(ours, slopes[int(np.argmin(scores))], rtol=1e-8)
    assert intercept + x.mean(axis=0) @ ours == pytest.approx(y.mean())


def test_cross_fitted_rows_take_no_part_in_their_own_prediction():
    rng = np.random.default_rng(3)
    x, y, folds = rng.random((60, 4)), rng.random(60), np.arange(60) % 3
    before = cross_fit_ridge(x, y, folds)
    changed = np.where(folds == 1, y + 100, y)
    after = cross_fit_ridge(x, changed, folds)
    # But for the mean of all, which shifts every row alike.
    shift = changed.mean() - y.mean()
    np.testing.assert_allclose(after[folds == 1], before[folds == 1] + shift, rtol=1e-9)
    assert not np.allclose(after[folds == 0], before[folds == 0])


def test_a_fold_cannot_be_told_where_responses_tell_nothing():
    """Of noise the mean of the other folds is no predictor: all rows get nearly the same."""
    rng = np.random.default_rng(4)
    x, y, folds = rng.integers(0, 2, (60, 3)).astype(float), rng.random(60), np.arange(60) % 5
    predicted = cross_fit_ridge(x * 1e-3, y, folds)
    assert np.ptp(predicted) < 1e-2 * np.ptp([y[folds == k].mean() for k in range(5)])


def test_predictors_of_few_values_are_carried(additive):
    x, y, _ = additive
    flat = np.column_stack([x[:, 0], np.round(x[:, 1]) + 1e-7 * x[:, 2], np.full(len(x), 3.0)])
    fitted = fit_additive(flat, y)
    assert [len(part) for part in fitted.coefficients] == [20, 4, 4]
    assert np.isfinite(fitted.predict(flat)).all()


def test_known_functions_are_found_and_noise_is_not(additive):
    """Noise has SD 1; with about 20 degrees of freedom the fit errs by sqrt(20 / 800) = 0.16."""
    x, y, truth = additive
    fitted = fit_additive(x, y)
    assert np.sqrt(np.mean((fitted.predict(x) - truth) ** 2)) < 0.3
    only_third = np.tile(x.mean(axis=0), (50, 1))
    only_third[:, 2] = np.linspace(0, 1, 50)
    assert np.ptp(fitted.predict(only_third)) < 0.5


def test_predictors_are_held_at_the_ends_of_the_training_range(additive):
    x, y, _ = additive
    fitted = fit_additive(x, y)
    ends = np.array([x.max(axis=0), x.min(axis=0)])
    np.testing.assert_array_equal(fitted.predict(ends + [[9.0] * 3, [-9.0] * 3]),
                                  fitted.predict(ends))  # fmt: skip


def test_agreement_with_mgcv(additive, tmp_path):
    """Other bases and knots, smoothness by GCV in both: 0.1 points where scores span 60."""
    x, y, _ = additive
    np.savetxt(tmp_path / "data.csv", np.column_stack([y, x]), delimiter=",")
    code = (
        "d <- read.csv('data.csv', header = FALSE); names(d) <- c('y', 'p', 'q', 'r');"
        "s <- mgcv::s; f <- y ~ s(p, bs = 'cr', k = 20) + s(q, bs = 'cr', k = 20)"
        " + s(r, bs = 'cr', k = 10);"
        "m <- mgcv::gam(f, data = d);"
        "cat(fitted(m))"
    )
    theirs = numbers_from_mgcv(code, tmp_path)
    assert np.sqrt(np.mean((fit_additive(x, y).predict(x) - theirs) ** 2)) < 0.1


def test_full_scores_are_predicted_and_stay_within_their_range():
    rng = np.random.default_rng(4)
    theta = rng.normal(size=400)
    x = (rng.random((400, 20)) < 1 / (1 + np.exp(-2 * theta[:, None]))).astype(float)
    score = np.clip(50 + 40 * theta, 0, 100)
    folds = np.arange(300) % 5
    found = predict_full_scores(
        (x[:300], theta[:300]), score[:300], folds, (x[300:], theta[300:] * 3)
    )
    assert found.min() >= 0
    assert found.max() <= 100
    exact = predict_full_scores((x[:300], theta[:300]), score[:300], folds, (x[300:], theta[300:]))
    assert np.sqrt(np.mean((exact - score[300:]) ** 2)) < 1.5
