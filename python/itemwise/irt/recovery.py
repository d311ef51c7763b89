"""Parameter recovery: does an engine find what the data were drawn from?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from itemwise.irt.calibration import fit
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import free_columns, parameters_beta
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.scoring import score
from itemwise.irt.simulation import simulate_responses

NORMAL_95 = 1.959964
POSTERIOR_POINTS = 601


@dataclass(frozen=True)
class Design:
    """One cell of a recovery study.

    Attributes
    ----------
    n_subjects, n_items : int
    model : {"1PL", "2PL", "3PL", "4PL"}
        Both drawn from and fitted.
    prior : {"none", "weak"}
    missing : float
        Share of cells not administered.
    """

    n_subjects: int
    n_items: int
    model: str
    prior: str
    missing: float

    @property
    def name(self) -> str:
        """Name of the design in the recovery table."""
        return (
            f"{self.model} {self.prior} {self.n_subjects}x{self.n_items} missing {self.missing:g}"
        )


def designs(subjects, items, models, priors, missing) -> list[Design]:
    """Return every combination of the settings."""
    return [Design(*cell) for cell in product(subjects, items, models, priors, missing)]


def recover(
    studies: list[Design],
    replications: int,
    engine: str,
    seed: int,
    threads: int = 1,
    progress: Callable | None = None,
) -> pd.DataFrame:
    """Simulate, fit, and compare with the truth.

    Parameters
    ----------
    studies : list of Design
    replications : int
        Data sets a design; truth is drawn anew for each.
    engine : {"native", "mirt"}
    seed : int
        The same seed gives the same data sets to both engines.
    progress : callable, optional
        Called after each replication.

    Returns
    -------
    data frame
        Table `recovery`: bias, RMSE and coverage of 95 % intervals, pooled over items
        (or subjects) and replications.
    """
    rows = []
    for number, design in enumerate(studies):
        errors: dict[str, list[np.ndarray]] = {}
        for replication in range(replications):
            for name, found in _one(design, [seed, number, replication], engine, threads):
                errors.setdefault(name, []).append(found)
            if progress:
                progress()
        for name, found in errors.items():
            rows.append(_summary(design.name, engine, name, np.concatenate(found)))
    return pd.DataFrame(rows)


def draw_parameters(design: Design, rng: np.random.Generator) -> pd.DataFrame:
    """Draw true item parameters, well inside what the data can tell.

    a ~ log-normal(0.2, 0.35), difficulty ~ N(0, 1), g ~ Beta(5, 20), 1 - u ~ Beta(2, 30).
    """
    n, k = design.n_items, free_columns(design.model)
    slopes = rng.lognormal(0.2, 0.35, n)
    if design.model == "1PL":
        slopes = np.full(n, slopes[0])
    return pd.DataFrame(
        {
            "item": [f"item{i + 1:04d}" for i in range(n)],
            "a": slopes,
            "d": -slopes * rng.standard_normal(n),
            "g": rng.beta(5, 20, n) if k > 2 else 0.0,
            "u": 1 - rng.beta(2, 30, n) if k > 3 else 1.0,
        }
    )


def posterior_ranks(design: Design, replications: int, seed: int) -> np.ndarray:
    """Simulation-based calibration of the ability posteriors.

    With theta drawn from the prior and responses from the model, the posterior
    distribution function at the true theta is uniform on (0, 1) (Talts et al. 2018,
    arXiv 1804.06788). Parameters are the true ones: what is checked is scoring.

    Returns
    -------
    array, shape (replications * n_subjects,)
        Posterior probability below the true theta.
    """
    ranks = []
    grid = normal_grid(POSTERIOR_POINTS)
    for replication in range(replications):
        rng = np.random.default_rng([seed, replication])
        truth = draw_parameters(design, rng)
        theta = rng.standard_normal(design.n_subjects)
        responses = simulate_responses(truth, theta, [seed, replication, 1], design.missing)
        answered = responses.administered.any(axis=1)
        beta = parameters_beta(truth)
        likelihood = MarginalLikelihood(responses.matrix, f"{beta.shape[1]}PL", grid)
        posterior = likelihood.posterior(beta)
        # Half of the mass of the node nearest to theta counts as below it.
        below = np.cumsum(posterior, axis=1) - posterior / 2
        at = [np.interp(t, grid.nodes, row) for t, row in zip(theta, below, strict=True)]
        ranks.append(np.array(at)[answered])
    return np.concatenate(ranks)


def uniformity(ranks: np.ndarray) -> float:
    """Return the p value of the Kolmogorov-Smirnov test that ranks are uniform."""
    from scipy.stats import kstest

    return float(kstest(ranks, "uniform").pvalue)


def _one(design: Design, seed: list[int], engine: str, threads: int) -> Iterator[tuple]:
    """Yield (parameter, array of error and covered) of one replication."""
    rng = np.random.default_rng(seed)
    truth = draw_parameters(design, rng)
    theta = rng.standard_normal(design.n_subjects)
    responses = simulate_responses(truth, theta, [*seed, 1], design.missing)
    # Of many missing cells and few items, some subjects have no response at all.
    answered = responses.administered.any(axis=1)
    responses, theta = responses.take(subjects=answered), theta[answered]
    parameters, _ = fit(
        responses,
        design.model,
        design.prior,
        engine,
        standard_errors=True,
        threads=threads,
    )
    both = parameters.merge(truth, "inner", "item", suffixes=("", "_true"))
    for name in ("a", "d", "g", "u")[: free_columns(design.model)]:
        error = (both[name] - both[f"{name}_true"]).to_numpy()
        if design.model == "1PL" and name == "a":
            error, spread = error[:1], both["se_a"].to_numpy()[:1]
        else:
            spread = both[f"se_{name}"].to_numpy()
        yield name, _error_and_cover(error, spread)
    abilities = score(responses, parameters, "EAP")
    error = abilities["theta"].to_numpy() - theta
    yield "theta", _error_and_cover(error, abilities["se"].to_numpy())


def _error_and_cover(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return errors beside whether the 95 % interval covers (NaN without standard error)."""
    covered = np.where(np.isfinite(spread), np.abs(error) <= NORMAL_95 * spread, np.nan)
    return np.column_stack([error, covered])


def _summary(design: str, engine: str, parameter: str, found: np.ndarray) -> dict:
    """Return one row of the recovery table."""
    error, covered = found.T
    return {
        "design": design,
        "engine": engine,
        "parameter": parameter,
        "n": len(error),
        "bias": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "coverage": float(np.nanmean(covered)) if np.isfinite(covered).any() else np.nan,
    }
