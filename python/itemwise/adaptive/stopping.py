"""When an adaptive test ends, and whether a bank can end it at all."""

from __future__ import annotations

import numpy as np

from itemwise.adaptive.posterior import Items
from itemwise.adaptive.rules import STOPS, Rule


def stops(
    rule: Rule,
    n_asked: int,
    theta: np.ndarray,
    se: np.ndarray,
    half_width: np.ndarray | None,
    information_left: np.ndarray | None,
) -> np.ndarray:
    """Return which tests one of the rule's stops ends; any one of them suffices.

    Parameters
    ----------
    rule : Rule
    n_asked : int
    theta, se : array, shape (n_subjects,)
    half_width : array, shape (n_subjects,), optional
        Half the intervals of the reconstructed scores, where the rule stops by `points`.
    information_left : array, shape (n_subjects,), optional
        Largest information of an item left, where the rule stops by `information`.
    """
    over = np.full(len(theta), n_asked >= rule.max_length)
    if n_asked < max(rule.min_length, rule.start):
        return over
    if rule.se is not None:
        over |= se <= rule.se
    if rule.cut is not None:
        over |= np.abs(theta - rule.cut) > rule.z * se
    if rule.points is not None:
        over |= half_width <= rule.points
    if rule.information is not None:
        over |= information_left < rule.information
    return over


def out_of_reach(rule: Rule, items: Items, scale=None) -> str | None:
    """Say why no test of a bank can end by the rule's precision, None where one can.

    Looks at the ability that the bank measures best, with every item asked: its
    posterior standard deviation is about 1 / sqrt(1 + information), and half the
    interval of its score follows by the delta method.

    Parameters
    ----------
    rule : Rule
    items : Items
    scale : ScoreScale, optional
    """
    longest = min(rule.max_length, len(items))
    information = np.sort(items.information, axis=0)[-longest:].sum(axis=0)
    spread = 1 / np.sqrt(1 + information)
    best = {"se": spread.min()}
    if scale is not None:
        best["points"] = scale.half_widths(spread, longest).min()
    lacking = short_of(rule, best)
    if lacking is None:
        return None
    return f"{longest} items reach at best {lacking}; every test will end at its greatest length"


def short_of(rule: Rule, reached: dict[str, float]) -> str | None:
    """Say by how much a test falls short of the precision that its rule wants.

    Parameters
    ----------
    rule : Rule
    reached : dict
        What the test reached, by the name of the stop; stops that are missing do not count.

    Returns
    -------
    str, optional
        None where one of the stops was reached, and for rules that also stop otherwise.
    """
    wanted = {name: limit for name, limit in rule.stops.items() if name in reached}
    other = any(STOPS[name].precision is None for name in rule.stops)
    if other or not wanted or any(reached[name] <= wanted[name] for name in wanted):
        return None
    said = [STOPS[name].precision.format(reached[name]) for name in wanted]
    pairs = zip(said, wanted.values(), strict=True)
    return "; ".join(f"{text}, wanted {limit:g}" for text, limit in pairs)
