"""Choose a given number of items, each selector by a criterion of its own.

All selectors rank: the first items of a longer selection are the shorter selection
(except anchor points). `Balance` keeps sub-domains in proportion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from itemwise.irt.model import item_information
from itemwise.selection.balance import Balance

RIDGE = 10.0
"""Penalty of the linear predictor in the search, in squared responses: ten subjects' worth.

The read-out chooses its own by cross-validation; here it keeps items apart that answer
alike, and the selection depends on it little.
"""

FEW_ITEMS_A_STEP = 8
"""Up to so many items of the pool for each one taken, all products of items are formed first."""

PARAMETERS = ["a", "d", "g", "u"]


def greedy(n_steps: int, balance: Balance, gains: Callable[[], np.ndarray], take: Callable) -> list:
    """Take the open item with the largest gain, `n_steps` times; the first of equals."""
    taken: list[int] = []
    for _ in range(n_steps):
        best = int(np.where(balance.open_items(taken), gains(), -np.inf).argmax())
        take(best)
        taken.append(best)
    return taken


def by_test_information(
    parameters: pd.DataFrame, theta: np.ndarray, balance: Balance, size: int
) -> np.ndarray:
    """Select the items that together measure a target population most precisely.

    Greedy minimisation of the mean posterior variance, 1 / (1 + I(theta)) under a
    standard normal prior with test information I, over the target abilities.

    Parameters
    ----------
    parameters : data frame
        Item parameters of the pool.
    theta : array
        Target abilities: those of the training subjects, or a sample of them.
    balance : Balance
    size : int
    """
    information = item_information(parameters, theta)
    total = np.ones(information.shape[1])

    def gains() -> np.ndarray:
        return -np.mean(1 / (total + information), axis=1)

    def take(item: int) -> None:
        nonlocal total
        total = total + information[item]

    return np.array(greedy(size, balance, gains, take), dtype=int)


def by_reconstruction(
    responses: np.ndarray, full_score: np.ndarray, balance: Balance, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Select the items whose linear predictor rebuilds the full score best.

    Forward selection on the ridge criterion ||y - Xb||^2 + lambda ||b||^2: by each step
    the item is added that lowers its minimum most. With G = X'X + lambda I, pivoted
    Cholesky updates give all gains of a step in one product, so that a step costs
    n_subjects x n_items.

    Parameters
    ----------
    responses : array, shape (n_subjects, n_items)
        Training subjects; cells not administered filled (`fill_expected`).
    full_score : array, shape (n_subjects,)
        Points.
    balance : Balance
    size : int

    Returns
    -------
    positions : array of int, shape (size,)
    rmse : array, shape (size,)
        Root of the generalised cross-validation score after each step, in points:
        criterion / n / (1 - (k + 1) / n)^2.
    """
    centred = responses - responses.mean(axis=0)
    target = full_score - full_score.mean()
    n_subjects = len(target)
    left = (centred**2).sum(axis=0) + RIDGE  # diagonal of G, given the items taken
    product = target @ centred  # X'y, given the items taken
    # All of X'X at once is faster than a row of it a step where many items are taken.
    gram = centred.T @ centred if centred.shape[1] <= FEW_ITEMS_A_STEP * size else None
    rows = np.empty((size, centred.shape[1]))
    criterion = [float(target @ target)]

    def gains() -> np.ndarray:
        return product**2 / left

    def take(item: int) -> None:
        nonlocal product
        row = centred[:, item] @ centred if gram is None else gram[item].copy()
        row[item] += RIDGE
        earlier = rows[: len(criterion) - 1]
        row -= earlier[:, item] @ earlier
        row /= np.sqrt(left[item])
        step = product[item] / np.sqrt(left[item])
        rows[len(earlier)] = row
        criterion.append(criterion[-1] - step**2)
        product = product - step * row
        np.maximum(left - row**2, RIDGE * 1e-6, out=left)

    taken = greedy(size, balance, gains, take)
    rmse = _gcv_rmse(np.array(criterion[1:]), np.arange(1, size + 1), n_subjects)
    return np.array(taken, dtype=int), rmse


def cross_fitted(
    responses: np.ndarray,
    full_score: np.ndarray,
    folds: np.ndarray,
    choose: Callable[[np.ndarray], list[np.ndarray]],
) -> np.ndarray:
    """Predict every subject by ridge regressions of the other folds on some items.

    Parameters
    ----------
    responses, full_score
        As for `by_reconstruction`.
    folds : array, shape (n_subjects,)
    choose : callable
        Which subjects are seen (boolean) to selections of items. Where it looks at their
        full scores, nobody is predicted from items that he helped to choose.

    Returns
    -------
    array, shape (n_selections, n_subjects)
        Points.
    """
    parts = []
    for fold in np.unique(folds):
        seen = folds != fold
        rows = [
            _ridge_predictions(responses[:, chosen], full_score, seen) for chosen in choose(seen)
        ]
        parts.append((~seen, np.array(rows)))
    predicted = np.empty((len(parts[0][1]), len(full_score)))
    for out, rows in parts:
        predicted[:, out] = rows
    return predicted


def _ridge_predictions(x: np.ndarray, y: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Predict who was not seen, with the penalty of the selection."""
    middle, start = x[seen].mean(axis=0), y[seen].mean()
    centred = x[seen] - middle
    gram = centred.T @ centred + RIDGE * np.eye(len(middle))
    return start + (x[~seen] - middle) @ np.linalg.solve(gram, centred.T @ (y[seen] - start))


def ranked_without_folds(
    responses: np.ndarray, full_score: np.ndarray, folds: np.ndarray, balance: Balance, size: int
) -> dict[int, np.ndarray]:
    """Return the items that subjects select by reconstruction without each fold, by fold."""
    return {
        int(fold): by_reconstruction(responses[folds != fold], full_score[folds != fold], balance,
                                     size)[0]
        for fold in np.unique(folds)
    }  # fmt: skip


def first_of_each(
    ranked: dict[int, np.ndarray], folds: np.ndarray, sizes: list[int]
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return the function from subjects to the first items that they select, for `cross_fitted`.

    Errors look smaller than these on subjects that chose the items: prediction intervals
    from such residuals are too narrow by the ratio. `ranked` is of `ranked_without_folds`.
    """
    return lambda seen: [ranked[int(folds[~seen][0])][:size] for size in sizes]


def prefix_rmse(
    responses: np.ndarray, full_score: np.ndarray, select: Callable[[int], np.ndarray], largest: int
) -> np.ndarray:
    """Return how well the linear predictor of 1, 2, ..., `largest` selected items rebuilds.

    The root of the generalised cross-validation score of `by_reconstruction`, for items
    that any selector has chosen.

    Parameters
    ----------
    responses, full_score
        As for `by_reconstruction`.
    select : callable
        Number of items to their positions; it may return fewer than asked for.
    largest : int

    Returns
    -------
    array, shape (largest,)
        Points.
    """
    centred = responses - responses.mean(axis=0)
    target = full_score - full_score.mean()
    gram, product = centred.T @ centred, target @ centred
    rmse = np.empty(largest)
    for size in range(1, largest + 1):
        chosen = select(size)
        inner = gram[np.ix_(chosen, chosen)] + RIDGE * np.eye(len(chosen))
        left = target @ target - product[chosen] @ np.linalg.solve(inner, product[chosen])
        rmse[size - 1] = _gcv_rmse(left, len(chosen), len(target))
    return rmse


def _gcv_rmse(criterion, n_chosen, n_subjects: int):
    """Return the root of the generalised cross-validation score; infinite without freedom."""
    spent = 1 - (np.asarray(n_chosen) + 1) / n_subjects
    with np.errstate(invalid="ignore", divide="ignore"):
        rmse = np.sqrt(np.maximum(criterion, 0) / n_subjects) / spent
    return np.where(spent > 0, rmse, np.inf)


def penalised_size(rmse: np.ndarray, penalty: float) -> int:
    """Return the size that minimises RMSE + penalty x size (points, points per item)."""
    return int(np.argmin(rmse + penalty * np.arange(1, len(rmse) + 1))) + 1


def by_anchor_points(
    parameters: pd.DataFrame, balance: Balance, size: int, seed: int
) -> np.ndarray:
    """Select the items nearest to the centres of k-means clusters of item parameters.

    One item a cluster, each sub-domain clustered by itself, the largest clusters first.
    Parameters are standardised; those that do not vary are left out. After the anchor
    points of Polo et al. (2024, tinyBenchmarks, section 3.2), with IRT parameters.
    """
    values = parameters[PARAMETERS].to_numpy(float)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    chosen = []
    for domain, quota in enumerate(balance.quota):
        members = np.flatnonzero(balance.codes == domain)
        if quota:
            chosen += _anchors(values[members], members, quota, seed)
    weights = np.array([weight for weight, _ in chosen])
    return np.array([item for _, item in chosen], dtype=int)[np.argsort(-weights, kind="stable")]


def _anchors(values: np.ndarray, members: np.ndarray, size: int, seed: int) -> list:
    """Return (cluster size, item) of `size` different items of one sub-domain."""
    from scipy.cluster.vq import kmeans2

    centres, labels = kmeans2(values, size, minit="++", rng=seed, missing="warn")
    distance = ((values[:, None, :] - centres[None]) ** 2).sum(axis=2)
    weights = np.bincount(labels, minlength=size)
    free = np.ones(len(members), bool)
    chosen = []
    for cluster in np.argsort(-weights, kind="stable"):
        # An empty cluster, or one whose nearest item is taken, gets the nearest free item.
        nearest = int(np.where(free, distance[:, cluster], np.inf).argmin())
        free[nearest] = False
        chosen.append((int(weights[cluster]), int(members[nearest])))
    return chosen
