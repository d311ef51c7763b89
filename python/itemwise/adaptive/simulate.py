"""Adaptive tests on response rows, all subjects at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from itemwise.adaptive import criteria
from itemwise.adaptive.calibrate import Calibration
from itemwise.adaptive.posterior import Items, Posterior
from itemwise.adaptive.rules import Rule
from itemwise.errors import UserError
from itemwise.readout import Readout
from itemwise.responses import Responses


@dataclass(frozen=True)
class ScoreScale:
    """Reconstructed scores over the nodes: what a posterior of ability says in points.

    Attributes
    ----------
    expected : array, shape (n_nodes,)
        Full score that the `ability` read-out gives at each node.
    half_width : array, shape (n_nodes,)
        Half the interval of the read-out there, ability being known.
    level : float
        Coverage of the intervals.
    calibration : Calibration, optional
        Corrections learnt from tests of training models.
    """

    expected: np.ndarray
    half_width: np.ndarray
    level: float
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls, readout: Readout, nodes: np.ndarray, calibration: Calibration | None = None
    ) -> ScoreScale:
        """Tabulate a read-out of theta."""
        grid = pd.DataFrame({"theta": nodes, "se": 0.0})
        expected = readout.predict(grid)["predicted"].to_numpy()
        return cls(expected, readout.half_width(expected), readout.level, calibration)

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
        spread = np.sqrt(np.maximum(weights @ self.expected**2 - mean**2, 0))
        half = np.hypot(weights @ self.half_width, norm.ppf((1 + self.level) / 2) * spread)
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
    posterior = Posterior(items, len(rows.subjects), rule.estimator)
    test = _Tests(rule, posterior, rows, scale, domains, np.random.default_rng(seed))
    while len(test.active):
        before = len(test.active)
        test.step()
        progress(before - len(test.active))
    table = pd.concat(test.trace, ignore_index=True)
    table.insert(0, "subject", rows.subjects[table.pop("row")])
    table.insert(1, "benchmark", benchmark)
    table.insert(2, "rule", rule.name)
    table.insert(3, "engine", "native")
    table["item"] = items.parameters["item"].to_numpy(object)[table["item"]]
    return table.sort_values(["subject", "step"]).reset_index(drop=True)


class _Tests:
    """All tests of one simulation, in step."""

    def __init__(self, rule, posterior, rows, scale, domains, rng):
        self.rule, self.posterior, self.rows = rule, posterior, rows
        self.scale, self.domains, self.rng = scale, domains, rng
        self.free = rows.administered.copy()
        self.active = np.flatnonzero(self.free.any(axis=1))
        self.done = 0
        self.trace: list[pd.DataFrame] = []
        self.room = np.full(
            len(posterior.items), max(1, int(rule.max_exposure * len(rows.subjects)))
        )

    def step(self) -> None:
        """Ask every active subject a batch, estimate, and see who has finished."""
        size = self.rule.start if self.done == 0 and self.rule.start > 1 else self.rule.batch
        size = min(size, self.rule.max_length - self.done)
        chosen = self._choose(size)
        for place in range(size):
            self._answer(chosen[:, place])
        self.posterior.estimate(self.active)
        self._record(chosen)
        self.active = self.active[~self._finished()]

    def _choose(self, size: int) -> np.ndarray:
        """Return the items of the next batch, -1 where none is left."""
        allowed = self._allowed()
        if self.rule.joint(self.done):
            chosen = criteria.batch(self.posterior, self.active, allowed, size)
            self.room -= np.bincount(chosen[chosen >= 0], minlength=len(self.room))
            return chosen
        chosen = np.full((len(self.active), size), -1)
        if self.done == 0 and self.rule.spread is not None:
            wanted = criteria.first_values(self.rule, self.posterior, self.active)
        else:
            same = criteria.values(self.rule, self.posterior, self.active, self.done, self.rng)
            wanted = [same] * size
        for place in range(size):
            chosen[:, place] = self._pick(np.where(allowed, wanted[place], -np.inf))
            got = chosen[:, place] >= 0
            allowed[np.flatnonzero(got), chosen[got, place]] = False
        return chosen

    def _allowed(self) -> np.ndarray:
        """Return which items may be asked: not asked, administered, of the domain in want."""
        allowed = self.free[self.active] & (self.room > 0)
        # Rather an overexposed item than none.
        none = ~allowed.any(axis=1)
        allowed[none] = self.free[self.active[none]]
        if self.domains is None:
            return allowed
        codes, _ = pd.factorize(self.domains)
        member = np.eye(codes.max() + 1, dtype=bool)[codes]
        used = (self.posterior.matrix[self.active] >= 0).astype(int) @ member
        behind = member.mean(axis=0) - used / np.maximum(used.sum(axis=1, keepdims=True), 1)
        open_domains = (allowed.astype(int) @ member) > 0
        wanted = np.where(open_domains, behind, -np.inf).argmax(axis=1)
        return allowed & member.T[wanted]

    def _pick(self, wanted: np.ndarray) -> np.ndarray:
        """Return the best item of each row, or one of the best, within exposure limits."""
        chosen = np.full(len(wanted), -1)
        left = np.isfinite(wanted).any(axis=1)
        order = self.rng.permutation(len(wanted)) if self.rule.max_exposure < 1 else None
        if order is None:
            chosen[left] = self._best(wanted[left])
            return chosen
        for row in order[left[order]]:
            open_items = np.where(self.room > 0, wanted[row], -np.inf)
            if not np.isfinite(open_items).any():
                open_items = wanted[row]
            chosen[row] = self._best(open_items[None])[0]
            self.room[chosen[row]] -= 1
        return chosen

    def _best(self, wanted: np.ndarray) -> np.ndarray:
        """Return the first of the best items of each row, or one of the `randomesque` best."""
        k = self.rule.randomesque
        if k == 1:
            return wanted.argmax(axis=1)
        ranked = np.argsort(-wanted, axis=1, kind="stable")[:, :k]
        finite = np.isfinite(np.take_along_axis(wanted, ranked, axis=1)).sum(axis=1)
        place = (self.rng.random(len(wanted)) * finite).astype(int)
        return ranked[np.arange(len(wanted)), place]

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
            self.trace.append(
                pd.DataFrame(
                    {
                        "row": subjects,
                        "step": self.done + place + 1,
                        "item": items,
                        "response": self.rows.matrix[subjects, items],
                        "theta": self.posterior.theta[subjects],
                        "se": self.posterior.se[subjects],
                        **{name: values[asked] for name, values in points.items()},
                    }
                )
            )
        self.done += chosen.shape[1]

    def _finished(self) -> np.ndarray:
        """Return which active subjects have reached the end of their test."""
        rule = self.rule
        theta, se = self.posterior.theta[self.active], self.posterior.se[self.active]
        over = np.zeros(len(self.active), bool)
        if self.done >= max(rule.min_length, rule.start):
            if rule.se is not None:
                over |= se <= rule.se
            if rule.cut is not None:
                over |= np.abs(theta - rule.cut) > rule.z * se
            if rule.points is not None:
                weights = self.posterior.weights(self.active)
                over |= self.scale.points(weights, self.done)[1] <= rule.points
            if rule.information is not None:
                left = np.where(
                    self.free[self.active], self.posterior.items.information_at(theta), -np.inf
                )
                over |= left.max(axis=1) < rule.information
        return over | (self.done >= rule.max_length) | ~self.free[self.active].any(axis=1)
