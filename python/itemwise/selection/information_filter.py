"""Choose the items that carry the information: metabench's filter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from itemwise.errors import UserError
from itemwise.forms import Selected


def ability_grid(theta: np.ndarray, grid: str, bins: int) -> np.ndarray:
    """Return the abilities at which information is looked at.

    Parameters
    ----------
    theta : array
        Estimated abilities of the training subjects.
    grid : {"subjects", "even"}
        The sorted abilities themselves (metabench's grid 1), or `bins` equally spaced
        points over their range (grid 2).
    bins : int
        Number of quantile bins of the filter.
    """
    if grid == "subjects":
        return np.sort(theta)
    return np.linspace(theta.min(), theta.max(), bins)


def bin_maxima(
    theta: np.ndarray, information: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's largest information within each quantile bin, and where.

    Bins are cut at the quantiles of `theta` (`quantiles_type_4`); the upper edge is
    exclusive, so that the largest theta is never used.

    Parameters
    ----------
    theta : array, shape (n_nodes,)
        Ascending abilities.
    information : array, shape (n_nodes, n_items)
    bins : int

    Returns
    -------
    maxima, where : array, shape (bins, n_items)
        Largest information (-inf in an empty bin) and its theta.
    """
    edges = quantiles_type_4(theta, np.arange(bins + 1) / bins)
    bounds = np.searchsorted(theta, edges, side="left")
    maxima = np.full((bins, information.shape[1]), -np.inf)
    where = np.full_like(maxima, np.nan)
    for number, (low, high) in enumerate(pairwise(bounds)):
        if low < high:
            at = information[low:high].argmax(axis=0)
            maxima[number] = information[low:high][at, np.arange(information.shape[1])]
            where[number] = theta[low:high][at]
    return maxima, where


def quantiles_type_4(ascending: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return quantiles by linear interpolation of the empirical distribution function.

    Type 4 of Hyndman & Fan (1996, The American Statistician 50:361), with the rounding
    tolerance that R documents for `quantile`. The last bit matters here: on an even
    grid every edge coincides with a node, and which bin the node falls into decides
    between two items. NumPy's own type 4 rounds differently and selects other items.

    Parameters
    ----------
    ascending : array, shape (n,)
    probabilities : array, shape (m,)
    """
    n = len(ascending)
    tolerance = 4 * np.finfo(float).eps
    position = n * probabilities
    below = np.floor(position + tolerance)
    weight = position - below
    weight[np.abs(weight) < tolerance] = 0
    low = ascending[np.clip(below - 1, 0, n - 1).astype(int)]
    high = ascending[np.clip(below, 0, n - 1).astype(int)]
    between = (weight > 0) & (low != high)
    return np.where(between, (1 - weight) * low + weight * high, low)


def information_filter(
    theta: np.ndarray, information: np.ndarray, bins: int, threshold: float
) -> Selected:
    """Select at most one item a quantile bin of ability (metabench, section 6 of its method).

    Bins are visited from low to high ability. In each, the item with the largest
    information among those not yet selected is taken if that reaches `threshold`.

    Parameters
    ----------
    theta : array, shape (n_nodes,)
        Ascending abilities (`ability_grid`).
    information : array, shape (n_nodes, n_items)
        Item information at those abilities.
    bins : int
        Number of quantile bins: the largest number of items.
    threshold : float
        Smallest information worth an item.
    """
    return _filter(*bin_maxima(theta, information, bins), threshold)


def budget_filter(theta: np.ndarray, information: np.ndarray, bins: int, budget: int) -> Selected:
    """Apply the filter with the smallest threshold that selects at most `budget` items.

    Only informations that an item reaches in some bin matter as thresholds. A higher
    threshold never selects more: by induction over the bins, what is still available
    under the lower threshold is also available under the higher one. So bisection is
    exact.

    Raises
    ------
    UserError
        The budget is below 1, or above the number of items or of bins, or below the
        number of items that share the largest information.
    """
    n_items = information.shape[1]
    if budget < 1 or budget > n_items:
        raise UserError(
            f"budget: {budget} items of {n_items} in the pool; "
            "set config key 'selection.budget' between 1 and the size of the pool"
        )
    if budget > bins:
        raise UserError(
            f"budget: {budget} items with {bins} quantile bins, one item a bin; raise config key "
            f"'selection.bins' to at least {budget}"
        )
    maxima, where = bin_maxima(theta, information, bins)
    candidates = np.unique(maxima[np.isfinite(maxima)])
    if not len(candidates):
        raise UserError(f"bins: {bins} hold no ability; raise config key 'selection.bins'")
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if len(_filter(maxima, where, candidates[middle]).positions) <= budget:
            high = middle
        else:
            low = middle + 1
    chosen = _filter(maxima, where, candidates[low])
    if len(chosen.positions) > budget:
        raise UserError(
            f"budget: {len(chosen.positions)} items reach the largest information alike, so that "
            f"no threshold selects at most {budget}; raise config key 'selection.budget'"
        )
    return chosen


def _filter(maxima: np.ndarray, where: np.ndarray, threshold: float) -> Selected:
    """Walk through the bins, taking the best remaining item of each."""
    alive = np.ones(maxima.shape[1], bool)
    chosen, gains, places = [], [], []
    for number in range(len(maxima)):
        best = int(np.where(alive, maxima[number], -np.inf).argmax())
        gain = maxima[number, best]
        if alive[best] and np.isfinite(gain) and gain >= threshold:
            alive[best] = False
            chosen.append(best)
            gains.append(gain)
            places.append(where[number, best])
    return Selected(
        np.array(chosen, dtype=int), np.array(gains), np.array(places), float(threshold)
    )
