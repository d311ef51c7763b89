"""The process over several benchmarks: against a dense one, truth, and through its tables."""

import numpy as np
import pandas as pd
import pytest
from answered import FORM, POOL, WHOLE, answers_of, world

from itemwise.readout import kriging as module
from itemwise.readout.accuracy import accuracy
from itemwise.readout.implied import Pool, beside
from itemwise.readout.process import fit_process, weighted
from itemwise.readout.process_tables import (
    of_shared_models,
    process_terms,
    read_joint_processes,
    reference_rows,
    shares,
    without_names,
)


def two_benchmarks(n, seed=11):
    """Simulate two benchmarks of one ability, with a second one that counts in both."""
    rng = np.random.default_rng(seed)
    theta, second = rng.normal(size=(2, n))
    made = []
    for number in (1, 2):
        parameters, _, _ = world(2, seed=number)
        logit = parameters["a"].to_numpy() * (theta + number / 4 * second)[:, None]
        logit += parameters["d"].to_numpy()
        right = (rng.random((n, POOL)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
        answers, abilities = answers_of(parameters, right[:, :FORM])
        made.append((parameters, right[:, :FORM], 100 * right.mean(axis=1), answers, abilities))
    return made


@pytest.fixture(scope="module")
def joined():
    """The joint processes of 300 models of two benchmarks, and 300 to predict."""
    made = two_benchmarks(600)
    train, new = np.arange(300), np.arange(300, 600)
    answers = beside([part[3] for part in made])
    scores = np.stack([part[2] for part in made])
    fits = {
        name: fit_process(answers.take(train), (share @ scores)[train], train % 5,
                          implied=weighted([WHOLE, WHOLE], share))
        for name, share in shares(["b", "c"]).items()
    }  # fmt: skip
    return {"made": made, "answers": answers, "scores": scores, "train": train, "new": new,
            "fits": fits}  # fmt: skip


def error_of(predicted, true):
    return np.sqrt(((np.asarray(predicted) - true) ** 2).mean())


def test_several_benchmarks_help_each_other(joined):
    train, new = joined["train"], joined["new"]
    alone = []
    for number, name in enumerate(("b", "c")):
        _, _, y, answers, _ = joined["made"][number]
        process, _ = fit_process(answers.take(train), y[train], train % 5, implied=WHOLE)
        alone.append(process.predict(answers.take(new))["predicted"])
        found = joined["fits"][name][0].predict(joined["answers"].take(new))["predicted"]
        # One ability counts in both: up to twice the answers.
        assert error_of(found, y[new]) < 0.95 * error_of(alone[-1], y[new])
    overall = joined["fits"]["overall"][0].predict(joined["answers"].take(new))
    true = joined["scores"].mean(axis=0)[new]
    assert error_of(overall["predicted"], true) < error_of(np.mean(alone, axis=0), true)
    covered = accuracy(overall.assign(full_score=true))["coverage"]
    # Binomial error of 300 models and that of a quantile of 300: 2.5 points, twice that.
    assert 0.85 <= covered <= 0.95


def test_joint_process_equals_a_dense_one_where_all_models_are_neighbours(joined):
    train, targets = joined["train"][:60], joined["answers"].take(joined["new"])
    answers, y = joined["answers"].take(train), joined["scores"].mean(axis=0)[train]
    process, _ = fit_process(answers, y, train % 5)
    kernel = process.kernel
    t = answers.implied.mean(axis=1)
    u = (targets.implied.mean(axis=1) - t.mean()) / t.std()
    t = (t - t.mean()) / t.std()
    line = (module.MEAN_SD * y.std()) ** 2

    def covariance(of, to, s, r):
        share = [(a[:, None, :] != b[None]).mean(axis=2)
                 for a, b in zip(of.filled, to.filled, strict=True)]  # fmt: skip
        fall = np.tensordot(kernel.decay, share, axes=1)
        return kernel.variance * np.exp(-fall) + line * (1 + s[:, None] * r[None])

    unit = kernel.noise / answers.shape.mean()
    among = covariance(answers, answers, t, t) + np.diag(unit * answers.shape)
    to = covariance(targets, answers, u, t)
    expected = process.mean(targets.implied)
    expected += to @ np.linalg.solve(among, y - process.mean(answers.implied))
    variance = kernel.variance + line * (1 + u**2) + unit * targets.shape
    variance -= (to * np.linalg.solve(among, to.T).T).sum(axis=1)
    found = process.predict(targets)
    # The jitter against duplicates is 1e-9 of the variance.
    np.testing.assert_allclose(found["predicted"], np.clip(expected, 0, 100), atol=1e-5)
    half = process.quantiles.at(found["distance"]) * np.sqrt(variance)
    np.testing.assert_allclose(found["half_upper"], half, rtol=1e-6)


def test_joint_process_comes_back_from_tables_without_names(joined):
    """From the reference of each benchmark, with models that the other lacks, in other rows."""
    train, new = joined["train"], joined["new"]
    names = np.array([f"zoo/m{i}" for i in range(600)], object)
    parts = dict(zip(("b", "c"), joined["made"], strict=True))
    references = {}
    for name, more in (("b", new[:40]), ("c", new[40:90])):
        _, matrix, y, _, theta = parts[name]
        rows = np.random.default_rng(len(more)).permutation(np.concatenate([train, more]))
        references[name] = reference_rows(
            matrix[rows], theta[rows], y[rows], name, "A", names[rows]
        )
    fits = {name: process for name, (process, _) in joined["fits"].items()}
    terms = [process_terms(process, name, "A", list(parts)) for name, process in fits.items()]
    bare = without_names(pd.concat(references.values()))
    assert "subject" not in bare
    assert bare["row"].max() == 390
    targets = joined["answers"].take(new)
    for tables in (references, dict(iter(bare.groupby("benchmark")))):
        assert {len(table) for table in of_shared_models(list(tables.values()))} == {300}
        again = read_joint_processes(
            pd.concat(terms), tables, {name: part[0].iloc[:FORM] for name, part in parts.items()},
            {name: Pool.of(part[0]) for name, part in parts.items()},
        )  # fmt: skip
        assert list(again) == ["b", "c", "overall"]
        for name, process in again.items():
            pd.testing.assert_frame_equal(
                process.predict(targets), fits[name].predict(targets), atol=1e-9
            )


@pytest.mark.parametrize("given", [(0.5, 0.5), (1.0, 0.2), (0.1, 0.1)])
def test_the_mean_of_all_holds_for_forms_that_were_answered_in_part(given, joined):
    new, rng = joined["new"], np.random.default_rng(3)
    parts = []
    for share, (parameters, matrix, *_) in zip(given, joined["made"], strict=True):
        asked = matrix[new].copy()
        gaps = rng.random(asked.shape) >= share
        gaps[np.arange(len(gaps)), rng.integers(0, FORM, len(gaps))] = False  # one at least
        asked[gaps] = -1
        parts.append(answers_of(parameters, asked)[0])
    process, true = joined["fits"]["overall"][0], joined["scores"].mean(axis=0)[new]
    found = process.predict(beside(parts)).assign(full_score=true)
    whole = process.predict(joined["answers"].take(new))
    assert found["half_upper"].mean() > 1.15 * whole["half_upper"].mean()
    # Binomial error of 300 models and that of a quantile of 300: 2.5 points.
    assert 0.84 <= accuracy(found)["coverage"] <= 0.97


def test_numbers_in_the_place_of_names_tell_nothing_of_them():
    parameters, matrix, y = world(40)
    theta = answers_of(parameters, matrix)[1]
    made = []
    for order in (np.arange(40), np.arange(40)[::-1]):  # the same models under other names
        names = np.array([f"m{i:02d}" for i in order], object)
        parts = [reference_rows(matrix, theta, y, name, "A", names) for name in ("b", "c")]
        made.append(without_names(pd.concat(parts)))
    pd.testing.assert_frame_equal(*made)
    rows = dict(iter(made[0].groupby("benchmark")))
    assert rows["b"]["row"].tolist() == list(range(1, 41))
    for column in ("answers", "full_score"):
        assert rows["b"][column].tolist() == rows["c"][column].tolist()
