"""The simulator: against brute force, against catR, and what must always hold."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from itemwise.adaptive import criteria
from itemwise.adaptive.choice import Chooser
from itemwise.adaptive.posterior import Items, Posterior
from itemwise.adaptive.rules import Rule, parse_rule
from itemwise.adaptive.simulate import ScoreScale, simulate
from itemwise.errors import UserError
from itemwise.irt.model import item_information, parameters_beta, probabilities
from itemwise.irt.population import simulate_population
from itemwise.paths import ROOT
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import MISSING, Responses, write_responses
from itemwise.tables.contract import read_table, write_table

N_SUBJECTS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def population():
    return simulate_population("q", 0, N_SUBJECTS, N_ITEMS, 0.0, 0.05, seed=3)


@pytest.fixture(scope="module")
def scale():
    nodes = np.linspace(-6, 6, 241)
    expected = 100 / (1 + np.exp(-nodes))
    return ScoreScale(nodes, expected, expected, np.full(241, 2.0), 0.9)


def run(population, rule, **more) -> pd.DataFrame:
    return simulate(population.responses, population.parameters, rule, "q", **more)


def by_hand(row, parameters, n: int, limit: float, n_nodes: int) -> list[tuple]:
    """Ask the item with most information at the EAP, one subject, in plain loops."""
    nodes = np.linspace(-limit, limit, n_nodes)
    weights = np.exp(-(nodes**2) / 2)
    weights[[0, -1]] /= 2
    right, wrong = probabilities(parameters_beta(parameters), nodes)
    theta, trace, free = 0.0, [], list(np.flatnonzero(row != MISSING))
    for _ in range(n):
        item = max(free, key=lambda i: (item_information(parameters.iloc[[i]], np.array([theta]))[
            0, 0], -i))  # fmt: skip
        free.remove(item)
        weights = weights * (right[item] if row[item] else wrong[item])
        theta = (weights * nodes).sum() / weights.sum()
        se = np.sqrt((weights * (nodes - theta) ** 2).sum() / weights.sum())
        trace.append((parameters["item"].iloc[item], row[item], theta, se))
    return trace


def test_equals_plain_loops(population):
    rule = Rule(criterion="MFI", items="pool", max_length=12, limit=4, nodes=33)
    table = run(population, rule)
    for row in (0, 7, 23):
        subject = population.responses.subjects[row]
        mine = table[table["subject"] == subject]
        expected = by_hand(population.responses.matrix[row], population.parameters, 12, 4, 33)
        assert mine["item"].tolist() == [e[0] for e in expected]
        np.testing.assert_allclose(mine["theta"], [e[2] for e in expected], atol=1e-12)
        np.testing.assert_allclose(mine["se"], [e[3] for e in expected], atol=1e-12)


def test_a_spread_start_asks_what_tells_most_at_each_ability(population):
    rule = Rule(criterion="MFI", items="pool", max_length=6, start=3, spread=2)
    table = run(population, rule)
    information = item_information(population.parameters, np.array([-2.0, 0, 2]))
    names = population.parameters["item"].to_numpy(object)
    for row, subject in enumerate(population.responses.subjects[:8]):
        free, expected = population.responses.matrix[row] != MISSING, []
        for place in range(3):
            best = np.where(free, information[:, place], -np.inf).argmax()
            free[best] = False
            expected.append(names[best])
        mine = table[table["subject"] == subject]
        assert mine["item"].tolist()[:3] == expected
        assert mine["theta"].iloc[0] == mine["theta"].iloc[2]  # estimated once, after all three


@pytest.mark.parametrize("settings", ["spread=2", "spread=2,start=3,theta0=1", "spread=-1,start=2"])
def test_a_spread_that_cannot_be_is_refused(settings):
    with pytest.raises(UserError, match="spread"):
        parse_rule(f"r:{settings}")


def test_rules_of_the_reproduction_are_the_papers():
    config = yaml.safe_load((ROOT / "config" / "metabench.yaml").read_text(encoding="utf-8"))
    rules = {rule.name: rule for rule in map(parse_rule, config["cat"]["rules"])}
    for estimator in ("MAP", "EAP"):
        rule = rules[f"metabench-{estimator}"]
        assert (rule.criterion, rule.items, rule.estimator) == ("MFI", "pool", estimator)
        assert (rule.start, rule.spread, rule.se, rule.max_length) == (5, 2, 0.1, 350)
        assert (rule.nodes, rule.limit) == (241, 6)


@pytest.fixture(scope="module")
def catr_files(population, tmp_path_factory):
    """Write what both engines read, or skip where catR is missing."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    asked = 'quit(status = !requireNamespace("catR", quietly = TRUE))'
    if subprocess.run(["Rscript", "-e", asked], capture_output=True).returncode:
        pytest.skip("R package catR is not installed")
    folder = tmp_path_factory.mktemp("catr")
    write_responses(population.responses.take(subjects=np.arange(8)), folder / "r.parquet")
    write_table(population.parameters, folder / "p.parquet", "parameters")
    return folder


@pytest.mark.parametrize(
    ("rule", "tolerance"),
    [
        ("eap:criterion=MFI", 1e-6),
        ("map:criterion=MFI,estimator=MAP", 2e-4),  # catR finds it by a root search
        ("kl:criterion=KL", 1e-6),
        ("klp:criterion=KLP", 1e-6),
        ("precise:criterion=MFI,se=0.35", 1e-6),
        ("sure:criterion=MFI,cut=0.2,min_length=4", 1e-6),
    ],
)
def test_equals_catr(rule, tolerance, catr_files, itemwise):
    """The same items and estimates.

    Not for expected posterior variance: catR weighs the two answers by the probability
    at the current estimate, ours by the posterior predictive one.
    """
    tables = {}
    for engine in ("native", "catR"):
        out = catr_files / f"{engine}.parquet"
        done = itemwise(
            "simulate-cat", "--engine", engine, "--test", catr_files / "r.parquet",
            "--parameters", catr_files / "p.parquet", "--benchmark", "q", "--out", out,
            "--rules", f"{rule},items=pool,max_length=15,limit=4,nodes=33",
        )  # fmt: skip
        assert done.status == 0, done.err
        tables[engine] = read_table(out, "cat_traces")
    both = tables["native"].merge(
        tables["catR"], on=["subject", "step"], suffixes=("", "_r"), how="outer"
    )
    assert both["item"].equals(both["item_r"])
    np.testing.assert_allclose(both["theta"], both["theta_r"], atol=tolerance)
    np.testing.assert_allclose(both["se"], both["se_r"], atol=tolerance)


@pytest.mark.parametrize("best", [1, 3, N_ITEMS])
def test_the_best_discounted_items_are_those_of_all(population, best):
    items = Items(population.parameters, Rule(items="pool"))
    posterior, subjects = Posterior(items, 5), np.arange(5)
    posterior.add(subjects, subjects, np.array([1, 0, 1, 0, 1]))
    told = criteria.BatchInformation(posterior, subjects)
    values = items.information_at(np.linspace(-1, 1, 5))
    values[:, :7] = -np.inf  # may not be asked
    alone = told.gain()
    told.add(subjects, values.argmax(axis=1))
    whole = np.where(np.isfinite(values), values, 0) * told.gain() / alone
    expected = np.where(np.isfinite(values), whole, -np.inf)
    found = told.discounted(values, best)
    first = np.argsort(-expected, axis=1, kind="stable")[:, :best]
    np.testing.assert_array_equal(np.argsort(-found, axis=1, kind="stable")[:, :best], first)
    np.testing.assert_allclose(
        np.take_along_axis(found, first, 1), np.take_along_axis(expected, first, 1), rtol=1e-10
    )


def test_expected_variance_is_the_mean_over_both_answers(population):
    rule = Rule(items="pool")
    items = Items(population.parameters, rule)
    posterior = Posterior(items, 2)
    posterior.add(np.array([0, 1]), np.array([3, 5]), np.array([1, 0]))
    found = criteria.expected_variance(posterior, np.array([0, 1]))
    for subject in (0, 1):
        weights = posterior.weights(np.array([subject]))[0]
        for item in (0, 9):
            expected = 0.0
            for p in (items.right[item], 1 - items.right[item]):
                mass = weights @ p
                after = weights * p / mass
                mean = after @ items.nodes
                expected += mass * (after @ (items.nodes - mean) ** 2)
            assert found[subject, item] == pytest.approx(expected, rel=1e-9)


@given(
    st.sampled_from(["MFI", "MEPV", "KLP", "random", "progressive"]),
    st.integers(1, 5), st.integers(1, 3), st.integers(3, 20), st.integers(0, 5),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_no_item_twice_and_only_administered_ones(population, criterion, batch, k, length, seed):
    rule = Rule(criterion=criterion, items="pool", batch=batch, randomesque=k, max_length=length)
    table = run(population, rule, seed=seed)
    assert not table.duplicated(["subject", "item"]).any()
    lengths = table.groupby("subject")["step"].max()
    assert (lengths == length).all()
    known = pd.DataFrame(
        population.responses.matrix, population.responses.subjects, population.responses.items
    )
    asked = [known.at[r.subject, r.item] for r in table.itertuples()]
    assert asked == table["response"].tolist()


def test_every_stop_holds_and_not_before(population, scale):
    limits = {
        "se": ("se=0.4", lambda t: t["se"] <= 0.4),
        "points": ("points=9", lambda t: t["half_width"] <= 9),
        "cut": ("cut=0.5,z=1.5", lambda t: (t["theta"] - 0.5).abs() > 1.5 * t["se"]),
    }
    for text, holds in limits.values():
        rule = parse_rule(f"r:items=pool,min_length=3,max_length=30,{text}")
        table = run(population, rule, scale=scale)
        last = table.groupby("subject").tail(1)
        early = table.drop(last.index)
        assert (holds(last) | (last["step"] == 30)).all()
        assert not holds(early[early["step"] >= 3]).any()
        assert (last["step"] >= 3).all()
        assert (last["step"] < 30).any()


def test_information_stop_leaves_nothing_worth_asking(population):
    table = run(population, parse_rule("r:criterion=MFI,items=pool,information=0.5,max_length=40"))
    parameters = population.parameters.set_index("item", drop=False)
    for subject, part in table.groupby("subject"):
        if len(part) < 38:
            row = list(population.responses.subjects).index(subject)
            left = population.responses.items[population.responses.matrix[row] != MISSING]
            left = np.setdiff1d(left.astype(str), part["item"].to_numpy(str))
            theta = part["theta"].iloc[-1:].to_numpy()
            assert item_information(parameters.loc[left], theta).max() < 0.5


def test_fixed_order_random_choice_and_exposure(population):
    parameters = population.parameters.iloc[::-1].reset_index(drop=True)
    fixed = simulate(population.responses, parameters, Rule(criterion="fixed", max_length=5), "q")
    complete = fixed.groupby("subject")["item"].apply(list)
    assert parameters["item"].tolist()[:5] in complete.tolist()
    greedy = run(population, Rule(criterion="MFI", items="pool", max_length=10))
    limited = run(population, Rule(criterion="MFI", items="pool", max_length=10, max_exposure=0.4))
    assert greedy["item"].value_counts().max() > 0.9 * N_SUBJECTS
    assert limited["item"].value_counts().max() <= 0.4 * N_SUBJECTS
    assert run(population, Rule(criterion="random", max_length=5), seed=1)["item"].nunique() > 30


def test_domains_keep_their_shares(population):
    domains = np.array(["a"] * 10 + ["b"] * 30)
    table = run(population, Rule(items="pool", max_length=20), domains=domains)
    of_a = set(population.parameters["item"][:10])
    share = table.groupby("subject")["item"].apply(lambda items: items.isin(of_a).sum())
    assert share.between(4, 6).all()


def test_start_items_come_before_any_estimate(population):
    table = run(population, Rule(criterion="MFI", items="pool", start=4, max_length=6))
    first = table[table["step"] <= 4]
    assert first.groupby("subject")["theta"].nunique().eq(1).all()
    whole = (population.responses.matrix != MISSING).all(axis=1)
    subjects = population.responses.subjects[whole]
    chosen = first[first["subject"].isin(subjects)].groupby("subject")["item"].apply(frozenset)
    assert chosen.nunique() == 1


def test_a_batch_is_spread_where_single_items_would_crowd():
    """Ten twins of the best item, ten good elsewhere: a batch of two takes one of each kind."""
    parameters = pd.DataFrame({"item": [f"i{i}" for i in range(20)], "a": [6.0] * 20,
                               "d": [0.0] * 10 + [-4.2] * 10, "g": 0.0, "u": 1.0})  # fmt: skip
    for criterion in ("MEPV", "MPLI"):  # MFI and KL look from one ability
        rule = Rule(criterion=criterion, batch=2)
        posterior = Posterior(Items(parameters, rule), 1)
        chooser = Chooser(rule, posterior, None, np.random.default_rng(1))
        chosen = chooser.choose(np.array([0]), np.ones((1, 20), bool), 0, 2)
        assert sorted(chosen[0] // 10) == [0, 1], criterion


def test_the_first_of_a_batch_is_what_a_single_item_would_be(population):
    """A batch obeys its criterion: different criteria begin it as they choose single items."""
    first = {}
    for criterion in ("MFI", "MEPV", "KL", "progressive"):
        single = run(population, Rule(criterion=criterion, items="pool", max_length=1), seed=4)
        batch = run(population, Rule(criterion=criterion, items="pool", batch=3, max_length=3),
                    seed=4)  # fmt: skip
        first[criterion] = batch[batch["step"] == 1]["item"].tolist()
        assert first[criterion] == single["item"].tolist()
    assert len({tuple(items) for items in first.values()}) > 1


def test_batches_keep_limits_and_shares_and_draw_among_the_best(population):
    base = {"criterion": "MFI", "items": "pool", "batch": 4, "max_length": 12}
    limited = run(population, Rule(**base, max_exposure=0.5))
    assert limited["item"].value_counts().max() <= 0.5 * N_SUBJECTS
    domains = np.array(["a"] * 10 + ["b"] * 30)
    shared = run(population, Rule(**base), domains=domains)
    of_a = set(population.parameters["item"][:10])
    share = shared.groupby("subject")["item"].apply(lambda items: items.isin(of_a).sum())
    assert share.between(2, 4).all()
    start = run(population, Rule(criterion="MFI", items="pool", start=8, max_length=8),
                domains=domains)  # fmt: skip
    assert start.groupby("subject")["item"].apply(lambda i: i.isin(of_a).sum()).eq(2).all()
    drawn = run(population, Rule(**base, randomesque=5))
    assert not drawn["item"].equals(run(population, Rule(**base))["item"])


def test_a_precision_out_of_reach_is_said_before_the_test(population, scale, caplog):
    run(population, parse_rule("r:se=0.01,items=pool,max_length=40"))
    assert "40 items reach at best standard error" in caplog.text
    caplog.clear()
    run(population, parse_rule("r:points=0.5,items=pool,max_length=3"), scale=scale)
    assert "half the interval" in caplog.text
    caplog.clear()
    run(population, parse_rule("r:se=0.6,items=pool,max_length=30"))
    assert not caplog.text


@pytest.mark.parametrize("estimator", ["EAP", "MAP", "ML"])
def test_all_right_and_all_wrong_have_finite_estimates(population, estimator):
    n = N_ITEMS
    rows = Responses(np.array(["all", "none"], object), population.responses.items,
                     np.array([[1] * n, [0] * n], dtype=np.int8))  # fmt: skip
    positive = population.parameters.assign(a=population.parameters["a"].abs())
    rule = Rule(estimator=estimator, items="pool", max_length=15)
    table = simulate(rows, positive, rule, "q")
    last = table.groupby("subject").tail(1).set_index("subject")
    assert 1 < last.at["all", "theta"] < 6
    assert -6 < last.at["none", "theta"] < -1
    assert (last["se"] > 0.2).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r:criterion=best", "criterion 'best' is not one of MFI"),
        ("r:speed=3", "'speed=3' is not one of the settings"),
        ("r:se=small", "'small' is not a number"),
        ("r:se=-1", "se must be above 0"),
        ("r:min_length=9,max_length=3", "min_length 9 exceeds max_length 3"),
        ("r:max_exposure=2", "between 0 and 1"),
        ("r:nodes=1", "nodes must be at least 11"),
        ("r:limit=-1", "limit must be above 0"),
        ("r:start=9,max_length=3", "start 9 exceeds max_length 3"),
        ("criterion=MFI,max_length=5", "with a name first"),
        ("adaptive,theta0=0.5", "with a name first"),
    ],
)
def test_rules_that_make_no_sense_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_rule(text)


def test_too_small_a_bank_is_refused_before_it_starts(population):
    with pytest.raises(UserError, match="holds 40 items, rule 'r' asks at least 50"):
        run(population, parse_rule("r:min_length=50,items=pool"))
    with pytest.raises(UserError, match="asks at least 45; lower start"):
        run(population, parse_rule("r:start=45,items=pool"))
    with pytest.raises(UserError, match="needs a read-out"):
        run(population, parse_rule("r:points=2,items=pool"))


def test_scores_beyond_the_training_range_are_no_surer_than_at_its_end():
    """A line that rises by 20 a unit up to theta = 1: by hand, z SD 20 at any posterior."""
    terms = pd.DataFrame(
        [
            ("intercept", "intercept", "", "", 1, None, None, 50.0),
            ("smooth", "s", "theta", "", 1, -1.0, None, -20.0),
            ("smooth", "s", "theta", "", 2, 1.0, None, 20.0),
            ("range", "theta", "theta", "", 1, -1.0, 1.0, 0.0),
            ("scale", "scale", "predicted", "", 1, 0.0, None, 0.0),
            ("quantile", "quantile", "", "", 1, 0.9, None, 1.0),
        ],
        columns=["kind", "term", "variable", "variable2", "node", "x", "x2", "value"],
    )
    nodes = np.linspace(-6, 6, 601)
    scale = ScoreScale.of(Readout("x", terms), nodes)
    for theta in (0.0, 1.0, 3.0):
        weights = norm.pdf(nodes, theta, 0.3)[None]
        mean, half = scale.points(weights / weights.sum(), 10)
        assert half[0] == pytest.approx(1.6449 * 0.3 * 20, rel=1e-3)
        assert mean[0] <= 70
