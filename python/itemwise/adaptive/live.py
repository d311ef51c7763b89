"""Adaptive tests of one model over several benchmarks, question by question.

The loop knows nothing of models: it is given a function that answers items, which may ask
a language model or look stored responses up. The same answers give the same test.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from itemwise.adaptive.calibrate import Calibration
from itemwise.adaptive.choice import Chooser
from itemwise.adaptive.posterior import Items, Posterior
from itemwise.adaptive.rules import Rule
from itemwise.adaptive.simulate import ScoreScale
from itemwise.adaptive.stopping import out_of_reach, short_of, stops
from itemwise.bank.bank import Bank
from itemwise.errors import UserError, listed
from itemwise.forms import MAIN_FORM
from itemwise.irt.person_fit import standardized_log_likelihood
from itemwise.readout.interval import open_sides, opened
from itemwise.responses.domains import domains_of
from itemwise.responses.matrix import Responses

LOG = logging.getLogger(__name__)
ONLY = np.array([0])
"""The one subject of a live test."""
Answer = Callable[[str, Sequence[str]], Sequence[int]]
"""From a benchmark and items to responses 0 and 1."""


@dataclass
class BenchmarkTest:
    """The test of one benchmark: what may be asked, what was, and what is known.

    Attributes
    ----------
    name : str
    posterior : Posterior
        Of one subject.
    scale : ScoreScale
    chooser : Chooser
    bank : Bank
    form : str
        Once all its items are asked, the bank's read-out of it is the better one.
    asked : list of str
        Items in the order of asking.
    failed : str, optional
        Why nothing more can be asked.
    """

    name: str
    rule: Rule
    posterior: Posterior
    scale: ScoreScale
    chooser: Chooser
    bank: Bank
    form: str
    asked: list[str] = field(default_factory=list)
    failed: str | None = None

    @property
    def items(self) -> np.ndarray:
        """Item ids of the bank."""
        return self.posterior.items.parameters["item"].to_numpy(object)

    @property
    def free(self) -> np.ndarray:
        """Which items were not asked, boolean of shape (1, n_items)."""
        return self.posterior.matrix < 0

    @property
    def responses(self) -> Responses:
        """Responses so far, of one subject."""
        return Responses(np.array(["it"], object), self.items, self.posterior.matrix)

    def whole_form(self) -> bool:
        """Return whether every item of the form was asked."""
        return self._form_items <= set(self.asked)

    @cached_property
    def _form_items(self) -> frozenset[str]:
        return frozenset(self.bank.form_items(self.name, self.form))

    def score(self) -> tuple[float, float]:
        """Return the reconstructed score and half its interval, in points."""
        if self.whole_form():
            row = self.bank.score(self.responses, self.form).iloc[0]
            return float(row["predicted"]), float(row[["half_lower", "half_upper"]].max())
        mean, half = self.scale.points(self.posterior.weights(ONLY), max(len(self.asked), 1))
        return float(mean[0]), float(half[0])

    def finished(self) -> bool:
        """Return whether a stopping rule holds, nothing is left to ask, or asking failed."""
        if self.failed is not None or not self.free.any():
            return True
        theta, se = self.posterior.theta, self.posterior.se
        left = np.where(self.free, self.posterior.items.information_at(theta), 0).max(axis=1)
        half = np.array([self.score()[1]])
        return bool(stops(self.rule, len(self.asked), theta, se, half, left)[0])

    def missed(self) -> str | None:
        """Say by how much the test missed the precision that its rule wants, None where it did not.

        A test of the whole form misses nothing, nor one of a rule that also stops otherwise.
        """
        if self.failed is not None or not self.asked or self.whole_form():
            return None
        reached = {"se": float(self.posterior.se[0]), "points": self.score()[1]}
        lacking = short_of(self.rule, reached)
        if lacking is None:
            return None
        why = "the budget" if self.free.any() else "the last item"
        why = "its greatest length" if len(self.asked) >= self.rule.max_length else why
        return f"stopped by {why} after {len(self.asked)} items, short of its precision: {lacking}"

    def next_items(self, at_most: int) -> list[str]:
        """Return the items to ask next."""
        done = len(self.asked)
        size = min(self.rule.next_size(done), at_most, int(self.free.sum()))
        return self.items[self.chooser.choose(ONLY, self.free, done, size)[0]].tolist()

    def take(self, items: Sequence[str], responses: Sequence[int]) -> None:
        """Take responses in and estimate anew."""
        at = pd.Index(self.items).get_indexer(items)
        for place, response in zip(at, responses, strict=True):
            self.posterior.add(ONLY, np.array([place]), np.array([response]))
        self.posterior.estimate(ONLY)
        self.asked += items

    def person_fit(self) -> float:
        """Return l_z of the responses so far."""
        parameters, theta = self.posterior.items.parameters, self.posterior.theta
        return float(standardized_log_likelihood(self.responses, parameters, theta)[0])


def make_tests(
    bank: Bank,
    rule: Rule,
    form: str = MAIN_FORM,
    available: set[str] | None = None,
    start_at: dict[str, float] | None = None,
    seed: int = 1,
) -> list[BenchmarkTest]:
    """Return a test for every benchmark of the bank.

    Says, as a warning, where the bank has no correction of scores for the rule's settings,
    and where no test can reach the rule's precision.

    Parameters
    ----------
    bank : Bank
    rule : Rule
    form : str
    available : set of str, optional
        Items that can be asked; default: all.
    start_at : dict, optional
        Ability at which a benchmark's first items are chosen, instead of the rule's.
    seed : int
        Of what is drawn, and of each benchmark apart.

    Raises
    ------
    UserError
        No benchmark, fewer items than the rule asks at least, a benchmark of `start_at`
        that the bank does not have.
    """
    if not bank.benchmarks:
        raise UserError("bank: holds no benchmark; export it again from a finished run")
    unknown = set(start_at or {}) - set(bank.benchmarks)
    if unknown:
        raise UserError(
            f"--start-at: the bank has no benchmark {listed(sorted(unknown))}; it has "
            f"{listed(bank.benchmarks)}"
        )
    tests = []
    for number, name in enumerate(bank.benchmarks):
        wanted = bank.form_items(name, form) if rule.items == "form" else bank.pool_items(name)
        if available is not None:
            wanted = [item for item in wanted if item in available]
        rule.check_bank(len(wanted), f"bank, benchmark '{name}'")
        own = replace(rule, theta0=(start_at or {}).get(name, rule.theta0))
        rng = np.random.default_rng([seed, number])
        tests.append(_make_test(bank, own, name, form, list(wanted), rng))
    _warn_of_corrections(bank, rule, tests)
    return tests


def _make_test(
    bank: Bank, rule: Rule, name: str, form: str, wanted: list[str], rng: np.random.Generator
) -> BenchmarkTest:
    """Return the test of one benchmark."""
    items = Items(bank.parameters.set_index("item", drop=False).loc[wanted], rule)
    domains = None
    if rule.balance is not None:
        domains = domains_of(np.array(wanted, object), bank.items, rule.balance, "bank")
    scale = ScoreScale.of(
        bank.readout(name, form, "ability"), items.nodes, _calibration(bank, rule, name)
    )
    said = out_of_reach(rule, items, scale)
    if said is not None:
        LOG.warning("bank, benchmark '%s', rule '%s': %s", name, rule.name, said)
    posterior = Posterior(items, 1, rule.estimator)
    return BenchmarkTest(name, rule, posterior, scale, Chooser(rule, posterior, domains, rng),
                         bank, form)  # fmt: skip


def _calibration(bank: Bank, rule: Rule, benchmark: str) -> Calibration | None:
    """Return the bank's correction of scores for tests of these settings, if it has one."""
    if bank.cat_calibration is None:
        return None
    return Calibration.of(bank.cat_calibration, benchmark, rule.settings())


def _warn_of_corrections(bank: Bank, rule: Rule, tests: list[BenchmarkTest]) -> None:
    """Say where the bank corrects tests, but none of these settings."""
    lacking = [test.name for test in tests if test.scale.calibration is None]
    if bank.cat_calibration is None or not lacking:
        return
    mine = bank.cat_calibration[bank.cat_calibration["benchmark"].isin(lacking)]
    known = mine.drop_duplicates("rule").set_index("rule")["settings"]
    asked = rule.settings().split(",")
    other = {name: [part for part in text.split(",") if part not in asked]
             for name, text in known.items()}  # fmt: skip
    nearest = min(other, key=lambda name: len(other[name]), default=None)
    hint = f" (that of '{nearest}' has {', '.join(other[nearest])})" if nearest else ""
    LOG.warning(
        "bank, benchmarks %s: no correction of scores was learnt for tests of these settings%s; "
        "scores and intervals rest on the model alone. Corrected are the rules %s: use one of "
        "them, or add yours to config key 'cat.rules' and export the bank again",
        listed(lacking), hint, listed(known.index),
    )  # fmt: skip


def run_tests(
    tests: list[BenchmarkTest],
    answer: Answer,
    subject: str,
    budget: int | None = None,
    progress: Callable[[list[BenchmarkTest]], None] = lambda tests: None,
) -> pd.DataFrame:
    """Run the tests until their rules stop them or the budget is spent.

    The next batch goes to the benchmark whose reconstructed score is least certain. A
    benchmark whose items cannot be answered is left as it is (`failed`), the others go on.

    Parameters
    ----------
    tests : list of BenchmarkTest
        Changed in place.
    answer : callable
        Answers items of a benchmark.
    subject : str
    budget : int, optional
        Items over all benchmarks.
    progress : callable
        Called after every batch.

    Returns
    -------
    data frame
        Table `cat_traces`, with the seconds since the start.

    Raises
    ------
    UserError
        A budget below the rule's shortest test for every benchmark.
    """
    check_budget(budget, tests[0].rule, len(tests))
    start = time.perf_counter()
    rows: list[dict] = []
    while True:
        spent = sum(len(test.asked) for test in tests)
        left = np.inf if budget is None else budget - spent
        open_tests = [test for test in tests if not test.finished()]
        if not open_tests or left <= 0:
            break
        # Everyone's shortest test first, then where the score is least certain.
        begun = [test for test in open_tests if len(test.asked) < test.rule.min_length]
        test = min(begun, key=lambda t: len(t.asked)) if begun else max(
            open_tests, key=lambda t: t.score()[1]
        )  # fmt: skip
        items = test.next_items(int(min(left, len(test.items))))
        try:
            responses = answer(test.name, items)
        except Exception as error:  # whatever a task raises, the others can go on
            test.failed = f"{type(error).__name__}: {error}"
            LOG.warning(
                "benchmark '%s' failed after %d items (%s); what was learned is kept",
                test.name, len(test.asked), test.failed,
            )  # fmt: skip
            continue
        test.take(items, responses)
        rows += _rows(test, subject, items, responses, time.perf_counter() - start)
        progress(tests)
    return pd.DataFrame(rows)


def check_budget(budget: int | None, rule: Rule, n_benchmarks: int) -> None:
    """Refuse a budget below the rule's shortest test, in whole batches, for every benchmark."""
    shortest = 0
    while shortest < min(rule.min_length, rule.max_length):
        shortest += rule.next_size(shortest)
    least = shortest * n_benchmarks
    if budget is not None and budget < least:
        raise UserError(
            f"--budget {budget}: {n_benchmarks} benchmarks of at least {shortest} items, which the "
            f"rule asks before it may stop, need {least}; raise it, or lower min_length, start or "
            "batch"
        )


def _rows(test: BenchmarkTest, subject: str, items, responses, seconds: float) -> list[dict]:
    """Return trace rows of a batch, with the estimate after it."""
    predicted, half = test.score()
    first = len(test.asked) - len(items)
    return [
        {
            "subject": subject,
            "benchmark": test.name,
            "rule": test.rule.name,
            "engine": "native",
            "step": first + place + 1,
            "item": item,
            "response": int(response),
            "theta": float(test.posterior.theta[0]),
            "se": float(test.posterior.se[0]),
            "predicted": predicted,
            "half_width": half,
            "seconds": seconds,
        }
        for place, (item, response) in enumerate(zip(items, responses, strict=True))
    ]


def scores(tests: list[BenchmarkTest], subject: str) -> pd.DataFrame:
    """Return the table `scores` of finished tests.

    Where a test has asked the whole form, its answers are those that `score-model` reads, and
    they are read out as there (`Bank.score`): by `process`, and `overall` where every test has.
    """
    whole = [test for test in tests if test.whole_form()]
    rows = [_row(test, subject) for test in tests if test.asked and not test.whole_form()]
    parts = [pd.DataFrame(rows)] if rows else []
    if whole:
        together = Responses(
            np.array([subject], object),
            np.concatenate([test.items for test in whole]),
            np.hstack([test.posterior.matrix for test in whole]),
        )
        parts.append(whole[0].bank.score(together, whole[0].form))
    order = {test.name: place for place, test in enumerate(tests)}
    return pd.concat(parts, ignore_index=True).sort_values(
        "benchmark", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def _row(test: BenchmarkTest, subject: str) -> dict:
    """Return the score of an adaptive test."""
    predicted, half = test.score()
    theta, (low, high) = float(test.posterior.theta[0]), test.scale.span
    sides = open_sides(
        test.posterior.matrix, test.posterior.items.parameters,
        test.bank.pool_parameters(test.name),
        test.posterior.theta, test.scale.span, test.scale.level,
    )  # fmt: skip
    known = {"predicted": predicted, "half_lower": half, "half_upper": half,
             "extrapolated": not low <= theta <= high}  # fmt: skip
    ends = opened(pd.DataFrame([known]), **sides)
    return {
        "subject": subject,
        "benchmark": test.name,
        "form": test.form,
        "readout": "adaptive",
        "n_items": len(test.asked),
        "n_right": int((test.posterior.matrix > 0).sum()),
        "theta": theta,
        "se": float(test.posterior.se[0]),
        "level": test.scale.level,
        "person_fit": test.person_fit(),
        **ends.astype({"extrapolated": int}).to_dict("records")[0],
    }
