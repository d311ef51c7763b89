"""Training curves: what Trainers and Weights & Biases write, on the axis of the checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from test_page import BATCH, write_few

from itemwise.errors import UserError
from itemwise.tables.contract import read_table
from itemwise.trajectories.training_logs import POINTS, curve_rows, metric_of, read_log, tokens_of


def trainer_state(path, steps=range(10, 5001, 10)):
    """Write what transformers' Trainer writes, the summary at the end included."""
    history = [{"step": step, "epoch": step / 100, "loss": 10 / step, "learning_rate": 1e-4,
                "grad_norm": 1.0} for step in steps]  # fmt: skip
    history.append({"step": 5000, "eval_loss": 0.5, "eval_runtime": 3.0})
    history.append({"step": 5000, "train_runtime": 90.0, "train_loss": 7.0, "total_flos": 1e15})
    path.write_text(json.dumps({"global_step": 5000, "log_history": history}))
    return path


@pytest.mark.parametrize(
    ("column", "metric"),
    [
        ("train/loss", "loss"), ("run-3 - train/loss", "loss"), ("eval/loss", "eval_loss"),
        ("lr", "learning_rate"), ("train/grad_norm", "grad_norm"), ("val/loss", "eval_loss"),
        ("run-3 - train/loss__MIN", None), ("test/loss", None), ("epoch", None),
    ],
)  # fmt: skip
def test_columns_are_known_by_what_trainers_call_them(column, metric):
    assert metric_of(column) == metric


def test_a_trainer_state_is_read(tmp_path):
    log = read_log(trainer_state(tmp_path / "trainer_state.json"))
    assert set(log["metric"]) == {"loss", "learning_rate", "grad_norm", "eval_loss"}
    loss = log[log["metric"] == "loss"].set_index("step")["value"]
    assert loss[10] == 1
    assert loss[5000] == pytest.approx(0.002)  # not the mean of all, which the Trainer adds


def test_an_export_of_weights_and_biases_is_read(tmp_path):
    table = pd.DataFrame({"Step": [1, 2, 3], "my run - train/loss": [3.0, 2.0, np.nan],
                          "my run - train/loss__MIN": [3.0, 2.0, 1.0]})  # fmt: skip
    table.to_csv(tmp_path / "export.csv", index=False)
    log = read_log(tmp_path / "export.csv")
    assert log.to_dict("list") == {"metric": ["loss"] * 2, "step": [1, 2], "value": [3.0, 2.0]}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "cannot be read"),
        ("a.json", '{"step": 3}', "log_history"),
        ("a.csv", "Step,accuracy\n1,2\n", "has no metric"),
        ("a.csv", "time,loss\n1,2\n", "has no column of steps"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_what_is_no_training_log_is_refused_by_name(name, text, said, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read_log(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_tokens_lie_between_those_of_checkpoints():
    """In proportion before the first, between two, and beyond the last."""
    known = pd.DataFrame({"step": [100.0, 200.0, 0.0, np.nan], "tokens": [1e3, 4e3, 0.0, 5.0]})
    found = tokens_of(np.array([0, 50, 100, 150, 200, 400]), known)
    assert found.tolist() == [0, 500, 1000, 2500, 4000, 8000]
    assert np.isnan(tokens_of(np.array([1.0]), known[:0])).all()


def test_many_entries_are_averaged_and_none_is_lost():
    steps = np.arange(1, 20_001)
    log = pd.DataFrame({"metric": "loss", "step": steps, "value": 1 / steps})
    rows = curve_rows(log, "org/a", pd.DataFrame({"step": [10.0], "tokens": [100.0]}))
    assert len(rows) <= POINTS
    assert rows["n"].sum() == len(steps)
    assert np.average(rows["value"], weights=rows["n"]) == pytest.approx((1 / steps).mean())
    assert rows["tokens"].to_numpy() == pytest.approx(10 * rows["step"].to_numpy())


def test_training_curves_are_on_the_page(itemwise, tmp_path):
    measured = write_few(tmp_path / "m.parquet")
    log = trainer_state(tmp_path / "trainer_state.json")
    words = ["--measures", measured, "--out", tmp_path / "t", "--training-logs"]
    done = itemwise("build-trajectories", *words, f"org/b={log}")
    assert done.status == 2
    assert "org/a" in done.err
    done = itemwise("build-trajectories", *words, log)
    assert done.status == 0, done.err
    curves = read_table(tmp_path / "t" / "training_curves.parquet", "training_curves")
    loss = curves[curves["metric"] == "loss"]
    assert loss["tokens"].to_numpy() == pytest.approx(BATCH * loss["step"].to_numpy())
    page = tmp_path / "p.html"
    done = itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page)
    assert done.status == 0, done.err
    assert 'alt="training curves"' in page.read_text(encoding="utf-8")
