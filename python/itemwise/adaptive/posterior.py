"""What is known of the abilities of all subjects, response by response."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.adaptive.rules import Rule
from itemwise.irt.model import item_information, parameters_beta, probabilities
from itemwise.irt.quadrature import Grid
from itemwise.irt.scoring import posterior_mode
from itemwise.responses import MISSING


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

    def information_at(self, theta: np.ndarray) -> np.ndarray:
        """Return the information of every item, shape (n_subjects, n_items)."""
        return item_information(self.parameters, theta).T


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
        self.theta = np.zeros(n_subjects)
        self.se = np.ones(n_subjects)

    def add(self, subjects: np.ndarray, chosen: np.ndarray, responses: np.ndarray) -> None:
        """Take in one response of each of some subjects.

        Parameters
        ----------
        subjects, chosen : array of int, shape (n,)
            Rows and items.
        responses : array of 0 and 1, shape (n,)
        """
        self.matrix[subjects, chosen] = responses
        gained = np.where(
            responses[:, None] == 1, self.items.log_right[chosen], self.items.log_wrong[chosen]
        )
        self.log_weights[subjects] += gained

    def weights(self, subjects: np.ndarray) -> np.ndarray:
        """Return normalised posterior weights of some subjects, shape (n, n_nodes)."""
        logs = self.log_weights[subjects]
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

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
        asked = (self.matrix[subjects] != MISSING).any(axis=0)
        matrix, beta = self.matrix[subjects][:, asked], self.items.beta[asked]
        grid = Grid(nodes, self.items.log_prior)
        start = nodes[self.log_weights[subjects].argmax(axis=1)]
        theta, se = posterior_mode(matrix, beta, start, grid, 1.0)
        if self.estimator == "ML":
            likelihood = self.likelihoods(subjects)
            best = likelihood.argmax(axis=1)
            inner = (best > 0) & (best < len(nodes) - 1)
            mixed = (matrix == 1).any(axis=1) & (matrix == 0).any(axis=1) & inner
            free, error = posterior_mode(matrix, beta, nodes[best], grid, 0.0)
            usable = mixed & np.isfinite(error)
            theta, se = np.where(usable, free, theta), np.where(usable, error, se)
        self.theta[subjects], self.se[subjects] = theta, se
