"""Intervals of scores at the ends of the scale, and beyond the calibration's models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise.bank.bank import Bank
from itemwise.bank.model_scores import aberrant_responses
from itemwise.irt.scoring import score
from itemwise.irt.simulation import simulate_responses
from itemwise.readout.interval import at_level, open_sides, opened, with_ends
from itemwise.readout.splines import smooth

LEVEL, Z90, Z95 = 0.9, 1.6448536, 1.9599640


def scores(predicted, half) -> pd.DataFrame:
    table = pd.DataFrame({"predicted": predicted, "half_lower": half, "half_upper": half})
    return with_ends(table.assign(level=LEVEL))


def test_other_levels_are_made_before_the_ends_are_cut():
    found = at_level(scores([1.0, 50.0, 99.0], 4.0), 0.95)
    wide = 4 * Z95 / Z90
    np.testing.assert_allclose(found["lower"], [0, 50 - wide, 99 - wide], rtol=1e-6)
    np.testing.assert_allclose(found["upper"], [1 + wide, 50 + wide, 100], rtol=1e-6)
    np.testing.assert_allclose(found["se"], 4 / Z90, rtol=1e-6)


def test_intervals_near_the_floor_are_nested_and_hold_their_share():
    """Scores of 2.5 points, read out with an SE of 2.4: 90 % intervals brought to 95 %.

    20,000 draws have a standard error of 0.15 %. From the cut width 81.5 % held.
    """
    se, true = 4 / Z90, 2.5
    noise = np.random.default_rng(1).normal(0, se, 20_000)
    table = scores(np.clip(true + noise, 0, 100), 4.0)
    found = at_level(table, 0.95)
    assert (found["lower"] <= table["lower"]).all()
    assert (found["upper"] >= table["upper"]).all()
    held = ((found["lower"] <= true) & (true <= found["upper"])).mean()
    assert held >= 0.95 - 0.005
    assert ((table["lower"] <= true) & (true <= table["upper"])).mean() >= 0.9 - 0.005


POOL, FORM, MODELS = 400, 20, 500


def bank(lean: float) -> Bank:
    """Return a bank of 400 items and a form of 20, read out from 500 models of N(0, 1).

    The form is easier than the pool by `lean`: some models have all its items right (of a hard
    one: wrong), so that nobody's predictors lie beyond.
    """
    rng = np.random.default_rng(7)
    items = [f"b.{i}" for i in range(POOL)]
    pool = pd.DataFrame({"item": items, "a": rng.lognormal(0.2, 0.3, POOL),
                         "d": rng.normal(0.3, 1, POOL), "g": 0.0, "u": 1.0})  # fmt: skip
    pool.loc[: FORM - 1, "d"] += lean
    theta = rng.normal(size=MODELS)
    full, short = answers(pool, theta, 1)
    assert lean == 0 or (short.matrix == (lean > 0)).all(axis=1).any()
    known = score(short, pool[:FORM])["theta"].to_numpy()
    nodes = np.linspace(known.min(), known.max(), 41)
    expected = smooth(known, full, known, n_bases=12)
    scale = np.array([0.0, 5, 50, 95, 100]), np.array([4.0, 4, 10, 4, 4])
    ratio = np.quantile(np.abs(full - expected) / np.interp(expected, *scale), LEVEL)
    curve = smooth(known, full, nodes, n_bases=12)
    rows = [("intercept", "i", "", 1, np.nan, np.nan, 0.0)]
    rows += [("smooth", "s", "theta", k, x, np.nan, y)
             for k, (x, y) in enumerate(zip(nodes, curve, strict=True), 1)]  # fmt: skip
    rows += [("range", "theta", "theta", 1, nodes[0], nodes[-1], 0.0)]
    rows += [("scale", "scale", "predicted", k, x, np.nan, y)
             for k, (x, y) in enumerate(zip(*scale, strict=True), 1)]  # fmt: skip
    rows += [("quantile", "q", "", 1, LEVEL, np.nan, ratio)]
    terms = pd.DataFrame(rows, columns=["kind", "term", "variable", "node", "x", "x2", "value"])
    terms = terms.assign(benchmark="b", form="A", variable2="")
    coefficients = pd.DataFrame({"benchmark": "b", "form": "A", "item": ["(intercept)", *items],
                                 "coefficient": 0.0})  # fmt: skip
    return Bank(
        {"benchmarks": {"b": {"scoring": "EAP", "metric": None, "filter": None}}},
        pd.DataFrame({"benchmark": "b", "item": items}),
        pool,
        pd.DataFrame({"benchmark": "b", "form": "A", "item": items[:FORM],
                      "rank": range(1, FORM + 1)}),
        pd.concat([terms.assign(readout=name) for name in ("form", "ability")]),
        coefficients,
    )  # fmt: skip


def answers(pool, theta, seed):
    """Return full scores in points, and the responses to the form."""
    whole = simulate_responses(pool, theta, seed)
    short = whole.select_items(list(pool["item"][:FORM]), "responses")
    return 100 * (whole.matrix == 1).mean(axis=1), short


@pytest.mark.parametrize(("side", "lean"), [(1, 1.5), (-1, -2.5)])
def test_models_beyond_the_calibration_are_flagged_and_held(side, lean):
    """400 models of theta = 4, or -4, of which the form was too easy, or too hard, to tell."""
    made = bank(lean)
    full, short = answers(made.parameters, np.full(400, 4.0 * side), 2)
    table = made.score(short)
    alone = made.readout("b", "A", "form").predict(made.features(short, "b", "A"))
    alone_held = ((alone["lower"] <= full) & (full <= alone["upper"])).mean()
    assert alone_held < 0.1
    held = (table["lower"] <= full) & (full <= table["upper"])
    saturated = (short.matrix == short.matrix[:, :1]).all(axis=1)
    assert table["extrapolated"][saturated].all()
    assert held[saturated].all()
    # One answer of 20 that is not like the others, as one in eight models gives, bounds ability.
    assert held.mean() >= 0.85
    # The widening is one-sided.
    closed = "half_lower" if side > 0 else "half_upper"
    np.testing.assert_allclose(table[closed], alone[closed])
    said = "better" if side > 0 else "worse"
    assert any(
        f"{said} than the calibration can tell" in text for text in aberrant_responses(made, table)
    )


def test_models_like_those_of_the_calibration_keep_their_intervals():
    made = bank(0.0)
    full, short = answers(made.parameters, np.random.default_rng(3).normal(size=1000), 4)
    table = made.score(short)
    held = (table["lower"] <= full) & (full <= table["upper"])
    assert LEVEL - 0.03 <= held.mean() <= LEVEL + 0.05  # 1,000 models: 1 %, and read-out error
    assert table["extrapolated"].mean() < 0.1


def test_open_sides_by_hand():
    """One item, a = 1, d = 0, answered twice: the bound solves log P = log(max) - z^2 / 2."""
    items = pd.DataFrame({"item": ["a", "b"], "a": 1.0, "d": 0.0, "g": 0.0, "u": 1.0})
    matrix = np.array([[1, 1], [0, 0], [1, 0], [1, -1]], np.int8)
    at = np.array([3.0, -3.0, 0.0, 0.5])
    found = open_sides(matrix, items, items, at, (-1, 1), LEVEL)
    assert found["open_upper"].tolist() == [1, 0, 0, 1]
    assert found["open_lower"].tolist() == [0, 1, 0, 0]
    # Mixed answers beyond the range: P (1 - P) >= exp(-z^2 / 2) / 4, so theta <= 2.53.
    beyond = open_sides(matrix[2:3], items, items, np.array([1.2]), (-1, 1), LEVEL)
    least = np.exp(-(Z90**2) / 2) / 4
    wrong = (1 - np.sqrt(1 - 4 * least)) / 2
    expected = 1 - wrong / (1 / (1 + np.e))
    assert beyond.at[0, "open_upper"] == pytest.approx(expected, abs=0.02)  # nodes of 0.05
    table = pd.DataFrame({"predicted": [80.0], "half_lower": 3.0, "half_upper": 3.0,
                          "extrapolated": 0})  # fmt: skip
    wide = opened(table, np.array([0.0]), np.array([0.5]))
    assert (wide.at[0, "lower"], wide.at[0, "upper"]) == pytest.approx((77, 80 + np.hypot(3, 10)))
