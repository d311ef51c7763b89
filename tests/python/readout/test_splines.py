"""The native penalised spline: truth, its own criterion, and mgcv."""

from __future__ import annotations

import numpy as np
import pytest
from r_stages import numbers_from_mgcv

from itemwise.readout.splines import LAMBDAS, basis, fit_splines, smooth


def curve(x):
    return 30 + 40 / (1 + np.exp(-2 * x)) + 5 * np.sin(x)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=1500)
    return x, curve(x) + rng.normal(0, 2, 1500)


def test_basis_sums_to_one_and_holds_its_ends():
    rows = basis(np.linspace(-1, 6, 50), 0, 5, 9)
    assert rows.shape == (50, 9)
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    np.testing.assert_allclose(rows[0], basis(np.array([0.0]), 0, 5, 9)[0])


def test_known_curve_is_recovered(data):
    x, y = data
    at = np.linspace(-2, 2, 100)
    # About 9 degrees of freedom among 1,500 with noise 2: 0.15; three times that.
    assert np.sqrt(np.mean((smooth(x, y, at) - curve(at)) ** 2)) < 0.45
    assert smooth(x, y, np.array([99.0])) == smooth(x, y, np.array([x.max()]))


def test_smoothness_minimises_generalised_cross_validation(data):
    x, y = data[0][:200], data[1][:200] - data[1][:200].mean()
    rows = basis(x, x.min(), x.max(), 12)
    penalty = np.diff(np.eye(12), 2, axis=0)
    best = (np.inf, None)
    for strength in LAMBDAS:
        hat = np.linalg.solve(rows.T @ rows + strength * penalty.T @ penalty, rows.T)
        residual = y - rows @ (hat @ y)
        score = (residual**2).sum() / (200 - np.trace(rows @ hat)) ** 2
        best = min(best, (score, strength), key=lambda pair: pair[0])
    direct = np.linalg.solve(rows.T @ rows + best[1] * penalty.T @ penalty, rows.T @ y)
    found = fit_splines(rows.T @ rows, rows.T @ y, y @ y, 200)
    np.testing.assert_allclose(rows @ found, rows @ direct, atol=1e-3)


def test_many_at_once_are_each_by_itself(data):
    x, y = data
    rows = basis(x, x.min(), x.max(), 10)
    targets = [y - y.mean(), np.sin(5 * x), x]
    gram = np.stack([rows.T @ rows] * 3)
    cross = np.stack([rows.T @ t for t in targets])
    total = np.array([t @ t for t in targets])
    together = fit_splines(gram, cross, total, np.full(3, len(x)))
    for row, one in enumerate(together):
        alone = fit_splines(gram[row], cross[row], total[row], len(x))
        np.testing.assert_allclose(one, alone, rtol=1e-9, atol=1e-9)


def test_agreement_with_mgcv(data, tmp_path):
    """Both choose the smoothness by GCV, with other bases: 0.1 points of a range of 40."""
    x, y = data
    at = np.linspace(np.quantile(x, 0.02), np.quantile(x, 0.98), 60)
    np.savetxt(tmp_path / "data.csv", np.column_stack([x, y]), delimiter=",")
    np.savetxt(tmp_path / "at.csv", at)
    code = (
        "d <- read.csv('data.csv', header = FALSE); names(d) <- c('x', 'y');"
        "m <- mgcv::gam(y ~ s(x, bs = 'ps', k = 20), data = d);"
        "cat(predict(m, data.frame(x = scan('at.csv', quiet = TRUE))))"
    )
    theirs = numbers_from_mgcv(code, tmp_path)
    assert np.sqrt(np.mean((smooth(x, y, at) - theirs) ** 2)) < 0.1
