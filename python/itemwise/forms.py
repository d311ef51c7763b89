"""Short forms: their names and sizes, what a selection is, and forms drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemwise.errors import UserError

MAIN_FORM = "A"
"""Name of the form that a selector chooses."""

RANDOM = "random"
"""How the names of forms drawn at random begin."""

WHOLE_POOL = "pool"
"""What tables of abilities call the form of all calibrated items."""


def fold_form(form: str, fold: int) -> str:
    """Return the name of a form as the models of all other folds choose it."""
    return f"{form}, without fold {fold}"


@dataclass(frozen=True)
class Selected:
    """Items in their order of selection.

    Attributes
    ----------
    positions : array of int
        Columns of the information matrix.
    information : array
        Information for which each item was chosen.
    theta : array
        Ability at which that information is reached.
    threshold : float or None
        Information that an item had to reach; None where the selector knows none.
    """

    positions: np.ndarray
    information: np.ndarray
    theta: np.ndarray
    threshold: float | None


def random_forms(n_items: int, size: int, n_forms: int, seed: int) -> list[np.ndarray]:
    """Draw subsets of `size` items at random, without replacement within each."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(n_items)[:size] for _ in range(n_forms)]


def check_size(size: int, n_items: int, n_forms: int = 1) -> None:
    """Refuse a selection of more items than there are."""
    if not 1 <= size * n_forms <= n_items:
        forms = f"{n_forms} forms of {size}" if n_forms > 1 else f"{size}"
        raise UserError(
            f"budget: {forms} items of {n_items} in the pool; "
            "set config key 'selection.budget' between 1 and the size of the pool"
            + (", or lower 'selection.forms'" if n_forms > 1 else "")
        )
