"""What the report says in words: conclusions, spreads of random forms, rules of adaptive tests."""

import numpy as np
import pandas as pd
import pytest

from itemwise.adaptive.rules import parse_rule
from itemwise.report.adaptive import in_words, section
from itemwise.report.conclusions import conclusions, spread

ROW = {"random": {"n": 50}, "beaten": 0.92, "gain": 0.5, "gain_se": 0.2, "rmse": 5.0, "sd": 20.0,
       "spearman": 0.9, "coverage": 0.76, "test_subjects": 25, "level": 0.9}  # fmt: skip
VERDICTS = {
    1.0: "Better than random forms",
    0.92: "Perhaps better than random forms",
    0.5: "No better than random forms",
    0.1: "No better than random forms, perhaps worse",
    0.0: "Worse than random forms",
}


@pytest.mark.parametrize(("beaten", "headline"), VERDICTS.items())
def test_verdict_says_whether_selection_pays(beaten, headline):
    found = conclusions(ROW | {"beaten": beaten})
    assert found["headline"] == headline
    assert f"smaller than that of {100 * beaten:.0f} % of 50 random forms" in found["selection"]


@pytest.mark.parametrize(
    ("beaten", "gain", "headline"),
    [
        (1.0, 0.3, "Perhaps better than random forms"),
        (1.0, 0.34, "Better than random forms"),
        (0.0, -0.3, "No better than random forms, perhaps worse"),
        (0.0, -0.4, "Worse than random forms"),
    ],
)
def test_other_test_models_might_say_otherwise(beaten, gain, headline):
    found = conclusions(ROW | {"beaten": beaten, "gain": gain})
    assert found["headline"] == headline
    more = f"errs {abs(gain):.2f} points {'less' if gain > 0 else 'more'} than all of them together"
    assert f"{more} (standard error 0.20)" in found["selection"]


def test_one_group_of_test_models_is_never_certain():
    found = conclusions(ROW | {"beaten": 1.0, "gain_se": float("nan")})
    assert found["headline"] == "Perhaps better than random forms"


def test_verdict_flags_what_may_be_chance():
    few = conclusions(ROW | {"random": {"n": 5}, "beaten": 0.8})
    assert few["headline"] == "Too few random forms to judge"
    assert "smaller than that of 4 of 5 random forms" in few["selection"]
    # 19 of 25: the tables of Clopper and Pearson say 54.9 to 90.6 %.
    assert (
        "76 % of 25 intervals hold: consistent with 90 % (binomial 95 % interval 55-91 %)"
        in (conclusions(ROW)["intervals"])
    )
    many = conclusions(ROW | {"test_subjects": 100})["intervals"]
    assert "not consistent with 90 %" in many


def test_few_random_forms_have_a_range_and_no_quantiles():
    assert spread(pd.Series(range(19))) == {
        "n": 19, "median": 9.0, "low": 0, "high": 18, "few": True,
    }  # fmt: skip
    many = spread(pd.Series(range(101)))
    assert (many["low"], many["high"], many["few"]) == (5.0, 95.0, False)


def test_rules_are_explained_in_words():
    assert in_words(parse_rule("live:min_length=8,batch=4,points=2")) == (
        "from the form: the item that should lower the uncertainty of ability most, 4 at a time; "
        "until half the interval is at most 2 points"
    )
    assert in_words(parse_rule("x:criterion=MFI,items=pool")) == (
        "from the whole pool: the most informative item at the current ability"
    )
    assert in_words(parse_rule("x:criterion=fixed")) == "the short form in its order, not adaptive"


def test_exposure_means_nothing_where_the_form_is_the_pool():
    study = pd.DataFrame({"rule": ["a", "a", "b", "b"], "n_items": [10, 20, 10, 12]})
    study = study.assign(rmse=[4, 2, 3, 2.5], median_error=[3, 1, 2, 1.6], coverage=0.9,
                         exposure=1.0, overlap=0.5)  # fmt: skip
    found = section(study, ["a:items=pool", "b:"])
    assert found["lengths"] == [10, 20]  # nothing is as long as 40
    pool, form = found["rows"]
    assert (pool["exposure"], pool["overlap"], pool["reached"]) == (1.0, 0.5, 20)
    assert (form["exposure"], form["overlap"], form["reached"]) == (None, None, None)
    assert form["errors"][0] == 3
    assert np.isnan(form["errors"][1] or np.nan)
