"""Linking and item bias against known truth."""

import numpy as np
import pandas as pd
import pytest

from itemwise import irt
from itemwise.errors import UserError
from itemwise.irt.dif import item_bias
from itemwise.irt.linking import (
    Link,
    calibrate_new_items,
    link_by_items,
    link_by_subjects,
    transform,
)
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses

TRUTH = draw_parameters(Design(1, 40, "2PL", "none", 0.0), np.random.default_rng(6))
SLOPE, INTERCEPT = 1.3, 0.7


def sample(n, mean=0.0, sd=1.0, seed=1, items=TRUTH):
    rng = np.random.default_rng(seed)
    theta = mean + sd * rng.standard_normal(n)
    return simulate_responses(items, theta, seed + 100), theta


def test_transform_keeps_every_probability():
    moved = transform(TRUTH, Link(SLOPE, INTERCEPT, 0, 0, 40))
    theta = np.linspace(-2, 2, 9)
    before = irt.item_information(TRUTH, theta)
    after = irt.item_information(moved, SLOPE * theta + INTERCEPT)
    np.testing.assert_allclose(after, before / SLOPE**2, rtol=1e-12)


def test_transform_leaves_no_errors_of_another_scale():
    errors = {"se_a": 0.1, "se_d": 0.1, "cov_ad": 0.005}
    moved = transform(TRUTH.assign(**errors), Link(SLOPE, INTERCEPT, 0, 0, 40))
    assert moved.columns.tolist() == TRUTH.columns.tolist()


def test_items_link_exactly_when_nothing_but_the_scale_differs():
    first = transform(TRUTH, Link(SLOPE, INTERCEPT, 0, 0, 40))
    link = link_by_items(first, TRUTH)
    assert link.slope == pytest.approx(SLOPE, abs=1e-4)
    assert link.intercept == pytest.approx(INTERCEPT, abs=1e-4)
    assert link.n_common == 40


def test_two_samples_of_different_ability_are_linked_within_their_error():
    data, one = sample(2000, seed=1)
    other, two = sample(2000, mean=INTERCEPT, sd=SLOPE, seed=2)
    link = link_by_items(irt.fit(data, "2PL")[0], irt.fit(other, "2PL")[0])
    # Each scale is N(0, 1) in the abilities of its own sample, as drawn.
    slope = two.std() / one.std()
    assert link.slope == pytest.approx(slope, abs=3 * link.se_slope)
    assert link.intercept == pytest.approx(
        (two.mean() - one.mean()) / one.std(), abs=3 * link.se_intercept
    )
    assert 0.001 < link.se_slope < 0.05


@pytest.mark.parametrize("method", ["EAP", "ML"])
def test_common_subjects_link_two_calibrations(method):
    # The second calibration comes from abler, more spread models; the subjects in common
    # are of the first kind, so that the second one's prior pulls them far off.
    data, _ = sample(1500, seed=4)
    other, _ = sample(3000, mean=INTERCEPT, sd=SLOPE, seed=5)
    abilities = [
        irt.score(data, irt.fit(calibrated, "2PL")[0], method) for calibrated in (data, other)
    ]
    link = link_by_subjects(*abilities)
    assert link.slope == pytest.approx(SLOPE, abs=0.08)
    assert link.intercept == pytest.approx(INTERCEPT, abs=0.08)
    assert link.n_common == (~abilities[0]["theta"].isna() & ~abilities[1]["theta"].isna()).sum()
    assert 0 < link.se_intercept < 0.05


def test_new_items_land_on_the_scale_of_the_anchors():
    data, _ = sample(3000, mean=INTERCEPT, sd=SLOPE, seed=3)
    new, record = calibrate_new_items(data, TRUTH[:20])
    assert record["converged"]
    assert record["mean"] == pytest.approx(INTERCEPT, abs=0.1)  # 4 standard errors of 0.024
    assert record["sd"] == pytest.approx(SLOPE, abs=0.08)
    assert new["item"].tolist() == TRUTH["item"][20:].tolist()
    truth = TRUTH[20:].reset_index(drop=True)
    assert np.sqrt(((new["a"] - truth["a"]) ** 2).mean()) < 0.1
    # A calibration by itself would be off by the whole scale:
    alone, _ = irt.fit(data, "2PL")
    assert (alone["a"][20:].to_numpy() / truth["a"]).median() > 1.2


@pytest.mark.parametrize("model", ["2PL", pytest.param("3PL", marks=pytest.mark.slow)])
def test_new_items_have_the_model_asked_for_beside_any_anchors(model):
    anchors = TRUTH[:20].assign(g=0.1, u=0.95)
    items = pd.concat([anchors, TRUTH[20:]])
    data, _ = sample(1500, seed=7, items=items)
    new, record = calibrate_new_items(data, anchors, model, prior="weak")
    assert record["converged"]
    assert (new["u"] == 1).all()
    assert (new["g"] == 0).all() == (model == "2PL")


def test_anchors_refuse_the_1pl():
    with pytest.raises(UserError, match="'1PL' is not one of 2PL, 3PL, 4PL"):
        calibrate_new_items(sample(100)[0], TRUTH[:20], "1PL")


def test_unsuitable_abilities_are_refused():
    data, _ = sample(300)
    table = irt.score(data, TRUTH, "EAP")
    with pytest.raises(UserError, match="one form and one method"):
        link_by_subjects(pd.concat([table, table]), table)
    with pytest.raises(UserError, match="spread no more than their standard errors"):
        link_by_subjects(table.assign(theta=0.1), table)
    with pytest.raises(UserError, match="several abilities"):
        item_bias(data, pd.concat([table, table]), np.arange(300) < 100)


def test_too_few_anchors_or_common_items_are_refused():
    data, _ = sample(100)
    with pytest.raises(UserError, match="the responses hold 2 of the 2 anchors and 38 new items"):
        calibrate_new_items(data, TRUTH[:2])
    with pytest.raises(UserError, match="linking: 0 common items"):
        link_by_items(TRUTH[:20], TRUTH[20:])


def test_contaminated_items_are_flagged_and_others_are_not():
    data, theta = sample(1200, seed=9)
    focal = np.arange(1200) % 4 == 0
    leaked = [3, 11, 27]
    rng = np.random.default_rng(1)
    for item in leaked:
        knows = focal & (rng.random(1200) < 0.5)
        data.matrix[knows, item] = 1
    abilities = irt.score(data, irt.fit(data, "2PL")[0], "EAP")
    table = item_bias(data, abilities, focal)
    assert set(np.flatnonzero(table["flag"])) >= set(leaked)
    assert table["flag"].sum() <= len(leaked) + 2
    # Half of the focal group's wrong answers became right.
    wrong = 1 - simulate_responses(TRUTH, theta, 109).matrix[focal][:, leaked].mean(axis=0)
    np.testing.assert_allclose(table["effect"][leaked], 50 * wrong, atol=10)


def test_no_item_is_biased_where_groups_are_alike():
    data, _ = sample(1200, seed=10)
    abilities = irt.score(data, irt.fit(data, "2PL")[0], "EAP")
    table = item_bias(data, abilities, np.arange(1200) % 2 == 0)
    assert table["flag"].sum() <= 1
    assert (table["p_value"] < 0.05).mean() < 0.2


def test_small_groups_are_refused():
    data, _ = sample(100)
    abilities = pd.DataFrame({"subject": data.subjects, "theta": 0.0, "se": 1.0, "method": "EAP"})
    with pytest.raises(UserError, match="5 focal and 95 reference subjects"):
        item_bias(data, abilities, np.arange(100) < 5)
