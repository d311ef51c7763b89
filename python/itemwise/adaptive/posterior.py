"""What is known of the abilities of all subjects, response by response."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from itemwise.adaptive.rules import Rule
from itemwise.irt.model import item_information, parameters_beta, probabilities
from itemwise.irt.quadrature import Grid
from itemwise.irt.scoring import ABILITY_TOLERANCE, NEWTON_STEPS, posterior_mode
from itemwise.responses.matrix import MISSING


class Items:
    """The bank's items, tabulated over the nodes of a rule.

    Parameters
    ----------
    parameters : data frame
        Table `parameters`.
    rule : Rule
    """

    def __init__(self, parameters: pd.DataFrame, rule: Rule):
        self.parameters = parameters.reset_index(drop=True)
        self.beta = parameters_beta(self.parameters)
        self.nodes = np.linspace(-rule.limit, rule.limit, rule.nodes)
        right, wrong = probabilities(self.beta, self.nodes)
        self.right = right
        self.log_right, self.log_wrong = np.log(right), np.log(wrong)
        self.information = item_information(self.parameters, self.nodes)
        weights = np.ones(rule.nodes)
        weights[[0, -1]] = 0.5  # trapezoidal rule
        self.log_prior = np.log(weights) - self.nodes**2 / 2

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def logistic(self) -> bool:
        """Whether the items have no asymptotes (1PL, 2PL)."""
        return self.beta.shape[1] == 2

    def information_at(self, theta: np.ndarray) -> np.ndarray:
        """Return the information of every item, shape (n_subjects, n_items)."""
        if not self.logistic:
            return item_information(self.parameters, theta).T
        # a^2 P (1 - P) with e = exp(-|z|): one exponential and no temporary of P, since
        # this is where a simulation spends its time.
        a, d = self.beta[:, 0], self.beta[:, 1]
        e = np.multiply.outer(theta, a)
        e += d
        np.abs(e, out=e)
        np.negative(e, out=e)
        np.exp(e, out=e)
        e /= (1 + e) ** 2
        e *= a**2
        return e


class Posterior:
    """Responses so far and the posterior of every subject's ability, N(0, 1) before any.

    Attributes
    ----------
    matrix : array of int8, shape (n_subjects, n_items)
        Responses so far, -1 elsewhere.
    log_weights : array, shape (n_subjects, n_nodes)
        Logarithm of prior times likelihood, up to a constant.
    theta, se : array, shape (n_subjects,)
        Current estimates.
    """

    def __init__(self, items: Items, n_subjects: int, estimator: str = "EAP"):
        self.items = items
        self.estimator = estimator
        self.matrix = np.full((n_subjects, len(items)), MISSING, dtype=np.int8)
        self.log_weights = np.tile(items.log_prior, (n_subjects, 1))
        self._weights = np.empty_like(self.log_weights)
        self._outdated = np.ones(n_subjects, dtype=bool)
        self.theta = np.zeros(n_subjects)
        self.se = np.ones(n_subjects)
        self.n_asked = np.zeros(n_subjects, dtype=int)
        self.asked = np.zeros((n_subjects, 16), dtype=int)

    def add(self, subjects: np.ndarray, chosen: np.ndarray, responses: np.ndarray) -> None:
        """Take in one response of each of some subjects.

        Parameters
        ----------
        subjects, chosen : array of int, shape (n,)
            Rows and items.
        responses : array of 0 and 1, shape (n,)
        """
        self.matrix[subjects, chosen] = responses
        if self.n_asked[subjects].max(initial=0) == self.asked.shape[1]:
            self.asked = np.hstack([self.asked, np.zeros_like(self.asked)])
        self.asked[subjects, self.n_asked[subjects]] = chosen
        self.n_asked[subjects] += 1
        gained = np.where(
            responses[:, None] == 1, self.items.log_right[chosen], self.items.log_wrong[chosen]
        )
        self.log_weights[subjects] += gained
        self._outdated[subjects] = True

    def weights(self, subjects: np.ndarray) -> np.ndarray:
        """Return normalised posterior weights of some subjects, shape (n, n_nodes)."""
        # Choice, estimate, score and stop all ask for them between two answers.
        changed = subjects[self._outdated[subjects]]
        if len(changed):
            weights = self.log_weights[changed]
            weights -= weights.max(axis=1, keepdims=True)
            np.exp(weights, out=weights)
            weights /= weights.sum(axis=1, keepdims=True)
            self._weights[changed] = weights
            self._outdated[changed] = False
        return self._weights[subjects]

    def likelihoods(self, subjects: np.ndarray) -> np.ndarray:
        """Return likelihoods over the nodes, largest 1, trapezoidal weights included."""
        logs = self.log_weights[subjects] + self.items.nodes**2 / 2
        return np.exp(logs - logs.max(axis=1, keepdims=True))

    def estimate(self, subjects: np.ndarray) -> None:
        """Update theta and se of some subjects.

        EAP: mean and standard deviation of the posterior on the nodes. MAP: its mode,
        with the observed information. ML: the mode of the likelihood where responses
        are mixed and it lies within the nodes, else MAP.
        """
        nodes = self.items.nodes
        if self.estimator == "EAP":
            weights = self.weights(subjects)
            mean = weights @ nodes
            self.theta[subjects] = mean
            self.se[subjects] = np.sqrt(np.maximum(weights @ nodes**2 - mean**2, 0))
            return
        theta, se = self._mode(subjects, 1.0)
        if self.estimator == "ML":
            free, error = self._mode(subjects, 0.0)
            usable = np.isfinite(error)
            theta, se = np.where(usable, free, theta), np.where(usable, error, se)
        self.theta[subjects], self.se[subjects] = theta, se

    def _mode(self, subjects: np.ndarray, precision: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the mode of posterior (precision 1) or likelihood (0) and its error.

        The error is not a number where the likelihood has no maximum within the nodes.
        """
        nodes = self.items.nodes
        if self.items.logistic:
            most = self.n_asked[subjects].max()
            asked = self.asked[subjects, :most]
            given = np.arange(most) < self.n_asked[subjects][:, None]
            a = np.where(given, self.items.beta[asked, 0], 0.0)
            x = self.matrix[subjects[:, None], asked]
            return logistic_mode(
                a, self.items.beta[asked, 1], x, precision, self.theta[subjects], nodes[-1]
            )
        columns = (self.matrix[subjects] != MISSING).any(axis=0)
        matrix, beta = self.matrix[subjects][:, columns], self.items.beta[columns]
        logs = self.log_weights[subjects] + (1 - precision) * nodes**2 / 2
        best = logs.argmax(axis=1)
        theta, se = posterior_mode(
            matrix, beta, nodes[best], Grid(nodes, self.items.log_prior), precision
        )
        at_end = (best == 0) | (best == len(nodes) - 1)
        return theta, np.where(at_end & (precision == 0), np.nan, se)


def logistic_mode(
    a: np.ndarray, d: np.ndarray, x: np.ndarray, precision: float, start: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mode of concave log posteriors of 1PL and 2PL items, one a row.

    Newton's method on sum a (x - P) - precision theta, which falls in theta; bisection
    where a step would leave the bracket.

    Parameters
    ----------
    a, d, x : array, shape (n_subjects, n_asked)
        Slopes (0 where nothing was asked), intercepts, responses.
    precision : float
        1 with the N(0, 1) prior, 0 without.
    start : array, shape (n_subjects,)
    limit : float
        Modes are sought on [-limit, limit]; beyond, its end counts.

    Returns
    -------
    theta, se : array, shape (n_subjects,)
        se from the observed information, not a number where a likelihood without prior
        has no maximum inside.
    """
    n = len(start)
    theta, se = np.clip(start, -limit, limit), np.full(n, np.nan)
    low, high = np.full(n, -limit), np.full(n, limit)
    active = np.arange(n)
    for _ in range(NEWTON_STEPS):
        slope, bend = _logistic_derivatives(a[active], d[active], x[active], theta[active])
        slope -= precision * theta[active]
        bend -= precision
        low[active] = np.where(slope > 0, theta[active], low[active])
        high[active] = np.where(slope < 0, theta[active], high[active])
        step = theta[active] - slope / np.minimum(bend, -1e-12)
        inside = (step >= low[active]) & (step <= high[active])
        new = np.where(inside, step, (low[active] + high[active]) / 2)
        new = np.where(slope == 0, theta[active], new)
        se[active] = 1 / np.sqrt(np.maximum(-bend, 1e-12))
        moved = np.abs(new - theta[active])
        theta[active] = new
        active = active[moved > ABILITY_TOLERANCE]
        if not active.size:
            break
    if precision == 0:
        se[np.abs(theta) > limit - 1e-6] = np.nan
    return theta, se


def _logistic_derivatives(a, d, x, theta) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second derivative of each row's log-likelihood."""
    right = expit(a * theta[:, None] + d)
    first = (a * (x - right)).sum(axis=1)
    return first, -(a**2 * right * (1 - right)).sum(axis=1)
