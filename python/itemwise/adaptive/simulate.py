"""Adaptive tests on response rows, all subjects at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.adaptive.calibrate import Calibration
from itemwise.adaptive.choice import Chooser
from itemwise.adaptive.posterior import Items, Posterior
from itemwise.adaptive.rules import Rule
from itemwise.adaptive.stopping import out_of_reach, stops
from itemwise.errors import UserError
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import Responses

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreScale:
    """Reconstructed scores over the nodes: what a posterior of ability says in points.

    Attributes
    ----------
    nodes : array, shape (n_nodes,)
        Abilities.
    expected : array, shape (n_nodes,)
        Full score that the `ability` read-out gives at each node.
    extended : array, shape (n_nodes,)
        The same, going on straight beyond the training range, where `expected` is held: what
        is not known of an ability counts there as much as at the end of the range.
    half_width : array, shape (n_nodes,)
        Half the interval of the read-out there, ability being known.
    level : float
        Coverage of the intervals.
    calibration : Calibration, optional
        Corrections learnt from tests of training models.
    span : tuple of float
        Range of theta in which the read-out was trained; beyond, it is held at its ends.
    """

    nodes: np.ndarray
    expected: np.ndarray
    extended: np.ndarray
    half_width: np.ndarray
    level: float
    calibration: Calibration | None = None
    span: tuple[float, float] = (-np.inf, np.inf)

    @classmethod
    def of(
        cls, readout: Readout, nodes: np.ndarray, calibration: Calibration | None = None
    ) -> ScoreScale:
        """Tabulate a read-out of theta."""

        def at(theta: np.ndarray) -> np.ndarray:
            grid = pd.DataFrame({"theta": theta, "se": 0.0})
            return readout.predict(grid)["predicted"].to_numpy()

        expected, (low, high) = at(nodes), readout.span("theta")
        step = (high - low) / 100
        rise = (at(np.array([low + step, high])) - at(np.array([low, high - step]))) / step
        beyond = np.minimum(nodes - low, 0), np.maximum(nodes - high, 0)
        extended = expected + rise[0] * beyond[0] + rise[1] * beyond[1]
        half = readout.half_width(expected)
        return cls(nodes, expected, extended, half, readout.level, calibration, (low, high))

    def half_widths(self, spread: np.ndarray, n: int) -> np.ndarray:
        """Return half the intervals at each node for posteriors of a given spread there.

        By the delta method, f(theta) being linear over the posterior; then the calibration.

        Parameters
        ----------
        spread : array, shape (n_nodes,)
            Standard deviation of theta.
        n : int
            Items asked.
        """
        slope = np.gradient(self.extended, self.nodes)
        half = np.hypot(self.half_width, ndtri((1 + self.level) / 2) * slope * spread)
        return (
            half if self.calibration is None else self.calibration.apply(n, self.expected, half)[1]
        )

    def points(self, weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior mean score and half the width of its interval.

        E[f(theta)] over the posterior, and sqrt(E[h]^2 + (z SD[f(theta)])^2): what the
        read-out does not know, and what the posterior does not; then the calibration.

        Parameters
        ----------
        weights : array, shape (n_subjects, n_nodes)
            Normalised posterior weights.
        n : int
            Items asked so far.
        """
        mean = weights @ self.expected
        spread = weights @ self.extended**2 - (weights @ self.extended) ** 2
        spread = np.sqrt(np.maximum(spread, 0))
        half = np.hypot(weights @ self.half_width, ndtri((1 + self.level) / 2) * spread)
        if self.calibration is None:
            return mean, half
        return self.calibration.apply(n, mean, half)


def simulate(
    responses: Responses,
    parameters: pd.DataFrame,
    rule: Rule,
    benchmark: str,
    scale: ScoreScale | None = None,
    domains: np.ndarray | None = None,
    seed: int = 1,
    progress: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """Run an adaptive test on every row of responses.

    Cells that were not administered cannot be asked. Of equally good items the first
    counts.

    Parameters
    ----------
    responses : Responses
        Must hold the items of `parameters`.
    parameters : data frame
        Table `parameters`: the bank. For `fixed`, in the order of asking.
    rule : Rule
    benchmark : str
    scale : ScoreScale, optional
        Adds reconstructed scores; needed by a rule that stops by `points`.
    domains : array, shape (n_items,), optional
        Sub-domains whose shares in the bank every test keeps to.
    seed : int
        Of criteria with a random part; each subject's test depends on it and on the
        subjects that are simulated with it.
    progress : callable
        Told how many tests have ended.

    Returns
    -------
    data frame
        Table `cat_traces`.

    Raises
    ------
    UserError
        A bank smaller than the rule's shortest test; no scale to stop by points.
    """
    rule.check_bank(len(parameters), "bank")
    if rule.points is not None and scale is None:
        raise UserError(f"rule '{rule.name}': stops by points, which needs a read-out")
    rows = responses.select_items(parameters["item"].tolist(), "responses")
    items = Items(parameters, rule)
    said = out_of_reach(rule, items, scale)
    if said is not None:
        LOG.warning("rule '%s': %s", rule.name, said)
    posterior = Posterior(items, len(rows.subjects), rule.estimator)
    test = _Tests(rule, posterior, rows, scale, domains, np.random.default_rng(seed))
    while len(test.active):
        before = len(test.active)
        test.step()
        progress(before - len(test.active))
    columns = {name: np.concatenate(parts) for name, parts in test.trace.items()}
    # Ranks of subjects sort faster than their names.
    rank = np.argsort(np.argsort(rows.subjects))
    order = np.lexsort((columns["step"], rank[columns["row"]]))
    columns = {name: values[order] for name, values in columns.items()}
    named = {
        "subject": rows.subjects[columns.pop("row")],
        "benchmark": benchmark,
        "rule": rule.name,
        "engine": "native",
    }
    columns["item"] = items.parameters["item"].to_numpy(object)[columns["item"]]
    return pd.DataFrame({**named, **columns})


class _Tests:
    """All tests of one simulation, in step."""

    def __init__(self, rule, posterior, rows, scale, domains, rng):
        self.rule, self.posterior, self.rows = rule, posterior, rows
        self.scale = scale
        self.chooser = Chooser(rule, posterior, domains, rng)
        self.free = rows.administered.copy()
        self.active = np.flatnonzero(self.free.any(axis=1))
        self.done = 0
        self.trace: dict[str, list[np.ndarray]] = defaultdict(list)

    def step(self) -> None:
        """Ask every active subject a batch, estimate, and see who has finished."""
        size = self.rule.next_size(self.done)
        chosen = self.chooser.choose(self.active, self.free[self.active], self.done, size)
        for place in range(size):
            self._answer(chosen[:, place])
        self.posterior.estimate(self.active)
        self._record(chosen)
        self.active = self.active[~self._finished()]

    def _answer(self, chosen: np.ndarray) -> None:
        """Look the responses up and take them in."""
        asked = chosen >= 0
        subjects, items = self.active[asked], chosen[asked]
        self.posterior.add(subjects, items, self.rows.matrix[subjects, items])
        self.free[subjects, items] = False

    def _record(self, chosen: np.ndarray) -> None:
        """Add a row for every response, with the estimate after its batch."""
        points = {}
        if self.scale is not None:
            done = self.done + chosen.shape[1]
            mean, half = self.scale.points(self.posterior.weights(self.active), done)
            points = {"predicted": mean, "half_width": half}
        for place in range(chosen.shape[1]):
            asked = chosen[:, place] >= 0
            subjects, items = self.active[asked], chosen[asked, place]
            row = {
                "row": subjects,
                "step": np.full(len(subjects), self.done + place + 1),
                "item": items,
                "response": self.rows.matrix[subjects, items],
                "theta": self.posterior.theta[subjects],
                "se": self.posterior.se[subjects],
                **{name: values[asked] for name, values in points.items()},
            }
            for name, values in row.items():
                self.trace[name].append(values)
        self.done += chosen.shape[1]

    def _finished(self) -> np.ndarray:
        """Return which active subjects have reached the end of their test."""
        rule, active = self.rule, self.active
        theta, half, left = self.posterior.theta[active], None, None
        if rule.points is not None:
            half = self.scale.points(self.posterior.weights(active), self.done)[1]
        if rule.information is not None:
            known = self.posterior.items.information_at(theta)
            left = np.where(self.free[active], known, -np.inf).max(axis=1)
        over = stops(rule, self.done, theta, self.posterior.se[active], half, left)
        return over | ~self.free[active].any(axis=1)
