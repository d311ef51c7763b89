"""Smoothing, measures, breaks, comparisons and correlations against known truth."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import spearmanr

from itemwise.analyses.suite import load
from itemwise.report.profile import rows_of_page
from itemwise.trajectories.axis import Axis
from itemwise.trajectories.build import (
    change_table,
    curve_table,
    headline_metrics,
    possible_values,
    trajectories_of,
)
from itemwise.trajectories.changepoints import FALSE_ALARM, LineCost, find_changes, penalty
from itemwise.trajectories.compare import compare
from itemwise.trajectories.correlate import block_length, correlate, correlations, spearman
from itemwise.trajectories.gather import gaps, place, point_errors
from itemwise.trajectories.measures import corrected_variation, folded_mean, summarize
from itemwise.trajectories.smooth import smooth

STEPS = np.r_[2.0 ** np.arange(10), 1000, 3000, np.arange(13000, 143001, 10000)]
X = np.log10(STEPS * 2**21)
AXIS = Axis("tokens", 6.0, "training tokens")
TRUTHS = {
    "rise": lambda x: 0.25 + 0.45 * expit(4 * (x - 9.6)),
    "line": lambda x: 0.2 + 0.03 * (x - 6),
    "flat": lambda x: np.full_like(x, 0.3),
    "rise and fall": lambda x: 0.3 + 0.3 * expit(3 * (x - 9)) - 0.1 * expit(4 * (x - 10.8)),
}


def observed(truth, rng, shared=0.0, n=500):
    """Return values and errors of accuracies; `shared` of the variance is common to all."""
    p = truth(X)
    se = np.sqrt(p * (1 - p) / n)
    noise = np.sqrt(1 - shared) * rng.standard_normal(len(X))
    return p + se * (noise + np.sqrt(shared) * rng.standard_normal()), se


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("name", TRUTHS)
def test_bands_hold_the_truth(name, shared):
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(150):
        y, se = observed(TRUTHS[name], rng, shared)
        lower, upper = smooth(X, y, se).band(X)
        hits.append((lower <= TRUTHS[name](X)) & (TRUTHS[name](X) <= upper))
    share = np.mean(hits, axis=0)
    # 95 % is promised on average over places; wider is allowed, for whether errors are
    # shared has to be guessed. Where the curve bends it may be less: smoothing has bias.
    assert share.mean() > 0.93
    assert share.min() > 0.8


def test_scatter_tells_shared_errors_from_independent_ones():
    rng = np.random.default_rng(2)
    phi = {
        shared: np.mean([smooth(X, *observed(TRUTHS["rise"], rng, shared)).phi for _ in range(40)])
        for shared in (0.0, 0.9)
    }
    assert phi[0.0] == pytest.approx(1, abs=0.15)
    # The prior that trusts the stated errors (as 4 points) keeps it above 0.1.
    assert phi[0.9] < 0.4


def test_line_is_found_exactly_and_weights_count():
    y = 2 + 3 * X
    curve = smooth(X, y, np.full(len(X), 0.1))
    assert curve.mean([7.0, 9.5]) == pytest.approx([23, 30.5], abs=1e-3)
    outlier = y.copy()
    outlier[5] += 10
    error = np.full(len(X), 0.1)
    error[5] = 1e3  # a point that nobody trusts
    assert smooth(X, outlier, error).mean([X[5]]) == pytest.approx(y[5], abs=0.05)


def test_smoothing_without_errors_estimates_them():
    rng = np.random.default_rng(3)
    x = np.linspace(8, 11, 200)
    y = np.sin(x) + rng.normal(0, 0.2, 200)
    curve = smooth(x, y)
    assert np.sqrt(curve.phi) == pytest.approx(0.2, rel=0.15)
    lower, upper = curve.band(x)
    assert np.mean((lower <= np.sin(x)) & (np.sin(x) <= upper)) > 0.85


def test_smoothing_refuses_too_few_positions_and_no_error():
    with pytest.raises(ValueError, match="fewer than 4"):
        smooth([1, 1, 2, 3], [0, 0, 0, 0], [1, 1, 1, 1])
    with pytest.raises(ValueError, match="positive"):
        smooth([1, 2, 3, 4], [0, 0, 0, 0], [1, 0, 1, 1])


def test_constant_trajectory_stays_finite():
    for error in (None, np.full(len(X), 0.05)):
        curve = smooth(X, np.full(len(X), 0.365), error)
        assert curve.mean(X) == pytest.approx(0.365)
        assert np.isfinite(curve.band(X)).all()


def test_rounding_is_no_precision():
    """A constant mean of thirds: its bootstrap's SE of 1e-16 once gave a weight of 1e32."""
    steps = 10.0 ** np.arange(6, 14)
    table = pd.DataFrame({"model": "m", "analysis": "a", "metric": "x", "group": "",
                          "revision": [f"{s:g}" for s in steps], "step": steps, "tokens": steps,
                          "value": 2 / 3 + 1e-16 * np.arange(8), "se": 1.1e-16})  # fmt: skip
    table = table.assign(lower=table["value"], upper=table["value"])
    assert point_errors(table).isna().all()
    wide = point_errors(table.assign(lower=0.5, upper=0.8))
    np.testing.assert_allclose(wide, 0.3 / (2 * 1.959964))
    # One checkpoint that is known, the others by rounding alone.
    table.loc[3, ["value", "se"]] = 0.7, 0.02
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for made in (table, table.assign(value=2 / 3), table.assign(se=0.02)):
            trajectories = trajectories_of(place(made)[0], {})
            assert change_table(trajectories) is None


def test_bands_stay_within_what_is_possible():
    suite = pd.DataFrame({"name": ["a", "b"], "metric": "x", "unit": ["share", "bits a byte"]})
    bounds = possible_values(suite)
    assert bounds == {("a", "x"): (0, 1)}
    y = np.array([0, 0, 0, 0, 0.02, 0.3, 0.8, 0.98, 1, 1, 1])
    at = 10.0 ** np.arange(4, 15)
    table = pd.DataFrame({"model": "m", "analysis": "a", "metric": "x", "group": "", "tokens": at,
                          "revision": [f"{s:g}" for s in at], "step": at, "value": y, "se": 0.05,
                          "lower": y, "upper": y})  # fmt: skip
    table = pd.concat([table, table.assign(analysis="b")])
    curves = curve_table(trajectories_of(place(table)[0], bounds), AXIS)
    ends = curves.groupby("analysis")[["lower", "value", "upper"]].agg(["min", "max"])
    assert ends.loc["a"].between(0, 1).all()
    assert ends.loc["b", ("lower", "min")] < 0
    assert ends.loc["b", ("upper", "max")] > 1


def test_draws_have_the_moments_of_the_posterior():
    y, se = observed(TRUTHS["rise"], np.random.default_rng(4))
    curve = smooth(X, y, se)
    at = np.linspace(7, 11, 9)
    drawn = curve.draws(at, 20_000, np.random.default_rng(5))
    assert drawn.mean(axis=0) == pytest.approx(curve.mean(at), abs=5e-4)
    # Student's t has variance degrees / (degrees - 2) times the scale.
    wide = curve.degrees / (curve.degrees - 2)
    expected = np.sqrt(wide * np.diag(curve.covariance(at, shared=False)))
    assert drawn.std(axis=0) == pytest.approx(expected, rel=0.1)


def test_gains_and_saturation_of_known_slopes():
    y = 0.2 + 0.05 * (X - X[0])
    found = measured(y, np.full(len(X), 1e-4))
    assert found["gain"]["value"] == pytest.approx(0.05 * np.ptp(X), rel=0.01)
    assert found["gain_per_tenfold"]["value"] == pytest.approx(0.05, rel=0.02)
    last = 10 ** X[-1]
    late = 0.05 * np.log10(2) / (last / 2 / 1e9)  # over the second half of all tokens
    assert found["gain_per_billion_tokens"]["value"] == pytest.approx(late, rel=0.05)
    place = X[0] + 0.9 * np.ptp(X)
    assert np.log10(found["saturation"]["value"]) == pytest.approx(place, abs=0.05)
    assert found["monotonicity"]["value"] == pytest.approx(1)
    assert found["total_variation_relative"]["value"] == pytest.approx(1)


def test_gain_intervals_hold_the_truth():
    rng = np.random.default_rng(6)
    truth = TRUTHS["rise"]
    end = truth(X[-1:])[0] - truth(X[-1:] - 1)[0]
    hits = []
    for _ in range(100):
        found = measured(*observed(truth, rng, 0.5))["gain_per_tenfold"]
        hits.append(found["lower"] <= end <= found["upper"])
    assert np.mean(hits) > 0.88  # 95 % less two standard errors of 100 draws, less bias


def test_no_saturation_without_a_gain():
    y, se = observed(TRUTHS["flat"], np.random.default_rng(7))
    assert np.isnan(measured(y, se)["saturation"]["value"])


def measured(y, se) -> dict:
    """Return the measures of one trajectory by name."""
    rows = summarize(X, y, se, smooth(X, y, se), AXIS, np.random.default_rng(8))
    columns = ["measure", "value", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns).set_index("measure").to_dict("index")


def test_noise_is_taken_out_of_the_total_variation():
    rng = np.random.default_rng(9)
    for name in ("rise", "flat"):
        truth = np.abs(np.diff(TRUTHS[name](X))).sum()
        raw, corrected = [], []
        for _ in range(60):
            y, se = observed(TRUTHS[name], rng)
            raw.append(np.abs(np.diff(y)).sum())
            corrected.append(corrected_variation(X, y, se, smooth(X, y, se), rng)[0])
        assert np.mean(raw) > truth + 0.2
        # The estimate is cut at 0, and scatter above the stated errors counts as the run's
        # own: chance leaves a part of the noise in, by design on the cautious side.
        assert np.mean(corrected) == pytest.approx(truth, abs=0.25 * (np.mean(raw) - truth))


def test_wavering_of_the_run_itself_stays_in_the_total_variation():
    y = TRUTHS["rise"](X) + 0.2 * (-1.0) ** np.arange(len(X))
    se = np.full(len(X), 0.005)
    raw = np.abs(np.diff(y)).sum()
    value, lower, upper = corrected_variation(X, y, se, smooth(X, y, se), np.random.default_rng(1))
    assert value > 0.95 * raw
    assert lower < value < upper


def test_folded_mean_by_known_values():
    assert folded_mean(np.array([0.0]), np.array([1.0])) == pytest.approx(np.sqrt(2 / np.pi))
    assert folded_mean(np.array([5.0]), np.array([0.1])) == pytest.approx(5)


@pytest.mark.parametrize(
    ("y", "place", "kind"),
    [
        (0.25 + 0.2 * np.maximum(X - 9.5, 0), 9.5, "slope"),
        (0.25 + 0.2 * (X > 10.8), 10.8, "level"),
    ],
)
def test_known_breaks_are_found(y, place, kind):
    rng = np.random.default_rng(10)
    se = np.full(len(X), 0.01)
    counts, near = [], []
    for _ in range(40):
        found = find_changes(X, y + rng.normal(0, se), se)
        counts.append(len(found))
        best = min(found, key=lambda one: abs((X[one.before] + X[one.after]) / 2 - place))
        near.append(abs((X[best.before] + X[best.after]) / 2 - place))
        assert best.kind in (kind, "both")
    assert np.mean(np.array(counts) == 1) >= 0.85
    assert np.median(near) < 0.4  # checkpoints lie up to 0.6 apart there


def test_breaks_say_how_much_changes():
    y = np.where(X < 10.8, 0.2 + 0.01 * X, 0.5 + 0.03 * X)
    (found,) = find_changes(X, y, np.full(len(X), 1e-4))
    place = (X[found.before] + X[found.after]) / 2
    assert X[found.before] < 10.8 <= X[found.after]
    assert (found.slope_before, found.slope_after) == pytest.approx((0.01, 0.03), abs=1e-4)
    assert found.jump == pytest.approx(0.3 + 0.02 * place, abs=1e-3)
    assert found.kind == "both"
    assert found.evidence > penalty(len(X))


@pytest.mark.parametrize(("n", "runs"), [(12, 300), (27, 300), (100, 60)])
def test_without_a_break_few_are_found(n, runs):
    rng = np.random.default_rng(11)
    x, se = np.sort(rng.uniform(8, 11, n)), rng.uniform(0.005, 0.02, n)
    found = [bool(find_changes(x, 0.3 + 0.05 * x + rng.normal(0, se), se)) for _ in range(runs)]
    # Three standard errors of that many draws.
    assert np.mean(found) < FALSE_ALARM + 3 * np.sqrt(FALSE_ALARM / runs)


def test_cost_of_a_segment_is_that_of_least_squares():
    rng = np.random.default_rng(12)
    x, y, se = np.sort(rng.uniform(6, 11, 30)), rng.uniform(size=30), rng.uniform(0.1, 1, 30)
    rows = np.column_stack([np.ones(30), x])[4:17] / se[4:17, None]
    residual = np.linalg.lstsq(rows, y[4:17] / se[4:17], rcond=None)[1][0]
    assert LineCost(x, y, se).error(4, 17) == pytest.approx(residual, rel=1e-9)


def test_few_checkpoints_have_no_breaks():
    assert find_changes(X[:5], np.array([0, 0, 9, 9, 9.0]), np.ones(5)) == []


def test_two_runs_part_where_they_part_and_equal_runs_do_not():
    rng = np.random.default_rng(13)
    parted, false, areas = [], [], []
    for _ in range(60):
        y, se = observed(TRUTHS["rise"], rng)
        other = y + 0.25 * np.clip(X - 10, 0, 1) + rng.normal(0, se)
        parted.append(compare(smooth(X, other, np.sqrt(2) * se), smooth(X, y, se)).parted)
        again, _ = observed(TRUTHS["rise"], rng)
        same = compare(smooth(X, again, se), smooth(X, y, se))
        false.append(same.parted is not None)
        areas.append(same.area[1] <= 0 <= same.area[2])
    assert all(place is not None and 10 < place < 11 for place in parted)
    assert np.mean(false) <= 0.1
    assert np.mean(areas) >= 0.9


def test_area_of_a_constant_difference():
    first, second = (smooth(X, np.full(len(X), v), np.full(len(X), 0.01)) for v in (0.5, 0.4))
    found = compare(first, second)
    assert found.area[0] == pytest.approx(0.1 * np.ptp(X))
    assert found.value == pytest.approx(0.1)
    assert found.parted == pytest.approx(X[0])


def test_runs_without_common_range_are_not_compared():
    early, late = smooth(X[:6], X[:6]), smooth(X[-6:], X[-6:])
    assert compare(early, late) is None


def test_spearman_is_that_of_scipy():
    rng = np.random.default_rng(14)
    a, b = rng.integers(0, 5, 20), rng.integers(0, 5, 20)
    assert spearman(a[None], b[None])[0] == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(spearman(np.ones((1, 5)), np.arange(5.0)[None])[0])


def test_blocks_are_wider_than_single_draws_for_dependent_checkpoints(monkeypatch):
    rng = np.random.default_rng(15)
    covered, widths = [], {"block": [], "single": []}
    for _ in range(60):
        a, b = autoregressive(rng, 60, 0.6), autoregressive(rng, 60, 0.6)
        _, lower, upper = correlate(a, b, rng)
        covered.append(lower <= 0 <= upper)
        widths["block"].append(upper - lower)
        with monkeypatch.context() as patch:
            patch.setattr("itemwise.trajectories.correlate.block_length", lambda n: 1)
            _, lower, upper = correlate(a, b, rng)
        widths["single"].append(upper - lower)
    assert np.mean(widths["block"]) > 1.1 * np.mean(widths["single"])
    # Blocks of n^(1/3) do not hold all of the dependence of 60 checkpoints.
    assert np.mean(covered) > 0.8
    assert [block_length(n) for n in (8, 27, 360)] == [2, 3, 7]


def autoregressive(rng, n: int, phi: float) -> np.ndarray:
    """Return a series in which each value remembers the one before."""
    values = [rng.standard_normal()]
    for _ in range(n - 1):
        values.append(phi * values[-1] + rng.standard_normal())
    return np.array(values)


def test_trend_correlates_levels_and_not_changes():
    rng = np.random.default_rng(16)
    trend = np.linspace(0, 3, 40)
    wide = pd.DataFrame(
        {"a": trend + rng.normal(0, 0.05, 40), "b": trend + rng.normal(0, 0.05, 40)}
    )
    wide.loc[3, "b"] = np.nan
    levels, changes = correlations(wide, rng)
    assert (levels["kind"], levels["n"]) == ("levels", 39)
    assert levels["spearman"] > 0.95
    assert changes["lower"] < 0 < changes["upper"]
    assert correlations(wide.iloc[:4], rng) == []


def rows_of(analysis: str, values: dict, revisions=("a", "b")) -> pd.DataFrame:
    """Return rows of `trajectories`: by metric, the values at two checkpoints."""
    return pd.DataFrame(
        {"model": "m", "revision": revision, "step": step, "tokens": 1e9 * step, "group": "",
         "analysis": analysis, "metric": metric, "value": value, "se": 0.01, "lower": value,
         "upper": value, "n": 9, "seed": None}
        for metric, row in values.items()
        for step, (revision, value) in enumerate(zip(revisions, row, strict=True), start=1)
    )  # fmt: skip


def test_a_headline_without_a_value_is_a_gap_and_no_other_metric():
    """With every verdict of a judge invalid `empty_rate` once stood in its place: no gap, 0."""
    suite = load()
    table = rows_of("mt_bench", {"empty_rate": (0.0, 0.1), "score": (None, 7.0)})
    main = headline_metrics(table, suite)
    assert main == {"mt_bench": "score"}
    (gap,) = gaps(table, headlines=main)
    assert (gap["revision"], gap["analyses"]) == ("a", ["mt_bench"])
    assert gap["reasons"] == {"mt_bench": "gave no value of 'score'"}
    (row,) = rows_of_page(place(table)[0], suite, main)
    assert (row.metric, row.chance, row.better) == ("score", 1, 1)
    nothing = table.assign(value=table["value"].where(table["metric"] != "score"))
    assert [gap["revision"] for gap in gaps(nothing, headlines=main)] == ["a", "b"]
    assert rows_of_page(place(nothing)[0], suite, main) == []


def test_the_suites_filter_decides_the_headline():
    """`exact_match (flexible-extract)` comes first in the alphabet; the suite says strict."""
    suite = load().iloc[[0]].assign(name="gsm8k", metric="exact_match", filter="strict-match",
                                    chance=0.0)  # fmt: skip
    table = rows_of("gsm8k", {"exact_match (flexible-extract)": (0.1, 0.2),
                               "exact_match (strict-match)": (0.0, 0.1)})  # fmt: skip
    main = headline_metrics(table, suite)
    assert main == {"gsm8k": "exact_match (strict-match)"}
    (row,) = rows_of_page(place(table)[0], suite, main)
    assert (row.percent, row.better, row.chance) == (True, 1, 0)
    assert possible_values(suite) == {("gsm8k", "exact_match (strict-match)"): (0.0, 1.0)}
