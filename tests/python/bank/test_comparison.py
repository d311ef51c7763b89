"""Comparing two models: what is compared, and what is said of it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from itemwise.bank.bank import Bank
from itemwise.bank.clusters import with_clusters
from itemwise.bank.comparison import compare_models
from itemwise.bank.model_scores import score_models
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


def test_common_items_alone_and_the_right_metric():
    table = answers([1, 1, 0, np.nan], [0, 1, 0, 1], "arc", "acc_norm")
    other = answers([0] * 4, [1] * 4, "arc", "acc")
    found = compare_models(pd.concat([table, other]), "lab/one", "lab/two").table
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
    assert "b, acc: 75.0 - 45.0 = +30.0 points" in done.out
    assert "40 items; right alone 12 and 0, McNemar p = 0.000488" in done.out
    assert done.err == ""
    assert read_table(tmp_path / "c.parquet", "comparisons").loc[0, "only_first"] == 12
    planned = itemwise("plan-comparison", "--difference", 2)
    assert planned.status == 0
    assert f"{items_needed(2, 0.2)} items" in planned.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare-models", "--models", "lab/one", "x"], "model 'x' has no results"),
        (["compare-models", "--models", "lab/one", "lab/one"], "is one model"),
        (["compare-models", "--level", 2], "must lie between 0 and 1"),
        (["compare-models", "--items", "x.csv"], "name the column by --cluster"),
        (["compare-models", "--cluster", "metrics"], "no such column in the results, but"),
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


def both(**columns) -> pd.DataFrame:
    """Return eight answers of two models; each column is given for the first and the second."""
    table = answers([1, 1, 1, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 1, 0, 0])
    for name, (mine, other) in columns.items():
        values = [v if isinstance(v, list) else [v] * 8 for v in (mine, other)]
        table[name] = pd.Series([*values[0], *values[1]], dtype=object)
    return table


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"num_fewshot": (25, 0)}, ["number of shots differs: 25 (lab/one), 0 (lab/two)"]),
        ({"harness": ("0.4.2", "0.4.9")},
         ["version of the harness differs: 0.4.2 (lab/one), 0.4.9 (lab/two)"]),
        ({"dtype": ("float16", "bfloat16"), "chat_template": ("no", "yes")},
         ["use of a chat template differs: no (lab/one), yes (lab/two)",
          "number format differs: float16 (lab/one), bfloat16 (lab/two)"]),
        ({"task_version": ("1", "2")}, ["version of the task differs: 1 (lab/one), 2 (lab/two)"]),
        ({"prompt_hash": ("x", "y")},
         ["all prompts differ from those of lab/one (other shots, chat template or system "
          "instruction)"]),
        ({"doc_hash": ("x", "y")},
         ["all documents differ from those of lab/one (another version of the data set under "
          "the same ids)"]),
        ({"prompt_hash": (list("abcdefgh"), list("abcdefxy"))},
         ["2 of 8 prompts differ from those of lab/one (other shots, chat template or system "
          "instruction)"]),
        ({"prompt_hash": ("x", "x"), "num_fewshot": (5, 0)}, []),  # a bank's frozen prompts
        ({"harness": ("0.4.2", None), "num_fewshot": (None, 5)}, []),
        ({"harness": ("0.4.2", "0.4.2")}, []),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_other_conditions_are_said(columns, said):
    found = compare_models(both(**columns), "lab/one", "lab/two")
    assert found.warnings == [f"b: {text}" for text in said]


def test_what_holds_of_several_benchmarks_is_said_once():
    one = both(harness=("0.4.2", "0.4.9"))
    found = compare_models(pd.concat([one, one.assign(benchmark="c")]), "lab/one", "lab/two")
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("b, c: version of the harness differs")


def test_a_benchmark_of_one_model_is_said():
    table = pd.concat([both(), answers([1], [1], "c").head(1)])
    found = compare_models(table, "lab/one", "lab/two")
    assert found.warnings == ["c: only lab/one has results, not compared"]


def test_options_shuffled_in_each_run_are_said():
    """GPQA: the content of a document, and so its name, holds the order of its options."""
    table = answers([1] * 40, [0] * 40)
    table["doc_id"], table["task"] = list(range(40)) * 2, "gpqa"
    table.loc[(table["subject"] == "lab/two") & (table["doc_id"] >= 4), "item"] += ".other"
    found = compare_models(table, "lab/one", "lab/two")
    assert found.table.loc[0, "n_items"] == 4
    assert found.warnings[0].startswith(
        "b: 36 of 40 items of lab/one are not compared: 36 the same rows of the data set with "
        "other content (options shuffled in each run"
    )
    assert "36 of 40 items of lab/two" in found.warnings[1]
    with pytest.raises(UserError, match=r"no item in common .*options shuffled in each run"):
        compare_models(table[table["doc_id"] >= 4], "lab/one", "lab/two")


def test_items_of_one_model_alone_are_said():
    table = answers([1, 0, 1, 0], [1, 0, np.nan, 0]).assign(doc_id=[*range(4)] * 2).drop(7)
    another = answers([1, 0, 1, 0], [1, 0, 1, 0], "c").assign(doc_id=[*range(4)] * 2)
    table = pd.concat([table, another], ignore_index=True)  # the same rows of another data set
    found = compare_models(table, "lab/one", "lab/two")
    assert found.table.loc[0, "n_items"] == 2
    assert found.warnings == [
        "b: 2 of 4 items of lab/one are not compared: 1 without a value of lab/two; 1 not asked of "
        "lab/two"
    ]


def test_the_metric_is_one_that_both_have():
    two = answers([1, 0], [0, 0], "arc", "acc_norm")
    table = pd.concat([answers([1, 1], [0, 1], "arc", "acc"), two[two["subject"] == "lab/one"]])
    found = compare_models(table, "lab/one", "lab/two").table
    assert (found.loc[0, "metric"], found.loc[0, "score_first"]) == ("acc", 100)
    other = two.assign(metric=np.where(two["subject"] == "lab/one", "acc", "f1"))
    with pytest.raises(UserError, match=r"lab/one has acc \(none\); lab/two has f1 \(none\)"):
        compare_models(other, "lab/one", "lab/two")


def test_runs_of_a_model_are_averaged_within_items(itemwise, tmp_path):
    runs = {"a1": ([1, 1, 0, 0], 0), "a2": ([1, 0, 0, 1], 0), "b": ([0, 1, 0, 0], 1)}
    for name, (values, place) in runs.items():
        table = answers(values, values)
        table = table[table["subject"] == ("lab/one", "lab/two")[place]]
        write_table(table, tmp_path / f"{name}.parquet", "evaluations")
    files = [tmp_path / f"{name}.parquet" for name in runs]
    done = itemwise("compare-models", "--results", *files, "--out", tmp_path / "c.parquet")
    assert done.status == 0, done.err
    row = read_table(tmp_path / "c.parquet", "comparisons").iloc[0]
    assert (row["runs_first"], row["runs_second"], row["n_items"]) == (2, 1, 4)
    gap = np.array([1, -0.5, 0, 0.5])
    assert row["difference"] == pytest.approx(100 * gap.mean())
    assert row["standard_error"] == pytest.approx(100 * gap.std(ddof=1) / 2)
    # Two items with answers 1 and 0: variance 1/2 each, over 2 runs and 4 items.
    assert row["standard_error_runs"] == pytest.approx(100 * np.sqrt((0.25 * 2 / 4) / 4))
    assert np.isnan(row["p_mcnemar"])
    assert "2 runs of lab/one, averaged within items; their scores are 50.0 to 50.0" in done.err
    assert f"by drawing answers alone {row['standard_error_runs']:.2f}" in done.out


@pytest.mark.parametrize("place", ["evaluations", "items.csv", "items.parquet"])
def test_clusters_come_from_results_or_items(place, itemwise, tmp_path):
    table = both()
    passage = pd.Series([str(i // 2) for i in range(8)], [f"b.{i}" for i in range(8)])
    words = ["compare-models", "--results", tmp_path / "t.parquet", "--cluster", "passage",
             "--out", tmp_path / "c.parquet"]  # fmt: skip
    if place == "evaluations":
        table["passage"] = table["item"].map(passage)
    else:
        items = passage.rename_axis("item").rename("passage").reset_index()
        if place.endswith("csv"):
            items.to_csv(tmp_path / place, index=False)
        else:
            write_table(items.assign(benchmark="b"), tmp_path / place, "items")
        words += ["--items", tmp_path / place]
    write_table(table, tmp_path / "t.parquet", "evaluations")
    done = itemwise(*words)
    assert done.status == 0, done.err
    row = read_table(tmp_path / "c.parquet", "comparisons").iloc[0]
    sums = np.array([1, 1, -1, 1]) - 2 * 0.25  # of the differences 0 1 1 0 0 -1 1 0
    assert row["standard_error"] == pytest.approx(100 * np.sqrt(4 / 3 * (sums**2).sum()) / 8)
    assert (row["cluster"], row["n_clusters"]) == ("passage", 4)
    assert "8 items in 4 clusters of passage; p = " in done.out
    assert "4 clusters of passage: intervals of fewer than 20 are rough" in done.err


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"id": ["b.0"], "passage": ["x"]}, "lacks the column 'item'; it has id, passage"),
        ({"item": ["b.0"], "pasage": ["x"]}, "i.csv, but item, pasage; did you mean 'pasage'"),
        (
            {"item": ["b.0", "b.0"], "passage": ["x", "y"]},
            r"i.csv: column 'passage': item 'b.0' is in several clusters",
        ),
        (
            {"item": ["q1"], "passage": ["x"]},
            "no cluster of any item .* like b.0, b.1.* like q1",
        ),
    ],
)
def test_clusters_that_cannot_be_used_are_refused(items, message, itemwise, tmp_path):
    write_table(both(), tmp_path / "t.parquet", "evaluations")
    pd.DataFrame(items).to_csv(tmp_path / "i.csv", index=False)
    done = itemwise("compare-models", "--results", tmp_path / "t.parquet", "--cluster", "passage",
                    "--items", tmp_path / "i.csv")  # fmt: skip
    assert done.status == 2
    assert re.search(message, done.err)


def test_items_without_a_cluster_count_alone(itemwise, tmp_path):
    write_table(both(), tmp_path / "t.parquet", "evaluations")
    pd.DataFrame({"item": ["b.0", "b.1"], "passage": "x"}).to_csv(tmp_path / "i.csv", index=False)
    done = itemwise("compare-models", "--results", tmp_path / "t.parquet", "--cluster", "passage",
                    "--items", tmp_path / "i.csv")  # fmt: skip
    assert "8 items in 7 clusters of passage" in done.out
    assert "6 of 8 items have no passage: each is a cluster of its own" in done.err


@pytest.fixture
def bank() -> Bank:
    """Return a bank of eight items, all in its form, whose read-outs are constant."""
    items = [f"b.{i}" for i in range(8)]
    about = {"metric": "acc", "filter": "none", "harness": ["0.4.9"], "scoring": "EAP",
             "person_fit_low": None}  # fmt: skip
    terms = pd.DataFrame(
        [
            ("intercept", "intercept", "", 1, None, None, 50.0),
            ("range", "theta", "theta", 1, -0.1, 0.1, 0.0),
            ("scale", "scale", "predicted", 1, 50.0, None, 1.0),
            ("quantile", "quantile", "", 1, 0.9, None, 2.0),
        ],
        columns=["kind", "term", "variable", "node", "x", "x2", "value"],
    ).assign(benchmark="b", form="A", variable2="")
    table = pd.DataFrame({"benchmark": "b", "item": items})
    return Bank(
        {"benchmarks": {"b": about}},
        table.assign(prompt_hash="p", passage=[str(i // 4) for i in range(8)]),
        pd.DataFrame({"item": items, "a": 1.0, "d": 0.0, "g": 0.0, "u": 1.0}),
        table.assign(form="A", rank=range(1, 9)),
        pd.concat([terms.assign(readout=name) for name in ("form", "ability")]),
        pd.DataFrame(
            {"benchmark": "b", "form": "A", "item": ["(intercept)", *items], "coefficient": 1.0}
        ),
    )


def test_what_scoring_by_the_bank_warns_of_is_said(bank):
    table = both(harness=("0.4.2", "0.4.2"), prompt_hash=("q", "q"), metric=("acc", "acc"))
    scored = score_models(bank, table).warnings
    compared = compare_models(table, "lab/one", "lab/two", bank).warnings
    assert "b: version of the harness: 0.4.2, the calibration's: 0.4.9" in compared
    assert any(text.startswith("b: all prompts differ from the calibration's")
               for text in compared)  # fmt: skip
    assert any("than the calibration can tell" in text for text in compared)
    assert sorted(text.replace(", b: ", ": ") for text in scored) == sorted(
        text.replace("b: lab/", "lab/") for text in compared
    )


@pytest.mark.parametrize("prompts", ["p", "q", None])
def test_other_shots_than_the_calibration_s_are_said_unless_prompts_are_equal(bank, prompts):
    bank.card["benchmarks"]["b"] |= {"num_fewshot": [25.0], "chat_template": ["no"]}
    table = both(num_fewshot=(0, 0), chat_template=("yes", "yes"), prompt_hash=(prompts, prompts))
    said = score_models(bank, table.drop(columns="metric")).warnings
    found = [text for text in said if "the calibration's: " in text]
    assert found == ([] if prompts == "p" else [
        "b: number of shots: 0, the calibration's: 25",
        "b: use of a chat template: yes, the calibration's: no",
    ])  # fmt: skip


def test_options_shuffled_in_each_run_are_said_of_items_that_a_bank_does_not_know(bank):
    table = both().assign(task="gpqa", doc_id=list(range(8)) * 2)
    table.loc[(table["subject"] == "lab/two") & (table["doc_id"] >= 4), "item"] += ".other"
    found = compare_models(table, "lab/one", "lab/two", bank)
    assert found.warnings[0].startswith(
        "b: 4 of 8 items of lab/one are not compared: 4 the same rows of the data set with other"
    )


def test_another_metric_than_the_bank_s_is_said(bank):
    table = both(metric=("acc_norm", "acc_norm"))
    found = compare_models(table, "lab/one", "lab/two", bank, metrics={"b": "acc_norm"})
    assert "b: scored by acc_norm, the bank was calibrated on acc" in found.warnings
    assert found.table.loc[0, "metric"] == "acc_norm"


def test_one_cluster_of_all_items_is_said():
    found = compare_models(both(cluster=("x", "x")), "lab/one", "lab/two", cluster="subject")
    assert found.warnings == ["b: all items are of one subject: no interval can be given"]


def test_clusters_of_the_bank(bank):
    found = compare_models(with_clusters(both(), "passage", None, bank), "lab/one", "lab/two",
                           bank, cluster="passage").table  # fmt: skip
    assert found.loc[0, "n_clusters"] == 2


def test_abilities_of_runs_are_averaged(bank):
    one = both().assign(run=0)
    again = one[one["subject"] == "lab/one"].assign(run=1, response=0.0)
    alone = compare_models(one, "lab/one", "lab/two", bank).table.loc[0, "theta_difference"]
    worse = pd.concat([one[one["subject"] == "lab/two"], again])
    worse = compare_models(worse, "lab/one", "lab/two", bank).table.loc[0, "theta_difference"]
    runs = compare_models(pd.concat([one, again]), "lab/one", "lab/two", bank).table
    assert runs.loc[0, "theta_difference"] == pytest.approx((alone + worse) / 2)
