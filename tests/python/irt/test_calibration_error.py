"""What item parameters add to the error of abilities: derivatives, perturbations, refits."""

import numpy as np
import pandas as pd
import pytest

from itemwise import irt
from itemwise.irt.calibration_error import calibration_error, item_covariances
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses

NAMES = ["a", "d", "g", "u"]


def truth_and_rows(model, n_items=30, n_subjects=150, seed=1):
    """Return true parameters, and rows with a tenth of the cells missing."""
    rng = np.random.default_rng(seed)
    truth = draw_parameters(Design(n_subjects, n_items, model, "none", 0.0), rng)
    return truth, simulate_responses(truth, rng.standard_normal(n_subjects), 99, 0.1)


def with_errors(truth, spread, correlation=-0.4):
    """Give every parameter that varies a standard error; a and d a correlation."""
    errors = pd.DataFrame(0.0, index=truth.index, columns=NAMES)
    errors["a"], errors["d"] = spread, spread
    errors.loc[truth["g"] > 0, "g"] = spread / 10
    errors.loc[truth["u"] < 1, "u"] = spread / 10
    return truth.assign(
        **{f"se_{name}": errors[name] for name in NAMES},
        cov_ad=correlation * errors["a"] * errors["d"],
    )


@pytest.mark.parametrize("model", ["2PL", "4PL"])
@pytest.mark.parametrize("parameter", NAMES)
def test_each_parameter_moves_the_mode_as_predicted(model, parameter):
    """The derivative of the mode, from both sides, by one item's parameter."""
    truth, rows = truth_and_rows(model)
    if model == "2PL" and parameter in "gu":
        pytest.skip("the 2PL has no asymptotes")
    item, step = 3, 1e-4
    known = truth.assign(**{f"se_{name}": 0.0 for name in NAMES}, cov_ad=0.0)
    known.loc[item, f"se_{parameter}"] = 1.0
    abilities = irt.score(rows, truth, "MAP")
    predicted = calibration_error(rows, known, abilities)
    sides = []
    for sign in (1, -1):
        moved = truth.copy()
        moved.loc[item, parameter] += sign * step
        sides.append(irt.score(rows, moved, "MAP")["theta"].to_numpy())
    np.testing.assert_allclose(
        predicted, np.abs(sides[0] - sides[1]) / (2 * step), rtol=2e-3, atol=1e-5
    )


@pytest.mark.parametrize(("method", "tolerance"), [("MAP", 0.1), ("EAP", 0.16)])
def test_equals_the_spread_over_items_drawn_anew(method, tolerance):
    truth, rows = truth_and_rows("4PL", n_subjects=60)
    known = with_errors(truth, 0.1)
    predicted = calibration_error(rows, known, irt.score(rows, truth, method))
    rng, drawn = np.random.default_rng(2), []
    roots = np.linalg.cholesky(item_covariances(known) + 1e-12 * np.eye(4))
    for _ in range(150):
        moved = truth.copy()
        moved[NAMES] += np.einsum("ikl,il->ik", roots, rng.standard_normal((30, 4)))
        moved["g"], moved["u"] = moved["g"].clip(0.001, 0.9), moved["u"].clip(0.5, 0.999)
        drawn.append(irt.score(rows, moved, method)["theta"].to_numpy())
    ratio = predicted / np.std(drawn, axis=0)
    # 150 draws: a standard deviation varies by 6 %, and the posterior mean of the 4PL, whose
    # posteriors are skewed, agrees to first order alone.
    assert np.median(ratio) == pytest.approx(1, abs=tolerance)
    assert ratio.std() < 0.15


def test_covers_what_refits_differ_by():
    """Few subjects. Location and scale of each refit are removed: a read-out absorbs them.

    The items' variances hold location and scale too, so that the prediction exceeds it.
    """
    truth, rows = truth_and_rows("2PL")
    theta, predicted = [], []
    for seed in range(40):
        people = np.random.default_rng(seed).standard_normal(150)
        data = simulate_responses(truth, people, 1000 + seed, 0.0)
        # Shrunken estimates would differ by less than their posterior errors.
        fitted, _ = irt.fit(data, "2PL", "none", standard_errors=True)
        assert len(fitted) == len(truth)
        abilities = irt.score(rows, fitted)
        theta.append(abilities["theta"].to_numpy())
        predicted.append(calibration_error(rows, fitted, abilities) ** 2)
    mean = np.mean(theta, axis=0)
    aligned = [np.polyval(np.polyfit(one, mean, 1), one) for one in theta]
    ratio = np.mean(predicted) / np.var(aligned, axis=0, ddof=1).mean()
    assert 1 < ratio < 1.7
    assert np.mean(predicted) < np.var(theta, axis=0, ddof=1).mean()


def test_shrinks_with_the_sample_and_is_none_without_covariances():
    truth, rows = truth_and_rows("2PL")
    found = {}
    for n_subjects in (200, 3200):
        people = np.random.default_rng(1).standard_normal(n_subjects)
        fitted, _ = irt.fit(simulate_responses(truth, people, 5, 0.0), "2PL", standard_errors=True)
        found[n_subjects] = np.mean(calibration_error(rows, fitted, irt.score(rows, fitted)))
    assert found[200] / found[3200] == pytest.approx(4, rel=0.2)
    assert calibration_error(rows, truth, irt.score(rows, truth)) is None
    free = fitted.assign(se_a=np.nan, se_d=np.nan, cov_ad=np.nan)
    assert (calibration_error(rows, free, irt.score(rows, free)) == 0).all()
