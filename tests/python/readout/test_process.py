"""The Gaussian process: against a dense one, against simulated truth, and through its tables."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from answered import FORM, POOL, WHOLE, answers_of, world

from itemwise.irt.model import parameters_beta, probabilities
from itemwise.paths import ROOT
from itemwise.readout import kriging as module
from itemwise.readout.accuracy import accuracy
from itemwise.readout.implied import Pool, form_answers
from itemwise.readout.kriging import Base, nearest
from itemwise.readout.process import FoldForm, Quantiles, fit_process, implied_mean
from itemwise.readout.process_tables import (
    process_terms,
    read_process,
    reference_answers,
    reference_rows,
)


@pytest.fixture(scope="module")
def fitted():
    """A process of 200 models with two abilities, and 400 models to predict."""
    parameters, matrix, y = world(600, second=0.8)
    answers, theta = answers_of(parameters, matrix)
    train, new = np.arange(200), np.arange(200, 600)
    process, crossed = fit_process(answers.take(train), y[train], train % 5, implied=WHOLE)
    assert process.mean.is_implied
    return {"parameters": parameters, "matrix": matrix, "y": y, "answers": answers,
            "theta": theta, "train": train, "new": new, "process": process,
            "crossed": crossed}  # fmt: skip


def test_implied_score_is_answers_and_expectations():
    parameters, matrix, _ = world(5, missing=0.3)
    answers, theta = answers_of(parameters, matrix)
    p = probabilities(parameters_beta(parameters), theta)[0].T
    filled = np.where(matrix >= 0, matrix, p[:, :FORM])
    expected = 100 / POOL * (filled.sum(axis=1) + p[:, FORM:].sum(axis=1))
    # Sums over the pool are interpolated: 1e-6 of a share is 1e-4 points.
    np.testing.assert_allclose(answers.implied[:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(answers.filled[0], filled)
    unsure = np.where(matrix < 0, p[:, :FORM] * (1 - p[:, :FORM]), 0).sum(axis=1)
    np.testing.assert_allclose(answers.unsure[:, 0], unsure)
    assert (answers.excess[:, 0] >= (100 / POOL) ** 2 * unsure - 1e-12).all()


def test_complete_form_has_no_excess():
    parameters, matrix, _ = world(5)
    assert (answers_of(parameters, matrix)[0].excess == 0).all()


def test_equals_a_dense_process_where_all_models_are_neighbours(fitted):
    train = fitted["train"][:60]
    answers, y = fitted["answers"].take(train), fitted["y"][train]
    process, _ = fit_process(answers, y, train % 5)
    targets = fitted["answers"].take(fitted["new"])
    x, z = answers.filled[0], targets.filled[0]
    t = answers.implied[:, 0]
    u = (targets.implied[:, 0] - t.mean()) / t.std()
    t = (t - t.mean()) / t.std()
    line = (module.MEAN_SD * y.std()) ** 2

    def covariance(a, b, s, r):
        share = (a[:, None, :] != b[None]).mean(axis=2)
        return (process.kernel.variance * np.exp(-process.kernel.decay[0] * share)
                + line * (1 + s[:, None] * r[None]))  # fmt: skip

    noise = process.kernel.noise * answers.shape / answers.shape.mean()
    among = covariance(x, x, t, t) + np.diag(noise)
    to = covariance(z, x, u, t)
    residual = y - process.mean(answers.implied)
    expected = process.mean(targets.implied) + to @ np.linalg.solve(among, residual)
    prior = process.kernel.variance + line * (1 + u**2)
    variance = prior - (to * np.linalg.solve(among, to.T).T).sum(axis=1)
    variance += process.kernel.noise * targets.shape / answers.shape.mean()
    found = process.predict(targets)
    # The jitter against duplicates is 1e-9 of the variance.
    np.testing.assert_allclose(found["predicted"], np.clip(expected, 0, 100), atol=1e-5)
    half = process.quantiles.at(found["distance"]) * np.sqrt(variance)
    np.testing.assert_allclose(found["half_upper"], half, rtol=1e-6)


def test_neighbours_are_enough(fitted, monkeypatch):
    few = fitted["process"].predict(fitted["answers"].take(fitted["new"]))
    monkeypatch.setattr(module.nearest, "__defaults__", (None, 200))
    base = Base(fitted["process"].answers, fitted["process"].full_score)
    near, _ = nearest(fitted["answers"], base, np.ones(1))
    assert near.shape[1] == 200
    everybody = fitted["process"].predict(fitted["answers"].take(fitted["new"]))
    difference = np.sqrt(((few["predicted"] - everybody["predicted"]) ** 2).mean())
    # A tenth of the error that both have of the truth adds half a percent to it.
    error = np.sqrt(((everybody["predicted"] - fitted["y"][fitted["new"]]) ** 2).mean())
    assert difference < error / 5


def test_new_models_are_covered_and_no_worse_than_the_implied_score(fitted):
    new = fitted["new"]
    found = (
        fitted["process"].predict(fitted["answers"].take(new)).assign(full_score=fitted["y"][new])
    )
    # Binomial error of 400 models and that of a quantile of 200: 2.5 points, twice that.
    assert 0.85 <= accuracy(found)["coverage"] <= 0.95
    implied = fitted["answers"].implied[new, 0] - fitted["y"][new]
    assert accuracy(found)["rmse"] < 1.05 * np.sqrt((implied**2).mean())


def test_intervals_are_as_wide_as_errors_ask_at_each_distance():
    rng = np.random.default_rng(6)
    distance = np.concatenate([np.zeros(300), rng.random(700)])
    error = np.abs(rng.normal(size=1000)) * (1 + distance)
    found = Quantiles.of(error, distance, 0.9)
    assert found.starts[0] == 0
    assert 3 <= len(found.starts) <= 4
    for low, high in zip(found.starts, [*found.starts[1:], 2], strict=True):
        group = (low <= distance) & (distance < high)
        # Between (n + 1) level and one more of the errors are smaller.
        assert 0.9 <= (error[group] <= found.at(distance[group])).mean() <= 0.9 + 2 / group.sum()
    assert np.array_equal(found.at(np.array([0.0, 5.0])), found.values[[0, -1]])
    few = Quantiles.of(error[:150], distance[:150], 0.9)
    assert len(few.values) == 1
    assert np.isinf(Quantiles.of(error[:5], distance[:5], 0.9).values).all()


def test_a_choice_that_looked_at_scores_costs_nothing_where_folds_choose_again():
    """Of items that tell nothing those are chosen that fit the scores by chance."""
    rng = np.random.default_rng(8)
    parameters, _, y = world(400, seed=9)
    noise = (rng.random((400, 3000)) < 0.5).astype(np.int8)
    folds = np.arange(400) % 5
    train = np.arange(400) < 200
    known = parameters.iloc[:FORM].assign(a=0.02, d=0.0)

    def asked(by):
        """Return the answers to the items that correlate most with the scores of some models."""
        centred = noise[by] - noise[by].mean(axis=0)
        chosen = np.argsort(-centred.T @ (y[by] - y[by].mean()))[:FORM]
        theta = np.zeros(400)
        return form_answers(noise[:, chosen], known, Pool.of(known), theta)

    answers = asked(np.flatnonzero(train))
    again = {
        fold: FoldForm(np.arange(200), asked(np.flatnonzero(train & (folds != fold))).take(train))
        for fold in range(5)
    }
    spread, errors = y[~train].std(), {}
    for name, forms in (("once", {}), ("again", again)):
        process, crossed = fit_process(answers.take(train), y[train], folds[train],
                                       fold_forms=forms)  # fmt: skip
        errors[name] = np.sqrt(((crossed.predicted - y[train]) ** 2).mean())
        found = process.predict(answers.take(~train)).assign(full_score=y[~train])
        errors[f"{name}, new"] = accuracy(found)
    assert errors["once"] < 0.9 * spread  # flattered
    assert errors["again"] > 0.95 * spread
    # The quantile of 200 errors and 200 models: 3 points, twice that.
    assert errors["once, new"]["coverage"] < 0.84 <= errors["again, new"]["coverage"] <= 0.97


def test_models_of_a_family_help_each_other():
    rng = np.random.default_rng(21)
    parameters, _, _ = world(2)
    family = np.repeat(np.arange(50), 12)
    theta = rng.normal(size=50)[family]
    own = rng.normal(0, 2, (50, POOL))[family]
    logit = parameters["a"].to_numpy() * theta[:, None] + parameters["d"].to_numpy() + own
    right = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    answers, _ = answers_of(parameters, right[:, :FORM])
    y = 100 * right.mean(axis=1)
    new = np.arange(len(y)) % 3 == 0
    process, _ = fit_process(answers.take(~new), y[~new], (np.arange(len(y)) % 4)[~new])
    found = process.predict(answers.take(new))["predicted"] - y[new]
    implied = answers.implied[new, 0] - y[new]
    assert (found**2).mean() < 0.8 * (implied**2).mean()


def test_cross_fitted_error_is_that_of_new_models(fitted):
    crossed = fitted["crossed"].predicted - fitted["y"][fitted["train"]]
    found = fitted["process"].predict(fitted["answers"].take(fitted["new"]))
    error = found["predicted"] - fitted["y"][fitted["new"]]
    ratio = np.sqrt((crossed**2).mean() / (error**2).mean())
    assert 0.85 < ratio < 1.2  # both known to 5 %; crossed ones learn from 4/5 of the models


def test_tables_hold_all_of_it(fitted):
    train, form = fitted["train"], fitted["parameters"].iloc[:FORM]
    terms = process_terms(fitted["process"], "b", "A")
    rows = reference_rows(fitted["matrix"][train], fitted["theta"][train], fitted["y"][train],
                          "b", "A", train)  # fmt: skip
    trained = reference_answers(rows, form, Pool.of(fitted["parameters"]))
    again = read_process(terms, trained, rows["full_score"].to_numpy())
    targets = fitted["answers"].take(fitted["new"])
    pd.testing.assert_frame_equal(
        again.predict(targets), fitted["process"].predict(targets), rtol=1e-9
    )


def test_missing_answers_widen_and_still_cover():
    parameters, matrix, y = world(700, seed=3)
    answers, _ = answers_of(parameters, matrix)
    train, new = np.arange(300), np.arange(300, 700)
    process, _ = fit_process(answers.take(train), y[train], train % 5)
    gaps = matrix[new].copy()
    gaps[np.random.default_rng(1).random(gaps.shape) < 0.5] = -1
    whole = process.predict(answers.take(new))
    part = process.predict(answers_of(parameters, gaps)[0])
    assert (part["half_upper"].mean()) > 1.15 * whole["half_upper"].mean()
    covered = accuracy(part.assign(full_score=y[new]))["coverage"]
    assert 0.84 <= covered <= 0.96
    one = matrix[new].copy()
    one[:, 0] = -1
    almost = process.predict(answers_of(parameters, one)[0])
    # One answer of thirty is no other reconstruction.
    assert abs(almost["predicted"] - whole["predicted"]).max() < 8
    errors = [np.sqrt(((table["predicted"] - y[new]) ** 2).mean()) for table in (whole, almost)]
    assert errors[1] < 1.1 * errors[0]


def test_copies_do_not_set_the_length_scale():
    parameters, matrix, y = world(500, seed=5)
    answers, _ = answers_of(parameters, matrix)
    models, new = np.arange(100), np.arange(100, 500)
    copies = np.repeat(models, 3)
    process, _ = fit_process(answers.take(copies), y[copies], copies % 5)
    found = process.predict(answers.take(new)).assign(full_score=y[new])
    assert 0.83 <= accuracy(found)["coverage"] <= 0.96


def test_items_outside_the_pool_count_as_training_models_answered_them():
    parameters, matrix, y = world(330, seed=13)
    answers, _ = answers_of(parameters, matrix)
    # Of 300 items 100 are no part of the pool: all models answer 60 right and 40 wrong.
    full = (2 * y + 60) / 3
    mean = implied_mean(np.repeat([1.0, 0.0], [60, 40]), POOL)
    np.testing.assert_allclose(mean(answers.implied), (2 * answers.implied[:, 0] + 60) / 3)
    np.testing.assert_allclose(mean.slope(answers.implied), 2 / 3)
    train, new = np.arange(30), np.arange(30, 330)
    errors = {}
    for name, implied in (("with", mean), ("without", None)):
        process, _ = fit_process(answers.take(train), full[train], train % 5, implied=implied)
        found = process.predict(answers.take(new))
        errors[name] = np.sqrt(((found["predicted"] - full[new]) ** 2).mean())
    assert errors["with"] <= 1.02 * errors["without"]


def test_permuted_scores_gain_nothing():
    covered = []
    for seed in range(4):
        parameters, matrix, y = world(500, seed=seed)
        answers, _ = answers_of(parameters, matrix)
        y = np.random.default_rng(seed).permutation(y)
        train, new = np.arange(250), np.arange(250, 500)
        process, _ = fit_process(answers.take(train), y[train], train % 5)
        found = process.predict(answers.take(new)).assign(full_score=y[new])
        assert accuracy(found)["rmse"] > 0.97 * y[new].std()
        assert found["half_upper"].mean() > 1.4 * y.std()
        covered.append(accuracy(found)["coverage"])
    assert np.mean(covered) > 0.86  # an SD of 2.7 points in each


def test_twenty_models_are_enough_for_honest_intervals():
    covered = []
    for seed in range(12):
        parameters, matrix, y = world(120, seed=seed)
        answers, _ = answers_of(parameters, matrix)
        train, new = np.arange(20), np.arange(20, 120)
        process, _ = fit_process(answers.take(train), y[train], train % 5)
        found = process.predict(answers.take(new)).assign(full_score=y[new])
        covered.append(accuracy(found)["coverage"])
    # A quantile of 20 errors has SD 6.5 points; that of the mean of 12 is 2.
    assert 0.85 <= np.mean(covered) <= 0.97


def test_order_of_models_does_not_matter(fitted):
    train = fitted["train"]
    mixed = np.random.default_rng(4).permutation(train)
    answers, y = fitted["answers"].take(mixed), fitted["y"][mixed]
    process, _ = fit_process(answers, y, mixed % 5, implied=WHOLE)
    targets = fitted["answers"].take(fitted["new"])
    same = replace(fitted["process"], answers=answers, full_score=y)
    # Models that tie have an order of their own: only sums are rounded otherwise.
    pd.testing.assert_frame_equal(
        same.predict(targets), fitted["process"].predict(targets), atol=1e-9
    )
    np.testing.assert_allclose(
        process.predict(targets)["predicted"],
        fitted["process"].predict(targets)["predicted"],
        atol=0.02,  # optimisers stop near the maximum
    )


def test_form_of_the_same_size_takes_over_the_kernel(fitted):
    train = fitted["train"]
    like = replace(fitted["process"], quantiles=Quantiles(np.zeros(1), np.full(1, 1.5)))
    process, crossed = fit_process(
        fitted["answers"].take(train), fitted["y"][train], train % 5, like=like
    )
    assert crossed is None
    assert process.kernel == like.kernel
    assert process.quantiles == like.quantiles


THREADED = """
import sys
import numpy as np
from answered import answers_of, world
from itemwise.readout.process import fit_process
parameters, matrix, y = world(900, seed=2)
answers, _ = answers_of(parameters, matrix)
train = np.arange(800)
process, crossed = fit_process(answers.take(train), y[train], train % 5)
found = process.predict(answers.take(np.arange(800, 900)))
sys.stdout.buffer.write(np.concatenate([found.to_numpy().ravel(), crossed.predicted]).tobytes())
"""


def test_results_do_not_depend_on_threads():
    found = []
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", THREADED], cwd=ROOT / "tests" / "support",
                              env=environment, capture_output=True, check=True)  # fmt: skip
        found.append(done.stdout)
    assert len(found[0]) > 1000
    assert found[0] == found[1]


def test_a_model_is_predicted_alike_alone_and_among_others(fitted):
    targets = fitted["answers"].take(fitted["new"])
    together = fitted["process"].predict(targets)
    alone = pd.concat([fitted["process"].predict(targets.take(np.array([i]))) for i in range(20)])
    np.testing.assert_allclose(alone["predicted"], together["predicted"][:20], atol=1e-9)
