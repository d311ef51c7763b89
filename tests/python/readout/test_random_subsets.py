"""Random forms with one smooth: equal to one by one, blind to nothing, honest about mistakes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from itemwise.cli.main import main
from itemwise.irt.population import simulate_population
from itemwise.readout.random_subsets import minimax_form, preselection_errors, random_form_errors
from itemwise.responses.sets import (
    HeldOut,
    Training,
    read_training,
    write_test,
    write_training,
)
from itemwise.tables.contract import read_table, write_table


@pytest.fixture(scope="module")
def leaderboard():
    """Return responses, full scores and who trains: 400 models, 60 items, none missing."""
    matrix = simulate_population("b", 0, 400, 60, 0.0, 0.0, 1).responses.matrix
    return matrix, 100 * matrix.mean(axis=1), np.arange(400) < 300


def test_draws_equal_one_smooth_each(leaderboard):
    matrix, score, training = leaderboard
    rmse, mae = random_form_errors(matrix, score, training, 20, 5, seed=3)
    rng = np.random.default_rng(3)
    for draw in range(5):
        share = matrix[:, rng.permutation(60)[:20]].mean(axis=1)
        # The spline of all draws spans the lattice, so its ends are given here too.
        x = np.concatenate([share[training], [0, 1]])
        y = np.concatenate([score[training], [np.nan, np.nan]])
        inside = ~np.isnan(y)
        predicted = smooth_between(x[inside], y[inside], share[~training])
        error = np.clip(predicted, 0, 100) - score[~training]
        assert rmse[draw] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
        assert mae[draw] == pytest.approx(np.mean(np.abs(error)), rel=1e-6)


def smooth_between(x, y, at):
    from itemwise.readout.splines import basis, fit_splines

    rows, target = basis(x, 0, 1, 20), y - y.mean()
    coefficients = fit_splines(rows.T @ rows, rows.T @ target, target @ target, len(y))
    return y.mean() + basis(at, 0, 1, 20) @ coefficients


def test_more_items_err_less_and_seeds_repeat(leaderboard):
    few, _ = random_form_errors(*leaderboard, 10, 100, seed=1)
    many, _ = random_form_errors(*leaderboard, 40, 100, seed=1)
    assert np.median(many) < 0.6 * np.median(few)
    assert (random_form_errors(*leaderboard, 10, 100, seed=1)[0] == few).all()
    assert (random_form_errors(*leaderboard, 10, 100, seed=2)[0] != few).any()


def test_shuffled_responses_tell_nothing(leaderboard):
    matrix, score, training = leaderboard
    shuffled = np.random.default_rng(1).permuted(matrix, axis=0)
    rmse, _ = random_form_errors(shuffled, score, training, 20, 50, seed=1)
    assert np.median(rmse) > 0.97 * score[~training].std()


def test_missing_cells_cost_little(leaderboard):
    matrix, score, training = leaderboard
    holes = np.where(np.random.default_rng(2).random(matrix.shape) < 0.05, -1, matrix)
    whole, _ = random_form_errors(matrix, score, training, 30, 100, seed=1)
    holed, _ = random_form_errors(holes.astype(np.int8), score, training, 30, 100, seed=1)
    assert 1 < np.median(holed) / np.median(whole) < 1.3


def test_folds_are_read_out_by_the_others(leaderboard):
    matrix, score, _ = leaderboard
    folds = np.arange(400) % 3 + 1
    forms, rmse = preselection_errors(matrix, score, folds, 20, 8, seed=4)
    assert rmse.shape == (8, 3)
    for number in range(3):
        # The same draws, the fold being the test set.
        alone, _ = random_form_errors(matrix, score, folds != number + 1, 20, 8, seed=4)
        np.testing.assert_allclose(rmse[:, number], alone, rtol=1e-12)
    assert all(len(set(form)) == 20 for form in forms.tolist())


def test_minimax_by_hand():
    forms = np.array([[3, 1], [0, 2], [4, 2]])
    rmse = np.array([[1.0, 3.0], [2.0, 2.5], [2.4, 2.6]])
    positions, draw = minimax_form(forms, rmse)
    assert (positions.tolist(), draw) == ([0, 2], 1)


def test_items_that_tell_nothing_are_thinned_out():
    # Four of twelve items are coins: the best of many subsets has fewer of them than chance.
    matrix = simulate_population("b", 0, 400, 8, 0.0, 0.0, 1).responses.matrix
    coins = np.random.default_rng(0).integers(0, 2, (400, 4)).astype(np.int8)
    score = 100 * matrix.mean(axis=1)
    forms, rmse = preselection_errors(
        np.hstack([matrix, coins]), score, np.arange(400) % 5, 6, 300, 1
    )
    positions, _ = minimax_form(forms, rmse)
    assert (positions >= 8).sum() == 0
    assert (forms >= 8).sum(axis=1).mean() == pytest.approx(2, abs=0.2)


@pytest.fixture
def tables(tmp_path, leaderboard):
    """Return a function that runs the stage, some full scores being unknown."""
    responses = simulate_population("b", 0, 400, 60, 0.0, 0.0, 1).responses
    _, score, train = leaderboard
    paths = {name: tmp_path / f"{name}.parquet" for name in ("training", "test")}

    def run(*options, known=True) -> int:
        points = np.where(known, score, np.nan)
        everybody = Training(responses, points, np.ones(400, int))
        write_training(everybody.take(train), paths["training"])
        others = HeldOut(responses, points, np.full(400, "test", dtype=object))
        write_test(others.take(~train), paths["test"])
        return main(
            ["draw-baseline", "--benchmark", "b", "--draws", "30"]
            + [word for name, path in paths.items() for word in (f"--{name}", str(path))]
            + ["--out", str(tmp_path / "out.parquet"), "--record", str(tmp_path / "record.json")]
            + [str(option) for option in options]
        )

    return run


def test_stage_writes_every_draw_of_every_size(tables, tmp_path, capsys):
    assert tables("--sizes", 5, 20) == 0
    table = read_table(tmp_path / "out.parquet", "baseline")
    assert table.groupby("n_items").size().to_dict() == {5: 30, 20: 30}
    record = json.loads((tmp_path / "record.json").read_text())
    by_size = table.groupby("n_items")["rmse"].median()
    assert record["rmse"]["5"]["50 %"] == pytest.approx(by_size[5])
    assert (record["n_training"], record["n_test"]) == (300, 100)
    (tmp_path / "size.json").write_text('{"n_selected": 7}')
    assert tables("--size-of", tmp_path / "size.json") == 0
    assert set(read_table(tmp_path / "out.parquet", "baseline")["n_items"]) == {7}


def test_mistakes_are_refused(tables, leaderboard, tmp_path, capsys):
    train = np.cumsum(leaderboard[2]) * leaderboard[2]  # training subjects, numbered from 1
    for options, known, message in [
        (("--sizes", 61), train >= 0, "61 items of 60 in the pool"),
        (("--sizes", 5), train > 0, "no test model has responses"),
        (("--sizes", 5), train <= 19, "19 training models have a full score"),
    ]:
        assert tables(*options, known=known) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out.parquet").exists()


# ---- Preselection -----------------------------------------------------------


@pytest.fixture
def preselect(tmp_path, leaderboard):
    """Return a function that runs preselect-items on 60 items, ten of them screened out."""
    responses = simulate_population("b", 0, 400, 60, 0.0, 0.0, 1).responses
    items = pd.DataFrame({"benchmark": "b", "item": responses.items, "keep": 1, "reason": ""})
    items.loc[:9, ["keep", "reason"]] = [0, "sd 0 <= 0.01"]
    write_table(items, tmp_path / "items.parquet", "items")
    everybody = Training(responses, leaderboard[1], np.arange(400) % 5 + 1)
    training = everybody.take(leaderboard[2]).of_items(responses.items[10:], "responses")

    def run(*options, known: int = 300):
        points = np.where(np.arange(300) < known, training.full_score, np.nan)
        write_training(replace(training, full_score=points), tmp_path / "training.parquet")
        files = {
            "training": "training.parquet", "items": "items.parquet", "out": "out.parquet",
            "out-training": "smaller.parquet", "record": "preselected.json",
        }  # fmt: skip
        words = ["preselect-items", "--benchmark", "b", "--draws", "40", *options]
        words += [word for name, file in files.items() for word in (f"--{name}", tmp_path / file)]
        return main([str(word) for word in words])

    return run


def test_stage_keeps_the_best_subset_of_the_screened_items(
    preselect, tmp_path, leaderboard, capsys
):
    assert preselect("--size", 20, "--seed", 2) == 0
    table = read_table(tmp_path / "out.parquet", "items")
    matrix, score, training = leaderboard
    folds = np.arange(400)[training] % 5
    forms, rmse = preselection_errors(matrix[training, 10:], score[training], folds, 20, 40, 2)
    positions, draw = minimax_form(forms, rmse)
    assert np.flatnonzero(table["keep"] == 1).tolist() == (10 + positions).tolist()
    smaller = read_training(tmp_path / "smaller.parquet")
    assert smaller.responses.items.tolist() == table.loc[table["keep"] == 1, "item"].tolist()
    np.testing.assert_array_equal(smaller.responses.matrix, matrix[training][:, 10 + positions])
    np.testing.assert_array_equal(smaller.full_score, score[training])
    assert (table["reason"][:10] == "sd 0 <= 0.01").all()
    assert (table["reason"] == "not among the 20 preselected items").sum() == 30
    record = json.loads((tmp_path / "preselected.json").read_text())
    assert (record["n_pool"], record["n_kept"], record["draw"]) == (50, 20, draw + 1)
    assert record["fold_rmse"] == pytest.approx(rmse[draw])
    assert record["largest_fold_rmse"]["0 %"] == pytest.approx(rmse[draw].max())
    assert record["n_training"] == 300


def test_a_pool_that_is_small_enough_stays_whole(preselect, tmp_path, capsys):
    assert preselect("--size", 50) == 0
    table = read_table(tmp_path / "out.parquet", "items")
    assert table["keep"].tolist() == 10 * [0] + 50 * [1]
    assert "fold_rmse" not in json.loads((tmp_path / "preselected.json").read_text())


def test_preselection_without_scores_is_refused(preselect, tmp_path, capsys):
    assert preselect("--size", 20, known=9) == 2
    assert "9 training models have a full score" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
