"""Tiny models: deterministic, resumed after a kill, and better the longer they train."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from itemwise.errors import UserError
from itemwise.tables.contract import check_table, read_table
from itemwise.zoo.tasks import write_suite
from itemwise.zoo.train import TrainingRun, checkpoint, encode, rate_factor, train, words

STEPS = (5, 20, 300)
OTHERS = ("grammar", "sequences", "arithmetic", "sorting")
RUN = TrainingRun("little", STEPS, width=32, layers=1, lines=600, left_out=OTHERS, seed=3,
                  learning_rate=0.01)  # fmt: skip


@pytest.fixture(scope="module")
def trained(harness, tmp_path_factory):
    """Return the folder of a finished run and its table."""
    folder = tmp_path_factory.mktemp("zoo") / "little"
    return folder, train(RUN, folder, world_seed=1)


def weights(folder, step: int) -> bytes:
    return (checkpoint(folder, step) / "model.safetensors").read_bytes()


def test_table_describes_every_checkpoint(trained):
    _, table = trained
    check_table(table, "subjects", "subjects")
    assert table["subject"].tolist() == [f"little/step-{step}" for step in STEPS]
    assert set(table["group"]) == {"little"}
    per_step = table["tokens"] / table["step"]
    # 64 facts a step: name, relation of one or two words, answer, end.
    assert per_step.between(64 * 4, 64 * 5).all()
    assert table["parameters"].nunique() == 1


def test_killed_training_goes_on_and_ends_with_the_same_weights(trained, tmp_path):
    folder, table = trained

    class Killed(Exception):
        pass

    def kill(n: int, done=[0]) -> None:  # noqa: B006
        done[0] += n
        if done[0] == 60:
            raise Killed

    with pytest.raises(Killed):
        train(RUN, tmp_path / "little", 1, kill)
    assert weights(tmp_path / "little", 20) == weights(folder, 20)
    steps = []
    again = train(RUN, tmp_path / "little", 1, steps.append)
    assert steps[0] == 20  # from the last checkpoint on
    assert weights(tmp_path / "little", 300) == weights(folder, 300)
    assert again.equals(table)


def test_finished_run_is_kept_and_changed_settings_begin_anew(trained, tmp_path):
    folder = tmp_path / "little"
    shutil.copytree(trained[0], folder)
    steps = []
    train(RUN, folder, 1, steps.append)
    assert steps == [300]
    other = TrainingRun(**{**vars(RUN), "seed": 2, "checkpoints": (5,)})
    train(other, folder, 1, steps.append)
    assert steps[1] == 0
    assert weights(folder, 5) != weights(trained[0], 5)
    assert not checkpoint(folder, 300).exists()


def test_harness_asks_the_checkpoints_and_later_ones_know_more(trained, itemwise, tmp_path):
    folder, _ = trained
    write_suite(tmp_path / "suite", 24, seed=1)
    tasks = [f"zoo_{topic}" for topic in ("facts", "sorting")]
    finished = itemwise(
        "evaluate-run", "--lms", *(checkpoint(folder, step) for step in STEPS), "--tasks", *tasks,
        "--benchmark-of", "zoo_facts=knowledge", "--include-path", tmp_path / "suite",
        "--device", "cpu", "--batch-size", 64, "--ledger", tmp_path / "ledger",
        "--out", tmp_path / "e.parquet", "--out-documents", tmp_path / "d.parquet",
        "--record", tmp_path / "e.json",
    )  # fmt: skip
    assert finished.status == 0, finished.err
    table = read_table(tmp_path / "e.parquet", "evaluations")
    assert table.groupby(["subject", "benchmark"]).size().to_dict() == {
        (f"little/step-{step}", benchmark): 24
        for step in STEPS
        for benchmark in ("knowledge", "zoo_sorting")
    }
    assert set(table["response"]) <= {0.0, 1.0}
    # Chance is a quarter; of 144 facts, 600 lines tell nearly all.
    facts = table[table["benchmark"] == "knowledge"].groupby("subject")["response"].mean()
    assert facts["little/step-300"] > 0.6
    assert facts["little/step-5"] < 0.6
    documents = read_table(tmp_path / "d.parquet", "documents")
    assert len(documents) == 48
    again = itemwise(
        "evaluate-run", "--lms", checkpoint(folder, 5), checkpoint(folder, 5), "--tasks", *tasks,
        "--ledger", tmp_path / "ledger", "--out", tmp_path / "e2.parquet",
    )  # fmt: skip
    assert again.status == 2
    assert "is named twice" in again.err


def test_text_becomes_the_numbers_of_its_words():
    codes = encode(["1 + 1 = 2 .", "the cat"])
    assert codes.shape == (2, 6)
    known = words()
    assert [known[code] for code in codes[1]] == ["the", "cat", *["<pad>"] * 4]


def test_learning_rate_rises_then_falls_to_a_tenth():
    factors = np.array([rate_factor(step, 1000) for step in (1, 50, 500, 1000)])
    assert factors[0] < 0.03
    assert factors[1] == pytest.approx(0.955)
    assert factors[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [(), (0, 5), (10, 5), (5, 5)])
def test_steps_that_do_not_increase_are_refused(steps):
    with pytest.raises(
        UserError, match=r"run 'r': checkpoints .* not increasing.*'zoo.checkpoints'"
    ):
        TrainingRun("r", steps)


def test_width_that_makes_no_heads_is_refused(harness, tmp_path):
    with pytest.raises(UserError, match=r"run 'r': width 50 .* multiple of 16"):
        train(TrainingRun("r", (1,), width=50, lines=100), tmp_path / "r", 1)
