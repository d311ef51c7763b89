"""When an adaptive test ends, and whether a bank can end it at all."""

from __future__ import annotations

import numpy as np

from itemwise.adaptive.posterior import Items
from itemwise.adaptive.rules import Rule


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
    if rule.cut is not None or rule.information is not None:
        return None
    longest = min(rule.max_length, len(items))
    information = np.sort(items.information, axis=0)[-longest:].sum(axis=0)
    spread = 1 / np.sqrt(1 + information)
    short_of = []
    if rule.se is not None:
        text = f"a standard error of {spread.min():.2f} (the rule wants {rule.se:g})"
        short_of.append((spread.min() > rule.se, text))
    if rule.points is not None and scale is not None:
        half = scale.half_widths(spread, longest).min()
        text = f"half an interval of {half:.1f} points (the rule wants {rule.points:g})"
        short_of.append((half > rule.points, text))
    if not short_of or not all(out for out, _ in short_of):
        return None
    return (
        f"{longest} items bring at best {' and '.join(text for _, text in short_of)}; every test "
        "will end at its greatest length"
    )
