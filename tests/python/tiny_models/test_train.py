"""Tiny models: deterministic, resumed after a kill, and better the longer they train."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from itemwise.errors import UserError
from itemwise.tables.contract import check_table, read_table
from itemwise.tables.files import read_record
from itemwise.tiny_models.tasks import write_tasks
from itemwise.tiny_models.train import (
    BATCH,
    TrainingRun,
    checkpoint,
    encode,
    new_model,
    packed,
    rate_factor,
    train,
    words,
)

STEPS = (5, 20, 300)
OTHERS = ("grammar", "sequences", "arithmetic", "sorting")
RUN = TrainingRun("little", STEPS, width=32, layers=1, lines=600, left_out=OTHERS, seed=3,
                  learning_rate=0.015)  # fmt: skip


@pytest.fixture(scope="module")
def trained(harness, tmp_path_factory):
    """Return the folder of a finished run and its table."""
    folder = tmp_path_factory.mktemp("tiny_models") / "little"
    return folder, train(RUN, folder, world_seed=1)


def weights(folder, step: int) -> bytes:
    return (checkpoint(folder, step) / "model.safetensors").read_bytes()


def test_table_describes_every_checkpoint(trained):
    _, table = trained
    check_table(table, "subjects", "subjects")
    assert table["subject"].tolist() == [f"little/step-{step}" for step in STEPS]
    assert set(table["group"]) == {"little"}
    per_step = table["tokens"] / table["step"]
    # Each line is a fact: name, relation of one or two words, answer, end.
    assert per_step.between(BATCH * 4, BATCH * 5).all()
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
    write_tasks(tmp_path / "tasks", 24, seed=1)
    tasks = [f"tiny_{topic}" for topic in ("facts", "sorting")]
    finished = itemwise(
        "evaluate-run", "--lms", *(checkpoint(folder, step) for step in STEPS), "--tasks", *tasks,
        "--benchmark-of", "tiny_facts=knowledge", "--include-path", tmp_path / "tasks",
        "--device", "cpu", "--batch-size", 64, "--ledger", tmp_path / "ledger",
        "--out", tmp_path / "e.parquet", "--out-documents", tmp_path / "d.parquet",
        "--record", tmp_path / "e.json",
    )  # fmt: skip
    assert finished.status == 0, finished.err
    table = read_table(tmp_path / "e.parquet", "evaluations")
    assert table.groupby(["subject", "benchmark"]).size().to_dict() == {
        (f"little/step-{step}", benchmark): 24
        for step in STEPS
        for benchmark in ("knowledge", "tiny_sorting")
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


@pytest.fixture
def asked_for_gpus(monkeypatch):
    """Return what this process, not its children, asks of CUDA: forks could not use it then."""
    import torch

    asked = []

    def spy(name: str, real):
        def ask(*given, **named):
            asked.append(name)
            return real(*given, **named)

        return ask

    for name in ("is_available", "device_count", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, name, spy(name, getattr(torch.cuda, name)))
    return asked


def test_several_runs_are_evaluated_as_each_alone(trained, asked_for_gpus, itemwise, tmp_path):
    folder, _ = trained
    write_tasks(tmp_path / "tasks", 12, seed=1)
    runs = [[checkpoint(folder, 5), checkpoint(folder, 300)], [checkpoint(folder, 20)]]
    given = ["--tasks", "tiny_facts", "tiny_sorting", "--include-path", tmp_path / "tasks"]

    def evaluate(name: str, *options):
        return itemwise("evaluate-run", *options, *given, "--device", "cpu", "--batch-size", 64,
                        "--ledger", tmp_path / name)  # fmt: skip

    both = [word for lms in runs for word in ("--lms", *lms)]
    places = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    done = evaluate("both", *both, "--threads", 2, "--out", *places, "--record",
                    tmp_path / "a.json", tmp_path / "b.json",
                    "--out-documents", tmp_path / "d.parquet")  # fmt: skip
    assert done.status == 0, done.err
    assert "0 of 2 runs to go" in done.out
    assert asked_for_gpus == []
    for lms, path in zip(runs, places, strict=True):
        alone = evaluate("alone", "--lms", *lms, "--out", tmp_path / "alone.parquet",
                         "--out-documents", tmp_path / "alone.d.parquet")  # fmt: skip
        assert alone.status == 0, alone.err
        assert read_table(path, "evaluations").equals(
            read_table(tmp_path / "alone.parquet", "evaluations")
        )
        assert read_table(tmp_path / "d.parquet", "documents").equals(
            read_table(tmp_path / "alone.d.parquet", "documents")
        )
    assert len(read_record(tmp_path / "a.json")["checkpoints"]) == 2
    again = evaluate("both", *both, "--out", tmp_path / "a.parquet")
    assert again.status == 2
    assert "--out: 1 files for 2 runs" in again.err


def test_a_run_that_cannot_be_evaluated_is_named_and_the_others_are_kept(
    trained, itemwise, tmp_path
):
    write_tasks(tmp_path / "tasks", 12, seed=1)
    (tmp_path / "broken").mkdir()
    done = itemwise(
        "evaluate-run", "--lms", tmp_path / "broken", "--lms", checkpoint(trained[0], 5),
        "--tasks", "tiny_facts", "--include-path", tmp_path / "tasks", "--device", "cpu",
        "--ledger", tmp_path / "ledger", "--out", tmp_path / "a.parquet", tmp_path / "b.parquet",
    )  # fmt: skip
    assert done.status == 2
    assert f"run '{tmp_path / 'a.parquet'}': --lm {tmp_path / 'broken'}: does not load" in done.err
    assert not (tmp_path / "a.parquet").exists()
    assert len(read_table(tmp_path / "b.parquet", "evaluations")) == 12


RUNS = [
    {"name": "little", "width": 32, "layers": 1, "left_out": OTHERS, "seed": 3},
    {"name": "other", "width": 16, "layers": 1, "share": 0.5},
]
SHORT = ["--checkpoints", *STEPS, "--lines", 600]


def test_runs_are_trained_as_each_alone_however_many_at_once(
    harness, asked_for_gpus, itemwise, tmp_path
):
    runs = [json.dumps(run) for run in RUNS]
    steps = (5, 40)
    alone = train(dataclasses.replace(RUN, checkpoints=steps), tmp_path / "alone", 1)
    for name, threads in (("one", 1), ("two", 2)):
        done = itemwise("train-tiny-models", "--runs", *runs, "--checkpoints", *steps,
                        "--lines", 600, "--threads", threads, "--out", tmp_path / name)  # fmt: skip
        assert done.status == 0, done.err
        assert "little: 40 steps" in done.out
        assert weights(tmp_path / name / "little", 40) == weights(tmp_path / "alone", 40)
        table = read_table(tmp_path / name / "little.parquet", "subjects")
        assert table.equals(alone)
    assert asked_for_gpus == []
    assert weights(tmp_path / "one/other", 40) == weights(tmp_path / "two/other", 40)
    record = read_record(tmp_path / "two/other.json")
    assert (record["share"], record["width"], record["checkpoints"]) == (0.5, 16, [5, 40])


def test_a_killed_command_goes_on_and_ends_with_the_same_weights(trained, itemwise, tmp_path):
    command = [sys.executable, "-m", "itemwise", "train-tiny-models", "--runs", json.dumps(RUNS[0]),
               *map(str, SHORT), "--out", str(tmp_path)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        while not (tmp_path / "little" / "state.pt").exists():
            assert running.poll() is None
            time.sleep(0.02)
        running.kill()
        running.stdout.read()  # until the child has ended too
    assert not (tmp_path / "little.parquet").exists()
    done = itemwise("train-tiny-models", "--runs", json.dumps(RUNS[0]), *SHORT, "--out", tmp_path)
    assert done.status == 0, done.err
    assert weights(tmp_path / "little", 300) == weights(trained[0], 300)


def test_a_run_that_fails_is_named_and_the_others_are_trained(harness, itemwise, tmp_path):
    runs = ['{"name": "odd", "width": 50}', '{"name": "even", "width": 16}']
    done = itemwise(
        "train-tiny-models", "--runs", *runs, "--checkpoints", 1, "--lines", 100, "--out", tmp_path
    )
    assert done.status == 2
    assert "run 'odd': width 50 does not divide" in done.err
    assert "odd: failed" in done.out
    assert not (tmp_path / "odd.parquet").exists()
    assert len(read_table(tmp_path / "even.parquet", "subjects")) == 1


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["{"], "--runs: {: is not JSON"),
        (["[1]"], "is not an object with a name"),
        (['{"width": 16}'], "is not an object with a name"),
        (['{"name": "a", "wdth": 16}'], "run 'a': 'wdth' is no setting of a run; did you mean"),
        (['{"name": "a"}', '{"name": "a"}'], "'a' is named twice"),
    ],
)
def test_mistakes_in_runs_are_told_before_anything_is_trained(runs, message, itemwise, tmp_path):
    done = itemwise(
        "train-tiny-models", "--runs", *runs, "--checkpoints", 1, "--out", tmp_path / "out"
    )
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_text_becomes_the_numbers_of_its_words():
    codes = encode(["1 + 1 = 2 .", "the cat"])
    assert codes.shape == (2, 6)
    known = words()
    assert [known[code] for code in codes[1]] == ["the", "cat", *["<pad>"] * 4]


def test_packed_lines_have_the_loss_of_lines_in_rows_of_their_own(harness):
    import torch

    model = new_model(RUN)
    rng = np.random.default_rng(1)
    lines = rng.integers(2, len(words()), (11, 14)) * (np.arange(14) < rng.integers(2, 15, (11, 1)))
    alone = torch.from_numpy(lines)
    inputs = packed(lines)
    assert inputs["input_ids"].shape[0] < 11
    with torch.no_grad():
        expected = model(alone, labels=alone.masked_fill(alone == 0, -100)).loss
        assert torch.allclose(model(**inputs).loss, expected, atol=1e-5)


def test_packed_lines_do_not_see_each_other(harness):
    import torch

    model = new_model(RUN)
    lines = np.array([[5, 6, 7, 0], [8, 9, 10, 11]])
    inputs, others = packed(lines), packed(lines[::-1])
    with torch.no_grad():
        logits, swapped = model(**inputs).logits, model(**others).logits
    assert torch.allclose(logits[0, :3], swapped[0, 4:7], atol=1e-5)
    assert torch.allclose(logits[0, 3:7], swapped[0, :4], atol=1e-5)


def test_learning_rate_rises_then_falls_to_a_tenth():
    factors = np.array([rate_factor(step, 1000) for step in (1, 50, 500, 1000)])
    assert factors[0] < 0.04
    assert factors[1] == pytest.approx(0.955)
    assert factors[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [(), (0, 5), (10, 5), (5, 5)])
def test_steps_that_do_not_increase_are_refused(steps):
    with pytest.raises(
        UserError, match=r"run 'r': checkpoints .* not increasing.*'tiny_models.checkpoints'"
    ):
        TrainingRun("r", steps)


def test_width_that_makes_no_heads_is_refused(harness, tmp_path):
    with pytest.raises(UserError, match=r"run 'r': width 50 .* multiple of 16"):
        train(TrainingRun("r", (1,), width=50, lines=100), tmp_path / "r", 1)
