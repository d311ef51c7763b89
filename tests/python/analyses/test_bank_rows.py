"""Abilities and full scores of a checkpoint by a bank: short form and adaptively."""

import shutil

import numpy as np
import pytest
from banks import build, export
from tiny import make_tasks

from itemwise.analyses import bank, suite
from itemwise.cli.main import main
from itemwise.irt.population import draw_items
from itemwise.irt.simulation import simulate_responses
from itemwise.tables.contract import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(harness, tmp_path_factory):
    """Return the folders of a bank of the task `words`, and of the task."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    folder = tmp_path_factory.mktemp("bank")
    tasks = make_tasks(folder / "tasks")
    documents = folder / "documents.parquet"
    command = ["list-documents", "--tasks", "words", "--include-path", str(tasks),
               "--benchmark-of", "words=vocabulary", "--out", str(documents)]  # fmt: skip
    assert main(command) == 0
    items = read_table(documents, "documents")
    parameters = draw_items(np.random.default_rng(0), "vocabulary", len(items), 0.0)
    parameters["item"] = items["item"].to_numpy(object)
    parameters["a"] = parameters["a"].abs()
    theta = np.random.default_rng([0, 1]).normal(size=200)
    responses = simulate_responses(parameters, theta, seed=0)
    build(folder, "vocabulary", 0, responses, items.drop(columns="benchmark"), 10)
    assert export(folder, folder / "bank", names=("vocabulary",)) == 0
    return folder / "bank", tasks


def measure(made, model, folder, **changes):
    """Return the rows of the bank at a checkpoint by metric and group."""
    settings = bank.Settings(bank=str(made[0]), include_path=str(made[1]), **changes)
    row = suite.pick(["bank"]).iloc[0]
    measured = bank.measure(model, bank.load(row, settings, model, folder), settings)
    return {(r["metric"], r["group"]): r for r in measured.rows}


def test_the_short_form_gives_what_score_model_gives(made, trained, training, itemwise, tmp_path):
    rows = measure(made, trained, tmp_path)
    command = ["evaluate-model", "--lm", training / "checkpoint-60", "--device", "cpu", "--bank",
               made[0], "--include-path", made[1], "--ledger", tmp_path / "other", "--out",
               tmp_path / "e.parquet"]  # fmt: skip
    assert itemwise(*command).status == 0
    scored = itemwise("score-model", "--bank", made[0], "--results", tmp_path / "e.parquet",
                      "--out", tmp_path / "s.parquet")  # fmt: skip
    assert scored.status == 0
    theirs = read_table(tmp_path / "s.parquet", "scores").iloc[0]
    ours = rows["predicted", "vocabulary"]
    assert ours["value"] == pytest.approx(theirs["predicted"])
    assert ours["n"] == theirs["n_items"] == 10
    # The bank's 90 % interval, brought to 95 %.
    half = (theirs["upper"] - theirs["lower"]) / 2 * 1.959964 / 1.644854
    assert ours["upper"] == pytest.approx(min(ours["value"] + half, 100), abs=1e-3)
    assert rows["predicted", ""]["value"] == ours["value"]
    assert rows["theta", "vocabulary"]["value"] == pytest.approx(theirs["theta"])
    assert rows["theta", "vocabulary"]["se"] == pytest.approx(theirs["se"])


def test_from_the_command_line_by_the_banks_prompts_or_the_tasks(
    made, training, itemwise, tmp_path
):
    words = ["profile-checkpoints", "--lm", training / "checkpoint-60", "--device", "cpu",
             "--analyses", "bank", "--bank", made[0], "--store", tmp_path / "store",
             "--out", tmp_path / "out"]  # fmt: skip
    (tmp_path / "none").mkdir()
    without = itemwise(*words, "--include-path", tmp_path / "none")
    assert without.status == 2
    assert "unknown to the harness; give the folder of their task files by --include" in without.err
    found = []
    for more in ((), ("--include-path", made[1]), ("--benchmarks", "vocabulary")):
        done = itemwise(*words, *more)
        assert done.status == 0, done.err
        (table,) = (tmp_path / "out").rglob("bank.parquet")
        found.append(read_table(table, "measures")["value"].tolist())
    assert found[0] == found[1] == found[2]
    wrong = itemwise(*words, "--benchmarks", "chess")
    assert "the bank has no such benchmark" in wrong.err


def test_adaptively_fewer_items_are_asked_and_a_second_time_none(
    made, trained, tmp_path, monkeypatch
):
    rule = "adaptive:min_length=4,batch=2,max_length=6"
    rows = measure(made, trained, tmp_path, rule=rule)
    assert 4 <= rows["predicted", "vocabulary"]["n"] <= 6
    assert rows["predicted", "vocabulary"]["lower"] <= rows["predicted", "vocabulary"]["value"]

    def refuse(*arguments):
        raise AssertionError("asked again")

    monkeypatch.setattr(bank, "ask_documents", refuse)
    assert measure(made, trained, tmp_path, rule=rule) == rows
