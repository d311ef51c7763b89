"""A simulated leaderboard: known truth to try the pipeline on and to check it against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses

COMMON_SHARE = 0.75
"""Correlation of the abilities of one model on two benchmarks (leaderboard: 0.7 to 0.9)."""

FAMILY_SHARE = 0.3
"""Share of the ability's variance that models of one organization have in common."""

NEGATIVE_SHARE = 0.02
"""Share of items with a negative slope: wrong keys, trick questions."""

MODELS_PER_ORGANIZATION = 4


@dataclass(frozen=True)
class Population:
    """Simulated responses and their truth."""

    responses: Responses
    parameters: pd.DataFrame
    abilities: pd.DataFrame


def simulate_population(
    benchmark: str,
    number: int,
    n_subjects: int,
    n_items: int,
    guessing: float,
    missing: float,
    seed: int,
) -> Population:
    """Simulate one benchmark of a leaderboard-like population.

    Abilities are N(0, 1): a general ability, shared by all benchmarks of the same seed
    and partly by the models of an organization, plus what is specific to the
    benchmark. Slopes are log-normal with a long tail, 2 % of them negative.

    Parameters
    ----------
    benchmark : str
        Prefix of the item ids.
    number : int
        Place of the benchmark in the run; keeps the benchmarks' draws apart.
    n_subjects, n_items : int
    guessing : float
        Mean lower asymptote; 0 for open answers, which makes the truth a 2PL.
    missing : float
        Share of cells not administered.
    seed : int
    """
    general = _general_ability(n_subjects, seed)
    rng = np.random.default_rng([seed, number + 1])
    specific = rng.standard_normal(n_subjects)
    theta = np.sqrt(COMMON_SHARE) * general + np.sqrt(1 - COMMON_SHARE) * specific
    parameters = draw_items(rng, benchmark, n_items, guessing)
    subjects = _subject_names(n_subjects)
    responses = simulate_responses(
        parameters, theta, seed=[seed, number + 1, 2], missing=missing, subjects=subjects
    )
    abilities = pd.DataFrame({"subject": subjects, "theta": theta, "se": 0.0, "method": "truth"})
    return Population(responses, parameters, abilities)


def _general_ability(n_subjects: int, seed: int) -> np.ndarray:
    """Draw what a model's abilities have in common, the same for every benchmark."""
    rng = np.random.default_rng([seed, 0])
    family = np.repeat(
        rng.standard_normal(-(-n_subjects // MODELS_PER_ORGANIZATION)), MODELS_PER_ORGANIZATION
    )[:n_subjects]
    own = rng.standard_normal(n_subjects)
    return np.sqrt(FAMILY_SHARE) * family + np.sqrt(1 - FAMILY_SHARE) * own


def draw_items(rng, benchmark: str, n_items: int, guessing: float) -> pd.DataFrame:
    """Draw item parameters of the kind that leaderboards show."""
    slopes = rng.lognormal(0.3, 0.5, n_items)
    slopes[rng.random(n_items) < NEGATIVE_SHARE] *= -1
    difficulty = rng.normal(-0.3, 1.1, n_items)
    lower = np.zeros(n_items)
    if guessing:
        lower = rng.beta(20 * guessing, 20 * (1 - guessing), n_items)
    width = len(str(n_items))
    items = [f"{benchmark}.{i + 1:0{width}d}" for i in range(n_items)]
    return pd.DataFrame(
        {"item": items, "a": slopes, "d": -slopes * difficulty, "g": lower, "u": 1.0}
    )


def _subject_names(n_subjects: int) -> np.ndarray:
    """Name models `lab-03/model-012`, a few to each organization."""
    width = len(str(n_subjects))
    return np.array(
        [
            f"lab-{i // MODELS_PER_ORGANIZATION + 1:0{width}d}/model-{i + 1:0{width}d}"
            for i in range(n_subjects)
        ],
        dtype=object,
    )
