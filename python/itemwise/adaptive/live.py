"""Adaptive tests of one model over several benchmarks, question by question.

The loop knows nothing of models: it is given a function that answers items, which may ask
a language model or look stored responses up. The same answers give the same test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from itemwise.adaptive import criteria
from itemwise.adaptive.calibrate import Calibration
from itemwise.adaptive.posterior import Items, Posterior
from itemwise.adaptive.rules import Rule
from itemwise.adaptive.simulate import ScoreScale
from itemwise.bank import Bank
from itemwise.errors import UserError
from itemwise.selection import MAIN_FORM

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
    asked : list of str
        Items in the order of asking.
    """

    name: str
    rule: Rule
    posterior: Posterior
    scale: ScoreScale
    asked: list[str] = field(default_factory=list)

    @property
    def items(self) -> np.ndarray:
        """Item ids of the bank."""
        return self.posterior.items.parameters["item"].to_numpy(object)

    @property
    def free(self) -> np.ndarray:
        """Which items were not asked, boolean of shape (1, n_items)."""
        return self.posterior.matrix < 0

    def score(self) -> tuple[float, float]:
        """Return the reconstructed score and half its interval, in points."""
        only = np.array([0])
        mean, half = self.scale.points(self.posterior.weights(only), max(len(self.asked), 1))
        return float(mean[0]), float(half[0])

    def finished(self) -> bool:
        """Return whether a stopping rule holds."""
        rule, n = self.rule, len(self.asked)
        if n >= min(rule.max_length, len(self.items)):
            return True
        if n < max(rule.min_length, rule.start):
            return False
        theta, se = self.posterior.theta[0], self.posterior.se[0]
        left = np.where(self.free, self.posterior.items.information_at(self.posterior.theta), 0)
        return bool(
            (rule.se is not None and se <= rule.se)
            or (rule.cut is not None and abs(theta - rule.cut) > rule.z * se)
            or (rule.points is not None and self.score()[1] <= rule.points)
            or (rule.information is not None and left.max() < rule.information)
        )

    def next_items(self, at_most: int, rng: np.random.Generator) -> list[str]:
        """Return the items to ask next."""
        size = self.rule.start if not self.asked and self.rule.start > 1 else self.rule.batch
        size = min(size, at_most, self.rule.max_length - len(self.asked), int(self.free.sum()))
        only = np.array([0])
        if self.rule.joint(len(self.asked)):
            chosen = criteria.batch(self.posterior, only, self.free, size)[0]
        elif not self.asked and self.rule.spread is not None:
            free, chosen = self.free.copy(), []
            for wanted in criteria.first_values(self.rule, self.posterior, only)[:size]:
                chosen.append(int(np.where(free, wanted[0], -np.inf).argmax()))
                free[chosen[-1]] = False
        else:
            wanted = criteria.values(self.rule, self.posterior, only, len(self.asked), rng)
            wanted = np.where(self.free, wanted, -np.inf)[0]
            chosen = np.argsort(-wanted, kind="stable")[:size]
        return self.items[chosen].tolist()

    def take(self, items: Sequence[str], responses: Sequence[int]) -> None:
        """Take responses in and estimate anew."""
        at = pd.Index(self.items).get_indexer(items)
        for place, response in zip(at, responses, strict=True):
            self.posterior.add(np.array([0]), np.array([place]), np.array([response]))
        self.posterior.estimate(np.array([0]))
        self.asked += items


def make_tests(
    bank: Bank, rule: Rule, form: str = MAIN_FORM, available: set[str] | None = None
) -> list[BenchmarkTest]:
    """Return a test for every benchmark of the bank.

    Parameters
    ----------
    bank : Bank
    rule : Rule
        Its calibration is used where the bank has one of that name.
    form : str
    available : set of str, optional
        Items that can be asked; default: all.

    Raises
    ------
    UserError
        Fewer items than the rule asks at least.
    """
    tests = []
    for name in bank.benchmarks:
        wanted = bank.form_items(name, form) if rule.items == "form" else bank.pool_items(name)
        if available is not None:
            wanted = [item for item in wanted if item in available]
        rule.check_bank(len(wanted), f"bank, benchmark '{name}'")
        parameters = bank.parameters.set_index("item", drop=False).loc[list(wanted)]
        items = Items(parameters, rule)
        calibration = None
        if bank.cat_calibration is not None:
            calibration = Calibration.of(bank.cat_calibration, name, rule.name)
        scale = ScoreScale.of(bank.readout(name, form, "ability"), items.nodes, calibration)
        tests.append(BenchmarkTest(name, rule, Posterior(items, 1, rule.estimator), scale))
    return tests


def run_tests(
    tests: list[BenchmarkTest],
    answer: Answer,
    subject: str,
    budget: int | None = None,
    seed: int = 1,
    progress: Callable[[list[BenchmarkTest]], None] = lambda tests: None,
) -> pd.DataFrame:
    """Run the tests until their rules stop them or the budget is spent.

    The next batch goes to the benchmark whose reconstructed score is least certain.

    Parameters
    ----------
    tests : list of BenchmarkTest
        Changed in place.
    answer : callable
        Answers items of a benchmark.
    subject : str
    budget : int, optional
        Items over all benchmarks.
    seed : int
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
    least = sum(test.rule.min_length for test in tests)
    if budget is not None and budget < least:
        raise UserError(
            f"--budget {budget}: {len(tests)} benchmarks of at least {tests[0].rule.min_length} "
            f"items need {least}; raise it or lower min_length"
        )
    rng = np.random.default_rng(seed)
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
        items = test.next_items(int(min(left, len(test.items))), rng)
        responses = answer(test.name, items)
        test.take(items, responses)
        rows += _rows(test, subject, items, responses, time.perf_counter() - start)
        progress(tests)
    return pd.DataFrame(rows)


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


def scores(tests: list[BenchmarkTest], subject: str, form: str) -> pd.DataFrame:
    """Return the table `scores` of finished tests."""
    rows = []
    for test in tests:
        if not test.asked:
            continue
        predicted, half = test.score()
        rows.append(
            {
                "subject": subject,
                "benchmark": test.name,
                "form": form,
                "readout": "adaptive",
                "n_items": len(test.asked),
                "theta": float(test.posterior.theta[0]),
                "se": float(test.posterior.se[0]),
                "predicted": predicted,
                "lower": max(predicted - half, 0.0),
                "upper": min(predicted + half, 100.0),
                "level": test.scale.level,
                "extrapolated": 0,
                "person_fit": None,
            }
        )
    return pd.DataFrame(rows)
