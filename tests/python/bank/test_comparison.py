"""Comparing two models: by hand, by scipy, and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, ttest_1samp

from itemwise.bank.comparison import compare_models, paired
from itemwise.bank.power import items_needed
from itemwise.errors import UserError
from itemwise.tables.contract import read_table, write_table


def answers(first, second, benchmark="b", metric="acc") -> pd.DataFrame:
    parts = []
    for subject, values in (("lab/one", first), ("lab/two", second)):
        part = pd.DataFrame({"subject": subject, "response": np.asarray(values, float)})
        part["item"] = [f"{benchmark}.{i}" for i in range(len(part))]
        parts.append(part.assign(benchmark=benchmark, metric=metric, filter="none"))
    return pd.concat(parts, ignore_index=True)


def test_by_hand():
    found = paired(np.array([1, 1, 1, 1, 0, 0]), np.array([1, 0, 0, 0, 1, 0]), 0.95)
    assert (found["only_first"], found["only_second"], found["n_items"]) == (3, 1, 6)
    assert found["difference"] == pytest.approx(100 * 2 / 6)
    assert found["p_mcnemar"] == pytest.approx(2 * binom.cdf(1, 4, 0.5))
    gap = np.array([0, 1, 1, 1, -1, 0])
    assert found["upper"] - found["difference"] == pytest.approx(
        1.959964 * 100 * gap.std(ddof=1) / np.sqrt(6), rel=1e-6
    )


def test_equal_models_do_not_differ():
    found = paired(np.array([1.0, 0, 1]), np.array([1.0, 0, 1]), 0.9)
    assert (found["difference"], found["p_mcnemar"]) == (0, 1)
    one = paired(np.array([1.0]), np.array([0.0]), 0.9)
    assert (one["lower"], one["upper"]) == (-100, 100)


def test_the_interval_is_that_of_paired_differences_and_narrower_than_unpaired():
    rng = np.random.default_rng(1)
    hard = rng.random(800)
    first, second = (rng.random(800) < hard).astype(float), (rng.random(800) < hard).astype(float)
    found = paired(first, second, 0.95)
    low, high = ttest_1samp(first - second, 0).confidence_interval(0.95)
    assert found["lower"] == pytest.approx(100 * low, abs=0.01)
    assert found["upper"] == pytest.approx(100 * high, abs=0.01)
    unpaired = 196 * np.sqrt(first.var() / 800 + second.var() / 800)
    assert found["upper"] - found["difference"] < 0.95 * unpaired


def test_common_items_alone_and_the_right_metric():
    table = answers([1, 1, 0, np.nan], [0, 1, 0, 1], "arc", "acc_norm")
    other = answers([0] * 4, [1] * 4, "arc", "acc")
    found = compare_models(pd.concat([table, other]), "lab/one", "lab/two")
    assert found.loc[0, "metric"] == "acc_norm"
    assert found.loc[0, "n_items"] == 3
    assert found.loc[0, "difference"] == pytest.approx(100 / 3)


def test_planned_items_give_the_planned_power():
    """McNemar's test without continuity correction, 4,000 trials: standard error 0.6 %."""
    difference, discordance = 4.0, 0.2
    n = items_needed(difference, discordance)
    rng = np.random.default_rng(1)
    better = (discordance + difference / 100) / 2
    counts = rng.multinomial(n, [better, discordance - better, 1 - discordance], size=4000)
    gap, total = counts[:, 0] - counts[:, 1], counts[:, 0] + counts[:, 1]
    power = (np.abs(gap) / np.sqrt(total) > 1.96).mean()
    assert power == pytest.approx(0.8, abs=0.02)
    assert items_needed(2, 0.2) > 3.5 * n


def test_the_commands(itemwise, tmp_path):
    write_table(answers([1] * 30 + [0] * 10, [1] * 18 + [0] * 22), tmp_path / "t.parquet",
                "evaluations")  # fmt: skip
    done = itemwise("compare-models", "--results", tmp_path / "t.parquet",
                    "--out", tmp_path / "c.parquet")  # fmt: skip
    assert done.status == 0, done.err
    assert "75.0 - 45.0 = +30.0 points" in done.out
    assert read_table(tmp_path / "c.parquet", "comparisons").loc[0, "only_first"] == 12
    planned = itemwise("plan-comparison", "--difference", 2)
    assert planned.status == 0
    assert f"{items_needed(2, 0.2)} items" in planned.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare-models", "--models", "lab/one", "x"], "model 'x' has no results"),
        (["compare-models", "--level", 2], "must lie between 0 and 1"),
        (["plan-comparison", "--difference", 30, "--discordance", 0.1], "at least 0.3"),
        (["plan-comparison", "--difference", 0], "between 0 and 100"),
    ],
)
def test_mistakes_are_refused(words, message, itemwise, tmp_path):
    if words[0] == "compare-models":
        write_table(answers([1, 0], [0, 1]), tmp_path / "t.parquet", "evaluations")
        words = [*words, "--results", tmp_path / "t.parquet"]
    done = itemwise(*words)
    assert done.status == 2
    assert message in done.err


def test_models_without_a_common_item_are_refused():
    table = answers([1, 0], [0, 1])
    table.loc[table["subject"] == "lab/two", "item"] += "x"
    with pytest.raises(UserError, match="no item in common"):
        compare_models(table, "lab/one", "lab/two")


def test_an_item_answered_twice_is_refused():
    table = answers([1, 0], [0, 1])
    with pytest.raises(UserError, match="was answered twice"):
        compare_models(pd.concat([table, table.head(1)]), "lab/one", "lab/two")
