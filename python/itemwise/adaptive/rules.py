"""How an adaptive test starts, chooses its items, estimates and stops."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from itemwise.errors import UserError, suggestion

CRITERIA = ("MFI", "MEPV", "MPLI", "KL", "KLP", "progressive", "random", "fixed")
ESTIMATORS = ("EAP", "MAP", "ML")
FEWEST_NODES = 11


class Stop(NamedTuple):
    """A way to end a test.

    Attributes
    ----------
    words : str
        When it ends the test, with a place for the limit.
    precision : str, optional
        How a test falls short of the limit, with a place for what it reached; None where the
        limit is not a precision.
    """

    words: str
    precision: str | None = None


STOPS = {
    "points": Stop("half the interval is at most {:g} points", "half the interval {:.1f} points"),
    "se": Stop("the standard error of ability is at most {:g}", "standard error {:.2f}"),
    "information": Stop("no item left has an information of {:g}"),
    "cut": Stop("it is clear on which side of ability {:g} the model lies"),
}
"""The stops, by the setting that holds the limit; `stopping.stops` says when each holds."""

LIVE_RULE = "live:min_length=8,batch=4,points=2"
"""The test of a live run where no other is named; every run corrects its scores."""


@dataclass(frozen=True)
class Rule:
    """An adaptive test.

    Attributes
    ----------
    name : str
    criterion : str
        Which item comes next: largest Fisher information at the current ability (`MFI`),
        smallest expected posterior variance (`MEPV`), largest posterior mean of the gain in
        log precision (`MPLI`), largest Kullback-Leibler divergence weighted by the
        likelihood (`KL`) or the posterior (`KLP`), from random to informative
        (`progressive`), at `random`, or the items in their given order (`fixed`: the short
        form).
    items : str
        What may be asked: the items of the short form (`form`), which mirror the whole
        benchmark, or all calibrated ones (`pool`).
    estimator : str
        `ML` falls back to `MAP` where the likelihood has no maximum.
    start : int
        Items asked first, all chosen before any estimate.
    theta0 : float, optional
        Ability at which the first items are chosen, by information; default: by the
        criterion, at the prior. The estimate's prior stays N(0, 1).
    spread : float, optional
        The `start` first items are chosen by information at as many equally spaced
        abilities from -spread to spread, one each (metabench: 5 items, spread 2).
    batch : int
        Items between two estimates: each is the best by the criterion, discounted by what
        the others of the batch will tell.
    randomesque : int
        Draw among so many best items.
    max_exposure : float
        Largest share of subjects that get an item.
    min_length, max_length : int
    se : float, optional
        Stop when the standard error of ability is at most this.
    points : float, optional
        Stop when half the interval of the reconstructed score is at most so many points.
    information : float, optional
        Stop when no item left has this much information at the current ability.
    balance : str, optional
        Column of the items table: every test keeps its sub-domains' shares in the bank.
    cut : float, optional
        Stop when `z` standard errors no longer reach this ability.
    z : float
    nodes : int
        Points of the posterior, equally spaced on [-limit, limit], trapezoidal weights.
    limit : float
    """

    name: str = "adaptive"
    criterion: str = "MEPV"
    items: str = "form"
    estimator: str = "EAP"
    start: int = 1
    theta0: float | None = None
    spread: float | None = None
    batch: int = 1
    randomesque: int = 1
    max_exposure: float = 1.0
    balance: str | None = None
    min_length: int = 1
    max_length: int = 80
    se: float | None = None
    points: float | None = None
    information: float | None = None
    cut: float | None = None
    z: float = 1.959964
    nodes: int = 241
    limit: float = 6.0

    def __post_init__(self):
        for field_name, choices in (
            ("criterion", CRITERIA), ("estimator", ESTIMATORS), ("items", ("form", "pool"))
        ):  # fmt: skip
            if getattr(self, field_name) not in choices:
                raise UserError(
                    f"rule '{self.name}': {field_name} {getattr(self, field_name)!r} is not one of "
                    f"{', '.join(choices)}"
                )
        for field_name, least in (
            ("start", 1), ("batch", 1), ("randomesque", 1), ("min_length", 1), ("max_length", 1),
            ("nodes", FEWEST_NODES),
        ):  # fmt: skip
            if getattr(self, field_name) < least:
                raise UserError(f"rule '{self.name}': {field_name} must be at least {least}")
        for field_name in ("min_length", "start"):
            if getattr(self, field_name) > self.max_length:
                raise UserError(
                    f"rule '{self.name}': {field_name} {getattr(self, field_name)} exceeds "
                    f"max_length {self.max_length}"
                )
        for field_name in ("se", "points", "information", "z", "limit", "spread"):
            value = getattr(self, field_name)
            if value is not None and value <= 0:
                raise UserError(f"rule '{self.name}': {field_name} must be above 0")
        if self.spread is not None and (self.theta0 is not None or self.start < 2):
            raise UserError(
                f"rule '{self.name}': spread needs a start of at least 2 items, and no theta0"
            )
        if not 0 < self.max_exposure <= 1:
            raise UserError(f"rule '{self.name}': max_exposure must lie between 0 and 1")

    def joint(self, done: int) -> bool:
        """Return whether the items of the next batch are discounted by one another."""
        placed = done == 0 and (self.theta0 is not None or self.spread is not None)
        return self.batch > 1 and self.criterion not in ("fixed", "random") and not placed

    def next_size(self, done: int) -> int:
        """Return how many items are asked next, at most, after so many."""
        size = self.start if done == 0 and self.start > 1 else self.batch
        return min(size, self.max_length - done)

    @property
    def stops(self) -> dict[str, float]:
        """The limits of the stops that the rule has, by name."""
        limits = {name: getattr(self, name) for name in STOPS}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def without_stops(self) -> Rule:
        """Return the rule that always goes on to its greatest length."""
        return replace(self, **dict.fromkeys(STOPS))

    def settings(self) -> str:
        """Return what decides items and estimates, as text: all but name, stops and lengths.

        Tests of equal settings have the same scores after the same number of items; where
        a test starts (`theta0`) matters for its first items only and is left out too.
        """
        left_out = {"name", "min_length", "max_length", "theta0", "z", *STOPS}
        kept = [f.name for f in fields(self) if f.name not in left_out]
        return ",".join(f"{name}={getattr(self, name)}" for name in kept)

    def check_bank(self, n_items: int, source: str) -> None:
        """Refuse a bank with fewer items than the rule asks for at least."""
        least = max(self.min_length, self.start)
        if n_items < least:
            name = "min_length" if self.min_length == least else "start"
            raise UserError(
                f"{source}: holds {n_items} items, rule '{self.name}' asks at least "
                f"{least}; lower {name} or give a larger bank"
            )


def parse_rule(text: str) -> Rule:
    """Read a rule from `name:key=value,key=value`.

    Raises
    ------
    UserError
        Unknown key or a value of another type.
    """
    name, _, rest = text.partition(":")
    if not name.strip() or set(name) & set("=,"):
        raise UserError(f"--rule {text}: a rule is written name:key=value,... with a name first")
    kinds = {f.name: f.type for f in fields(Rule)}
    settings = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in kinds or key == "name":
            known = [kind for kind in kinds if kind != "name"]
            raise UserError(
                f"--rule {text}: '{part}' is not one of the settings; {suggestion(key, known)}"
                f"they are {', '.join(known)}"
            )
        settings[key] = _typed(kinds[key], value.strip(), text)
    return Rule(name=name, **settings)


def _typed(kind: str, value: str, text: str):
    """Convert a value to the type of its field."""
    if kind.startswith("str"):
        return value
    try:
        return int(value) if kind == "int" else float(value)
    except ValueError:
        raise UserError(f"--rule {text}: {value!r} is not a number") from None
