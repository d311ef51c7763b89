"""The report's section on simulated adaptive tests."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from itemwise.adaptive.rules import STOPS, Rule, parse_rule
from itemwise.adaptive.study import items_to_reach

SHOWN_LENGTHS = (10, 20, 40, 80)
"""Lengths of tests whose errors are listed, as far as any rule goes."""
GOOD = 1.5
"""Points: the median error for which the items are counted."""
CHOICES = {
    "MFI": "the most informative item at the current ability",
    "MEPV": "the item that should lower the uncertainty of ability most",
    "MPLI": "the item with the largest expected gain in log precision",
    "KL": "the item with the largest Kullback-Leibler divergence, by likelihood",
    "KLP": "the item with the largest Kullback-Leibler divergence, by posterior",
    "progressive": "first at random, then ever more by information",
    "random": "any item, at random",
    "fixed": "the short form in its order, not adaptive",
}


def section(study: pd.DataFrame, rules: Sequence[str]) -> dict:
    """Return what the page shows of the study of a benchmark.

    Parameters
    ----------
    study : data frame
        Table `cat_study` of one benchmark.
    rules : sequence of str
        The rules as they were given, `name:key=value,...`; those that are missing are
        shown by name alone.

    Returns
    -------
    dict
        `lengths`, `good` (points), and `rows`, one a rule.
    """
    known = {rule.name: rule for rule in map(parse_rule, rules)}
    lengths = [n for n in SHOWN_LENGTHS if n <= study["n_items"].max()]
    rows = [
        _row(name, part, lengths, known.get(name))
        for name, part in study.groupby("rule", sort=False)
    ]
    return {"lengths": lengths, "good": GOOD, "rows": rows}


def _row(name: str, part: pd.DataFrame, lengths: list[int], rule: Rule | None) -> dict:
    """Return a rule's errors, and its items for a good score."""
    at = part.set_index("n_items")
    last = at.iloc[-1]
    # All tests of a form ask the same few items: how often an item is asked tells nothing.
    chosen = rule is None or rule.items == "pool"
    return {
        "rule": name,
        "words": "" if rule is None else in_words(rule),
        "errors": [at["rmse"].get(n) for n in lengths],
        "coverage": last["coverage"],
        "exposure": last["exposure"] if chosen else None,
        "overlap": last["overlap"] if chosen else None,
        "reached": items_to_reach(part, "median_error", GOOD),
    }


def in_words(rule: Rule) -> str:
    """Say what a rule asks and when it stops."""
    source = {"form": "from the form: ", "pool": "from the whole pool: "}[rule.items]
    source = "" if rule.criterion == "fixed" else source
    batch = f", {rule.batch} at a time" if rule.batch > 1 else ""
    ends = [STOPS[name].words.format(limit) for name, limit in rule.stops.items()]
    until = f"; until {' or '.join(ends)}" if ends else ""
    return source + CHOICES[rule.criterion] + batch + until
