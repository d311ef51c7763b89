"""Live tests: the same as their simulation, the same after an interruption, within budget."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from itemwise.adaptive.calibrate import Calibration
from itemwise.adaptive.live import check_budget, make_tests, run_tests, scores
from itemwise.adaptive.rules import Rule, parse_rule
from itemwise.adaptive.simulate import simulate
from itemwise.bank.bank import Bank
from itemwise.bank.model_scores import aberrant_responses
from itemwise.errors import UserError
from itemwise.irt.population import simulate_population
from itemwise.tables.contract import check_table

NODES = np.linspace(-3, 3, 13)


def terms(benchmark: str) -> pd.DataFrame:
    """Return a read-out that rises by 15 points a unit of ability."""
    rows = [("intercept", "i", "", 1, np.nan, np.nan, 50.0)]
    rows += [("smooth", "s", "theta", k, x, np.nan, 15 * x) for k, x in enumerate(NODES, 1)]
    rows += [("range", "theta", "theta", 1, -3.0, 3.0, 0.0)]
    rows += [("scale", "scale", "predicted", k, x, np.nan, 1.0) for k, x in ((1, 0.0), (2, 100.0))]
    rows += [("quantile", "q", "", 1, 0.9, np.nan, 1.5)]
    table = pd.DataFrame(rows, columns=["kind", "term", "variable", "node", "x", "x2", "value"])
    return table.assign(benchmark=benchmark, form="A", readout="ability", variable2="")


@pytest.fixture(scope="module")
def populations():
    return {
        name: simulate_population(name, number, 30, 40, 0.0, 0.0, seed=5)
        for number, name in enumerate(("one", "two"))
    }


@pytest.fixture(scope="module")
def bank(populations):
    """Return a bank in memory of two benchmarks; forms of 30 items."""
    items, selection = [], []
    for name, population in populations.items():
        ids = population.parameters["item"]
        items.append(pd.DataFrame({"benchmark": name, "item": ids,
                                   "kind": ["new", "old", "old", "old"] * 10}))  # fmt: skip
        selection.append(pd.DataFrame({"benchmark": name, "form": "A", "item": ids[:30],
                                       "rank": range(1, 31)}))  # fmt: skip
    about = {"scoring": "EAP", "metric": None, "filter": None}
    return Bank(
        {"benchmarks": dict.fromkeys(populations, about)},
        pd.concat(items, ignore_index=True),
        pd.concat([p.parameters for p in populations.values()], ignore_index=True),
        pd.concat(selection, ignore_index=True),
        pd.concat([terms(name) for name in populations], ignore_index=True),
        pd.DataFrame(),
    )


def answering(populations, row: int, asked: list | None = None, dies_after: int | None = None):
    """Return a function that looks the responses of one subject up, and keeps count."""
    known = {
        item: int(value)
        for population in populations.values()
        for item, value in zip(population.responses.items, population.responses.matrix[row],
                               strict=True)
    }  # fmt: skip

    def answer(benchmark, items):
        if asked is not None:
            if len(asked) == dies_after:
                raise KeyboardInterrupt
            asked.append(list(items))
        return [known[item] for item in items]

    return answer


@pytest.mark.parametrize("text", ["r:max_length=12", "r:criterion=MFI,se=0.4,max_length=25,start=3",
                                  "r:batch=4,max_length=16,items=pool",
                                  "r:balance=kind,batch=2,max_length=12"])  # fmt: skip
def test_a_live_test_is_the_simulated_one(text, bank, populations):
    rule = parse_rule(text)
    tests = make_tests(bank, rule)
    trace = run_tests(tests, answering(populations, 7), "lab/m")
    check_table(trace, "cat_traces", "trace")
    for name, population in populations.items():
        wanted = bank.form_items(name) if rule.items == "form" else bank.pool_items(name)
        parameters = population.parameters.set_index("item", drop=False).loc[wanted]
        scale = next(t for t in tests if t.name == name).scale
        domains = None
        if rule.balance:
            domains = bank.items.set_index("item")["kind"].loc[wanted].to_numpy(object)
        row = population.responses.take(subjects=np.array([7]))
        simulated = simulate(row, parameters, rule, name, scale, domains)
        mine = trace[trace["benchmark"] == name]
        assert mine["item"].tolist() == simulated["item"].tolist()
        for column in ("theta", "se", "predicted", "half_width"):
            np.testing.assert_allclose(mine[column], simulated[column], atol=1e-12)
    table = scores(tests, "lab/m")
    check_table(table, "scores", "scores")
    assert table["readout"].eq("adaptive").all()


def test_the_budget_goes_where_the_score_is_least_certain(bank, populations):
    tests = make_tests(bank, Rule(min_length=4, max_length=30))
    trace = run_tests(tests, answering(populations, 3), "m", budget=26)
    assert len(trace) == 26
    assert trace["benchmark"].value_counts().min() >= 4
    after = trace.groupby("benchmark")["half_width"].last()
    assert after.max() - after.min() < 1.5
    with pytest.raises(UserError, match="need 8; raise it"):
        run_tests(make_tests(bank, Rule(min_length=4)), answering(populations, 3), "m", budget=5)


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (Rule(min_length=6, batch=4), 16),
        (Rule(min_length=3, batch=4), 8),
        (Rule(min_length=3, start=5, batch=2), 10),
        (Rule(min_length=9, start=5, batch=2, max_length=12), 18),
    ],
)
def test_a_budget_must_do_for_the_shortest_test_of_every_benchmark(rule, least):
    check_budget(least, rule, 2)
    with pytest.raises(UserError, match=f"need {least}; raise it"):
        check_budget(least - 1, rule, 2)


def test_what_was_answered_before_leads_to_the_same_test(bank, populations):
    """A run that dies is run again: stored answers first, then the model, no item twice."""
    rule = Rule(batch=3, max_length=15)
    whole = run_tests(make_tests(bank, rule), answering(populations, 9), "m")
    ledger: dict = {}
    model_calls: list = []
    model = answering(populations, 9, model_calls, dies_after=4)

    def answer(benchmark, items):
        wanted = [item for item in items if item not in ledger]
        if wanted:
            ledger.update(zip(wanted, model(benchmark, wanted), strict=True))
        return [ledger[item] for item in items]

    with pytest.raises(KeyboardInterrupt):
        run_tests(make_tests(bank, rule), answer, "m")
    first = len(ledger)
    model = answering(populations, 9, model_calls)
    again = run_tests(make_tests(bank, rule), answer, "m")
    pd.testing.assert_frame_equal(again.drop(columns="seconds"), whole.drop(columns="seconds"))
    asked = [item for batch in model_calls for item in batch]
    assert len(asked) == len(set(asked)) == len(whole) > first


def test_the_items_that_can_be_asked_and_a_bank_too_small(bank, populations):
    some = set(bank.form_items("one")[:10]) | set(bank.form_items("two")[:9])
    tests = make_tests(bank, Rule(max_length=30), available=some)
    trace = run_tests(tests, answering(populations, 0), "m")
    assert set(trace["item"]) == some
    with pytest.raises(UserError, match="benchmark 'two': holds 9 items"):
        make_tests(bank, Rule(min_length=10), available=some)
    empty = dataclasses.replace(bank, selection=bank.selection[bank.selection["benchmark"] == "x"])
    with pytest.raises(UserError, match="no form 'A'"):
        make_tests(empty, Rule())


def test_randomesque_draws_and_balance_keeps_shares(bank, populations):
    plain, drawn = (
        run_tests(make_tests(bank, parse_rule(text)), answering(populations, 5), "m")["item"]
        for text in ("r:max_length=9", "r:randomesque=5,max_length=9")
    )
    assert plain.tolist() != drawn.tolist()
    trace = run_tests(make_tests(bank, parse_rule("r:balance=kind,max_length=9")),
                      answering(populations, 5), "m")  # fmt: skip
    kind = bank.items.set_index("item")["kind"]
    assert (trace["item"].map(kind) == "new").groupby(trace["benchmark"]).sum().between(2, 3).all()
    with pytest.raises(UserError, match="lacks the column 'colour'"):
        make_tests(bank, parse_rule("r:balance=colour"))


def test_a_correction_is_for_tests_of_its_settings_alone(bank, caplog):
    """Two points up at every length, learnt for single items of the form."""
    nodes = np.array([0.0, 100.0])
    made = Calibration(np.array([5, 20]), nodes, np.tile(nodes + [2, 0], (2, 1)), np.ones(2))
    table = pd.concat([made.table(name, Rule(name="learnt")) for name in bank.benchmarks])
    corrected = dataclasses.replace(bank, cat_calibration=table)
    for text, expected in (("other:se=0.3", True), ("learnt:batch=4", False)):
        caplog.clear()
        (test, _) = make_tests(corrected, parse_rule(text))
        assert (test.scale.calibration is not None) == expected
        assert ("no correction of scores was learnt" in caplog.text) != expected


def test_a_benchmark_that_fails_midway_leaves_the_others_and_what_was_learned(bank, populations):
    known = answering(populations, 2)
    calls = []

    def answer(benchmark, items):
        calls.append(benchmark)
        if benchmark == "two" and calls.count("two") > 2:
            raise RuntimeError("the task broke")
        return known(benchmark, items)

    tests = make_tests(bank, Rule(max_length=6))
    trace = run_tests(tests, answer, "m")
    assert trace["benchmark"].value_counts().to_dict() == {"one": 6, "two": 2}
    assert [t.failed for t in tests] == [None, "RuntimeError: the task broke"]
    assert scores(tests, "m")["n_items"].tolist() == [6, 2]


def test_scores_say_that_they_extrapolate_and_how_odd_the_pattern_is(bank, populations):
    narrow = terms("one").assign(
        x=lambda t: t["x"].where(t["kind"] != "range", -0.5),
        x2=lambda t: t["x2"].where(t["kind"] != "range", 0.5),
    )
    small = dataclasses.replace(bank, terms=pd.concat([narrow, terms("two")]))
    tests = make_tests(small, Rule(max_length=15))
    slopes = pd.concat([p.parameters for p in populations.values()]).set_index("item")["a"]
    run_tests(tests, lambda benchmark, items: [int(slopes[i] > 0) for i in items], "able")
    table = scores(tests, "able").set_index("benchmark")
    assert table.at["one", "extrapolated"] == 1
    assert table["person_fit"].notna().all()


def test_all_answers_right_or_wrong_leave_a_side_open_and_the_test_says_so(bank):
    for response, end, side in ((1, 100, "better"), (0, 0, "worse")):
        tests = make_tests(bank, Rule(max_length=6))
        run_tests(tests, lambda benchmark, items, r=response: [r] * len(items), "m")
        table = scores(tests, "m")
        check_table(table, "scores", "scores")
        assert table["extrapolated"].eq(1).all()
        assert table["upper" if response else "lower"].eq(end).all()
        half = table["half_lower" if response else "half_upper"]
        np.testing.assert_allclose(half, [test.score()[1] for test in tests])
        said = aberrant_responses(bank, table)
        assert sum(f"{side} than the calibration can tell" in text for text in said) == 2


def test_a_bank_without_benchmarks_and_an_unknown_start(bank):
    with pytest.raises(UserError, match="holds no benchmark"):
        make_tests(dataclasses.replace(bank, card={"benchmarks": {}}), Rule())
    with pytest.raises(UserError, match="no benchmark three"):
        make_tests(bank, Rule(), start_at={"three": 1.0})
    one, two = make_tests(bank, Rule(), start_at={"two": 1.0})
    assert (one.rule.theta0, two.rule.theta0) == (None, 1.0)


def test_a_test_that_ends_short_of_its_precision_says_so(bank, populations):
    """By its length, by the budget; not where it was reached or none is wanted."""
    answer = answering(populations, 0)

    def missed(text: str, budget: int | None = None) -> list:
        tests = make_tests(bank, parse_rule(text))
        run_tests(tests, answer, "s", budget)
        return [test.missed() for test in tests]

    short = missed("r:points=0.01,max_length=5")
    assert all("by its greatest length after 5 items" in said for said in short)
    assert all("wanted 0.01" in said for said in short)
    assert "by the budget" in missed("r:points=0.01,max_length=9,min_length=2", 6)[0]
    assert missed("r:points=90,max_length=5") == [None, None]
    assert missed("r:points=0.01,se=9,max_length=5") == [None, None]  # either one suffices
    assert missed("r:max_length=5") == [None, None]
