"""A training run by three measures: joined by checkpoint, and judged, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise.bank.bank import Bank
from itemwise.bank.follow import errors, follow, full_scores, mean_score
from itemwise.errors import UserError
from itemwise.readout.accuracy import clustered_se
from itemwise.tables.contract import check_table

ABOUT = {"metric": "acc", "filter": "none"}
BANK = Bank({"benchmarks": {"one": ABOUT, "two": ABOUT}}, *[pd.DataFrame()] * 5)
SUBJECTS = pd.DataFrame(
    {"subject": ["r/step-9", "r/step-20"], "step": [9.0, 20.0], "tokens": [90.0, 200.0]}
)


def evaluations() -> pd.DataFrame:
    """Return answers: 1 of 4 and 2 of 4 right on `one`, 1 of 2 and 2 of 2 on `two`."""
    right = {("r/step-9", "one"): [1, 0, 0, 0], ("r/step-20", "one"): [1, 1, 0, 0],
             ("r/step-9", "two"): [1, 0], ("r/step-20", "two"): [1, 1]}  # fmt: skip
    return pd.DataFrame(
        {"subject": subject, "benchmark": benchmark, "item": f"{benchmark}.{number}",
         "filter": "none", "metric": metric, "response": response if metric == "acc" else 0.3}
        for (subject, benchmark), responses in right.items()
        for number, response in enumerate(responses)
        for metric in ("acc", "acc_norm")
    )  # fmt: skip


def short(subject: str, benchmark: str, predicted: float, half: float, n_items: int) -> dict:
    return {"subject": subject, "benchmark": benchmark, "n_items": n_items, "predicted": predicted,
            "lower": predicted - half, "upper": min(predicted + half, 100), "half_lower": half,
            "half_upper": half, "level": 0.9}  # fmt: skip


FORM = pd.DataFrame(
    [short(s, b, p, 5, 2) for s, b, p in (
        ("r/step-20", "one", 53), ("r/step-20", "two", 90), ("r/step-20", "overall", 74),
        ("r/step-9", "one", 20), ("r/step-9", "two", 50), ("r/step-9", "overall", 36),
    )]
)  # fmt: skip
ADAPTIVE = pd.DataFrame(
    [short("r/step-9", "one", 28, 3, 8), short("r/step-9", "two", 52, 4, 9),
     short("r/step-20", "one", 50, 3, 8), short("r/step-20", "two", 96, 4, 7)]
)  # fmt: skip


def test_measures_stand_side_by_side_in_the_order_of_training():
    table = follow(BANK, SUBJECTS, evaluations(), FORM, ADAPTIVE)
    check_table(table, "run_measures", "made")
    assert len(table) == 2 * 3 * 3
    assert table["subject"].drop_duplicates().tolist() == ["r/step-9", "r/step-20"]
    assert table["tokens"].tolist() == [90.0] * 9 + [200.0] * 9
    score = table.set_index(["subject", "benchmark", "measure"])["score"]
    assert score["r/step-9", "one", "full"] == 25
    assert score["r/step-20", "overall", "full"] == 75  # (50 + 100) / 2
    assert score["r/step-9", "overall", "adaptive"] == 40
    items = table.set_index(["subject", "benchmark", "measure"])["n_items"]
    assert items["r/step-9", "overall", "full"] == 6
    assert items["r/step-20", "overall", "adaptive"] == 15


def test_tests_that_asked_the_whole_form_bring_a_joint_score_of_their_own():
    joint = pd.DataFrame([short("r/step-9", "overall", 41, 2, 17)])
    adaptive = pd.concat([ADAPTIVE, joint], ignore_index=True)
    table = follow(BANK, SUBJECTS, evaluations(), FORM, adaptive)
    mine = table[(table["measure"] == "adaptive") & (table["benchmark"] == "overall")]
    assert mine.set_index("subject")["score"].to_dict() == {"r/step-9": 41, "r/step-20": 73}


def test_interval_of_the_mean_takes_errors_as_independent():
    row = mean_score(ADAPTIVE).set_index("subject").loc["r/step-9"]
    assert (row["lower"], row["upper"]) == (37.5, 42.5)  # sqrt(3^2 + 4^2) / 2
    assert mean_score(ADAPTIVE).set_index("subject").loc["r/step-20", "upper"] == 75.5


def test_errors_are_those_against_the_full_score_of_the_same_checkpoint():
    table = errors(follow(BANK, SUBJECTS, evaluations(), FORM, ADAPTIVE))
    assert set(table["measure"]) == {"form", "adaptive"}
    by = table.set_index(["subject", "benchmark", "measure"])
    difference = by["predicted"] - by["full_score"]
    assert difference["r/step-9", "one", "form"] == -5
    assert difference["r/step-20", "two", "adaptive"] == -4
    assert difference["r/step-20", "overall", "form"] == -1


def test_a_checkpoint_that_was_not_measured_is_named():
    with pytest.raises(UserError, match=r"measure 'adaptive': the checkpoints differ .*r/step-9"):
        follow(BANK, SUBJECTS, evaluations(), FORM, ADAPTIVE.iloc[2:])
    with pytest.raises(UserError, match=r"measure 'form': .*r/step-9"):
        follow(BANK, SUBJECTS.iloc[1:], evaluations(), FORM, ADAPTIVE.iloc[2:])


def test_full_scores_need_every_benchmark():
    rows = evaluations()
    with pytest.raises(UserError, match="no row of benchmark 'two'; evaluate the whole suite"):
        full_scores(BANK, rows[rows["benchmark"] == "one"])


def test_clustered_standard_error_by_hand():
    error, run = pd.Series([1.0, 3.0, 2.0, 2.0]), pd.Series(["a", "a", "b", "b"])
    # Squares 1, 9, 4, 4 with mean 4.5; sums of deviations 1 and -1: V = 2 * 2 / 16.
    assert clustered_se(error, run) == pytest.approx(0.5 / (2 * np.sqrt(4.5)))
    assert np.isnan(clustered_se(error, pd.Series("a", index=error.index)))
    assert np.isnan(clustered_se(0 * error, run))


def test_clusters_of_one_give_the_usual_standard_error():
    error = pd.Series(np.random.default_rng(1).normal(0, 2, 4000))
    found = clustered_se(error, error.index.to_series())
    # RMSE of n normal errors: sigma / sqrt(2 n).
    assert found == pytest.approx(2 / np.sqrt(8000), rel=0.05)


def test_models_that_err_alike_count_as_few():
    shared = np.repeat(np.random.default_rng(2).normal(0, 2, 200), 10)
    error = pd.Series(shared)
    alone = clustered_se(error, error.index.to_series())
    together = clustered_se(error, pd.Series(np.repeat(np.arange(200), 10)))
    assert together == pytest.approx(alone * np.sqrt(10), rel=0.05)
