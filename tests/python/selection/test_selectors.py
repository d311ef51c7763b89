"""Selectors: what each must find, on truth that is known, and what must always hold."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.cli.main import main
from itemwise.errors import UserError
from itemwise.forms import check_size, fold_form
from itemwise.irt.model import fill_expected, item_information
from itemwise.irt.population import simulate_population
from itemwise.responses.sets import Training, read_training, write_training
from itemwise.selection.balance import Balance, assign_parallel_forms
from itemwise.selection.choose import reported_sizes
from itemwise.selection.selectors import (
    RIDGE,
    by_anchor_points,
    by_reconstruction,
    by_test_information,
    cross_fitted,
    first_of_each,
    penalised_size,
    prefix_rmse,
    ranked_without_folds,
)
from itemwise.tables.contract import read_any_rows, read_table, write_table
from itemwise.tables.files import read_record
from itemwise.workflow.schema import section_rules

METHODS = section_rules("selection")["method"]["enum"]


def one_domain(n_items: int, size: int) -> Balance:
    return Balance(np.zeros(n_items), size)


def ridge_criterion(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(axis=0), y - y.mean()
    slopes = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return float(((y - x @ slopes) ** 2).sum() + RIDGE * (slopes**2).sum())


def test_forward_selection_equals_solving_every_candidate():
    rng = np.random.default_rng(1)
    x = (rng.random((120, 14)) < 0.5).astype(np.int8)
    y = x @ rng.normal(size=14) + rng.normal(size=120)
    taken: list[int] = []
    for _ in range(6):
        rest = [i for i in range(14) if i not in taken]
        taken.append(min(rest, key=lambda i: ridge_criterion(x[:, [*taken, i]].astype(float), y)))
    positions, rmse = by_reconstruction(x, y, one_domain(14, 6), 6)
    assert positions.tolist() == taken
    expected = np.sqrt(ridge_criterion(x[:, taken].astype(float), y) / 120) / (1 - 7 / 120)
    assert rmse[-1] == pytest.approx(expected, rel=1e-10)


def test_reconstruction_finds_the_items_that_the_score_is_made_of():
    rng = np.random.default_rng(2)
    x = (rng.random((500, 40)) < 0.5).astype(np.int8)
    positions, rmse = by_reconstruction(x, 10.0 * x[:, [3, 17, 30]].sum(1), one_domain(40, 5), 5)
    assert set(positions[:3]) == {3, 17, 30}
    assert rmse[2] < 0.5 * rmse[1]  # not 0: the criterion holds the penalty
    assert penalised_size(rmse, 1.0) == 3


def test_cells_not_administered_count_as_their_expectation():
    population = simulate_population("b", 0, 50, 8, 0.2, 0.3, 3)
    responses, parameters = population.responses, population.parameters
    theta = population.abilities["theta"].to_numpy()
    filled = fill_expected(responses.matrix, parameters, theta)
    seen = responses.administered
    assert (filled[seen] == responses.matrix[seen]).all()
    logit = np.outer(theta, parameters["a"]) + parameters["d"].to_numpy()
    chance = parameters["g"].to_numpy() + (1 - parameters["g"].to_numpy()) / (1 + np.exp(-logit))
    np.testing.assert_allclose(filled[~seen], chance[~seen])


def test_test_information_measures_the_population_better_than_any_swap():
    parameters = simulate_population("b", 0, 10, 30, 0.0, 0.0, 1).parameters
    theta = np.linspace(-1, 2, 25)
    chosen = by_test_information(parameters, theta, one_domain(30, 1), 1)
    information = item_information(parameters, theta)
    variance = (1 / (1 + information)).mean(axis=1)
    assert chosen.tolist() == [int(variance.argmin())]
    longer = by_test_information(parameters, theta, one_domain(30, 9), 9)
    random = np.random.default_rng(0)
    for _ in range(50):
        other = information[random.permutation(30)[:9]].sum(axis=0)
        assert np.mean(1 / (1 + information[longer].sum(axis=0))) < np.mean(1 / (1 + other))


def test_anchors_are_one_item_a_cluster():
    centres = np.array([[1, -2], [1, 2], [3, 0]])
    near = np.random.default_rng(1).normal(0, 0.05, (30, 2))
    values = np.repeat(centres, 10, axis=0) + near
    parameters = pd.DataFrame({"a": values[:, 0], "d": values[:, 1], "g": 0.0, "u": 1.0})
    chosen = by_anchor_points(parameters, one_domain(30, 3), 3, seed=1)
    assert sorted(chosen // 10) == [0, 1, 2]


@given(st.integers(2, 25), st.data())
@settings(deadline=None, max_examples=40)
def test_every_selector_takes_each_item_once_within_its_quota(n_items, data):
    size = data.draw(st.integers(1, n_items))
    seed = data.draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    domains = rng.integers(0, 3, n_items)
    population = simulate_population("b", 0, 60, n_items, 0.1, 0.1, seed)
    responses = np.maximum(population.responses.matrix, 0)
    theta, parameters = np.linspace(-2, 2, 9), population.parameters
    balance = Balance(domains, size)
    for chosen in (
        by_reconstruction(responses, rng.normal(size=60), balance, size)[0],
        by_test_information(parameters, theta, balance, size),
        by_anchor_points(parameters, balance, size, seed),
    ):
        assert len(set(chosen.tolist())) == size
        counts = np.bincount(balance.codes[chosen], minlength=len(balance.quota))
        assert (counts == balance.quota).all()
    assert abs(balance.quota / size - np.bincount(balance.codes) / n_items).max() < 1 / size


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_forms_are_disjoint_equally_long_and_share_domains(n_ranked, n_forms, n_domains, seed):
    rng = np.random.default_rng(seed)
    domains = rng.integers(0, n_domains, 50)
    positions = rng.permutation(50)[:n_ranked]
    forms = assign_parallel_forms(positions, domains, n_forms)
    assert sorted(np.concatenate(forms)) == sorted(positions)
    sizes = [len(form) for form in forms]
    assert max(sizes) - min(sizes) <= 1
    for domain in range(n_domains):
        counts = [(domains[form] == domain).sum() for form in forms]
        assert max(counts) - min(counts) <= 2
    for form in forms:  # the ranking stays
        assert np.all(np.diff([positions.tolist().index(i) for i in form]) > 0)


@pytest.mark.parametrize(("size", "forms"), [(0, 1), (11, 1), (6, 2)])
def test_more_items_than_the_pool_are_refused(size, forms):
    with pytest.raises(UserError, match=r"items of 10 in the pool; set config key 'selection.b"):
        check_size(size, 10, forms)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """Return a folder with what select_items reads: 300 models, 60 items, two domains."""
    folder = tmp_path_factory.mktemp("calibrated")
    population = simulate_population("b", 0, 300, 60, 0.0, 0.02, 1)
    responses = population.responses
    write_table(population.parameters, folder / "parameters.parquet", "parameters")
    abilities = population.abilities[:240].assign(method="EAP")
    write_table(abilities, folder / "abilities.parquet", "abilities")
    score = 100 * np.nanmean(np.where(responses.administered, responses.matrix, np.nan), 1)
    training = Training(responses, score, np.arange(300) % 5 + 1).take(np.arange(240))
    write_training(training, folder / "training.parquet")
    items = pd.DataFrame({"benchmark": "b", "item": responses.items})
    items["domain"] = np.where(np.arange(60) < 40, "algebra", "geometry")
    write_table(items, folder / "items.parquet", "items")
    return folder


def select(folder, out, *options) -> int:
    tables = ("parameters", "abilities", "training", "items")
    paths = [part for name in tables for part in (f"--{name}", str(folder / f"{name}.parquet"))]
    return main(["select-items", *paths, "--benchmark", "b", "--out", str(out), *map(str, options)])


@pytest.mark.parametrize("method", ["reconstruction", "test-information", "anchors", "random"])
def test_parallel_forms_from_the_command_line(method, calibrated, tmp_path):
    out = tmp_path / "selection.parquet"
    options = ("--method", method, "--budget", 9, "--forms", 3, "--balance", "domain")
    assert select(calibrated, out, *options, "--random-forms", 2) == 0
    table = read_table(out, "selection")
    assert table.groupby("form").size().to_dict() == dict.fromkeys(
        ["A", "B", "C", "random1", "random2"], 9
    )
    dealt = table[table["form"].isin(["A", "B", "C"])]
    assert not dealt["item"].duplicated().any()
    # The random forms, with which these are compared, are balanced as they are.
    assert (table["item"].str[2:].astype(int) <= 40).groupby(table["form"]).sum().eq(6).all()


@pytest.mark.parametrize("method", METHODS)
def test_penalty_shortens_the_selection_of_every_method(method, calibrated, tmp_path):
    out = tmp_path / "selection.parquet"
    chosen = []
    for more in ((), ("--penalty", 0.001), ("--penalty", 0.3)):
        assert select(calibrated, out, "--method", method, "--budget", 40, *more) == 0
        table = read_table(out, "selection")
        chosen.append(table.loc[table["form"] == "A", "item"].tolist())
    assert len(chosen[2]) < len(chosen[1]) <= len(chosen[0]) <= 40
    # What is chosen is what the method chooses at that size.
    assert select(calibrated, out, "--method", method, "--budget", len(chosen[2])) == 0
    table = read_table(out, "selection")
    assert table.loc[table["form"] == "A", "item"].tolist() == chosen[2]


def test_errors_of_prefixes_equal_those_of_forward_selection():
    rng = np.random.default_rng(3)
    x = (rng.random((80, 10)) < 0.5).astype(float)
    y = x @ rng.normal(size=10) + rng.normal(size=80)
    positions, rmse = by_reconstruction(x, y, one_domain(10, 8), 8)
    found = prefix_rmse(x, y, lambda size: positions[:size], 8)
    np.testing.assert_allclose(found, rmse, rtol=1e-10)
    assert np.isinf(prefix_rmse(x[:5], y[:5], lambda size: positions[:size], 8)[3:]).all()


def test_reconstruction_is_the_default(calibrated, tmp_path):
    for out, more in (("a", ()), ("b", ("--method", "reconstruction"))):
        assert select(calibrated, tmp_path / out, "--budget", 9, *more) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_record_tells_what_other_sizes_would_do(method, calibrated, tmp_path):
    record = tmp_path / "record.json"
    options = ("--method", method, "--budget", 24, "--record", record)
    assert select(calibrated, tmp_path / "out.parquet", *options) == 0
    told = read_record(record)
    sizes = [row["n_items"] for row in told["sizes"]]
    assert sizes[:5] == [5, 10, 20, 24, 40]
    assert sizes[-1] == told["n_pool"] or method == "information"  # its filter takes no more
    errors = [row["rmse"] for row in told["sizes"]]
    assert errors[3] < 0.8 * errors[0]
    assert errors[-1] < 0.7 * errors[3]  # beyond the budget it goes on
    # What errors of this size take where predictions follow the score one to one; few items
    # shrink them, by a fifth or so, and neighbours share some of their errors.
    ratios = [row["detectable"] / (2.80 * 2**0.5 * row["rmse"]) for row in told["sizes"]]
    assert 1.05 < ratios[0] < 1.4
    assert all(0.4 < ratio < 1.2 for ratio in ratios[1:])
    assert ratios[-1] < 1
    assert (told["optimism"] > 1) == (method == "reconstruction")


def test_a_fold_has_no_say_in_the_form_that_others_choose(calibrated, tmp_path):
    """Its scores are turned round: of all forms that without it alone stays."""
    options = ("--budget", 9, "--forms", 2, "--balance", "domain", "--out-folds")
    assert select(calibrated, tmp_path / "out", *options, tmp_path / "before.parquet") == 0
    shutil.copytree(calibrated, tmp_path / "turned")
    training = read_training(tmp_path / "turned/training.parquet")
    score = np.where(training.fold == 2, 100 - training.full_score, training.full_score)
    write_training(replace(training, full_score=score), tmp_path / "turned/training.parquet")
    assert select(tmp_path / "turned", tmp_path / "out", *options, tmp_path / "after.parquet") == 0
    before, after = (
        read_table(tmp_path / f"{name}.parquet", "selection").groupby("form")["item"].apply(list)
        for name in ("before", "after")
    )
    names = {fold_form(form, fold) for form in "AB" for fold in range(1, 6)}
    assert set(before.index) == set(after.index) == names
    same = {name for name in names if before[name] == after[name]}
    assert same == {"A, without fold 2", "B, without fold 2"}
    assert all(len(items) == 9 for items in before)
    options = ("--budget", 9, "--method", "anchors", "--out-folds", tmp_path / "none.parquet")
    assert select(calibrated, tmp_path / "out", *options) == 0
    assert read_any_rows(tmp_path / "none.parquet", "selection").empty


def test_sizes_beyond_the_form_end_where_the_pool_ends_or_cost_too_much():
    assert reported_sizes(50, 240) == [5, 10, 20, 40, 50, 80, 160, 240]
    assert reported_sizes(100, 14_000) == [5, 10, 20, 40, 80, 100, 160, 200]
    assert reported_sizes(350, 600) == [5, 10, 20, 40, 80, 160, 320, 350, 600]
    assert reported_sizes(7, 7) == [5, 7]


def test_larger_sizes_change_nothing_of_the_form(calibrated, tmp_path, monkeypatch):
    """Quotas depend on the size, so that a larger form is ranked apart."""

    def told(sizes: tuple) -> dict:
        record = tmp_path / "record.json"
        monkeypatch.setattr("itemwise.selection.choose.SIZES", sizes)
        options = ("--budget", 12, "--record", record, "--balance", "domain")
        assert select(calibrated, tmp_path / "out.parquet", *options) == 0
        return read_record(record)

    short, long = told((5, 10)), told((5, 10, 1000))
    assert [row["n_items"] for row in short["sizes"]] == [5, 10, 12, 24]
    assert long["sizes"][-1]["n_items"] == long["n_pool"]
    assert short["optimism"] == long["optimism"]
    assert short["sizes"][:3] == long["sizes"][:3]


def test_nobody_is_predicted_from_items_that_he_helped_to_choose():
    rng = np.random.default_rng(4)
    x = (rng.random((90, 30)) < 0.5).astype(float)
    y, folds = rng.normal(size=90), np.arange(90) % 3
    y_other = np.where(folds == 1, -y, y)

    def predicted(y):
        ranked = ranked_without_folds(x, y, folds, one_domain(30, 6), 6)
        return cross_fitted(x, y, folds, first_of_each(ranked, folds, [3, 6]))

    before, after = predicted(y), predicted(y_other)
    assert before.shape == (2, 90)
    np.testing.assert_array_equal(before[:, folds == 1], after[:, folds == 1])
    assert not np.allclose(before[:, folds == 0], after[:, folds == 0])
    # Noise cannot be predicted; with the items chosen by all it seems to be.
    chosen, _ = by_reconstruction(x, y, one_domain(30, 6), 6)
    flattered = cross_fitted(x, y, folds, lambda seen: [chosen])[0]
    assert np.corrcoef(flattered, y)[0, 1] > 0.2 > np.corrcoef(before[1], y)[0, 1]


def test_subsample_is_drawn(calibrated, tmp_path):
    out = tmp_path / "selection.parquet"
    assert select(calibrated, out, "--method", "random", "--budget", 12, "--subsample", 12) == 0
    assert select(calibrated, out, "--method", "random", "--budget", 13, "--subsample", 12) == 2


MISTAKES = {
    "budget above the pool": (("--method", "anchors", "--budget", 61), "61 items of 60 in the"),
    "forms above the pool": (
        ("--method", "reconstruction", "--budget", 31, "--forms", 2),
        "or lower 'selection.forms'",
    ),
    "threshold of another method": (
        ("--method", "anchors", "--threshold", 1), "--threshold means nothing to --method anchors",
    ),
    "penalty beside a threshold": (
        ("--method", "information", "--threshold", 1, "--penalty", 1), "leave one of them out",
    ),
    "balance of the filter": (
        ("--method", "information", "--budget", 5, "--balance", "domain"), "knows no sub-domains",
    ),
    "no such sub-domain": (
        ("--method", "random", "--budget", 5, "--balance", "topic"), "lacks the column 'topic'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_refused(options, message, calibrated, tmp_path, capsys):
    assert select(calibrated, tmp_path / "out.parquet", *options) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_too_few_full_scores(calibrated, tmp_path, capsys):
    training = read_training(calibrated / "training.parquet")
    few = np.where(np.arange(240) < 19, training.full_score, np.nan)
    write_training(replace(training, full_score=few), tmp_path / "few.parquet")
    options = ("--method", "reconstruction", "--budget", 5, "--training", tmp_path / "few.parquet")
    assert select(calibrated, tmp_path / "out.parquet", *options) == 2
    assert "few.parquet: 19 training models" in capsys.readouterr().err
