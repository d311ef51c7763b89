"""What names of checkpoints tell: training step, tokens seen, stage of the training.

One reader for folders and for revisions of the hub, such as `checkpoint-500`, `iter_0000500`,
`step1000-tokens4B`, `stage1-step102500-tokens858B`, `step-50K-105b` or `epoch=3-step=1000`.
Numbers of versions, seeds, epochs and sizes of models are none of these.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

UNITS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
START, END = r"(?<![a-z0-9])", r"(?![a-z0-9]|\.\d)"
COUNT = r"[-_= ]?(?P<number>\d+(?:\.\d+)?)"
STEPS = (
    rf"(?:{START}(?:global[-_]?)?steps?|{START}iter(?:ation)?s?){COUNT}(?P<unit>[km]?){END}",
    rf"{START}(?P<number>\d+)(?P<unit>[km]?)[-_]?(?:steps?|iters?){END}",
    rf"{START}(?:checkpoint|ckpt|chunk|ba){COUNT}(?P<unit>k?){END}",
    r"\A(?P<number>\d+)(?P<unit>)\Z",
)
"""A word before or after the number, the surer words first; or nothing but a number."""
TOKENS = (
    rf"{START}tokens?{COUNT}(?P<unit>[kmbt]?)t?{END}",
    rf"{START}(?P<number>\d+(?:\.\d+)?)(?P<unit>[kmbt])t?[-_]?tokens?{END}",
    rf"{START}(?:checkpoint|ckpt){COUNT}(?P<unit>[mbt])t?\Z",
)
"""Tokens that are called so, and checkpoints called by them: `ckpt-1.5T`."""
TOKENS_AFTER_STEP = (rf"[-_]{COUNT}(?P<unit>[mbt])t?\Z",)
"""`105b` of `step-50K-105b`. Before a step it is the size of the model."""
STAGE = re.compile(rf"{START}(stage|phase|ingredient)[-_]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What is told of a checkpoint's place in the training.

    Attributes
    ----------
    step : int, optional
    tokens : float, optional
    stage : tuple of (str, int)
        Such as `(("stage", 2), ("ingredient", 1))`; empty where no stage is named.
    """

    step: int | None = None
    tokens: float | None = None
    stage: tuple[tuple[str, int], ...] = ()

    @property
    def known(self) -> bool:
        """Whether the checkpoint has a place in the training."""
        return self.step is not None or self.tokens is not None

    @property
    def order(self) -> tuple:
        """Return what to sort checkpoints by: stage, step, tokens; unknown ones last."""
        numbers = (self.step, self.tokens)
        return not self.known, self.stage, *(float("inf") if n is None else n for n in numbers)


def read_name(name: str) -> Told:
    """Return what a name tells.

    Tokens that are rounded to nothing, as in `step150-tokens0B`, are not known.
    """
    found = _first(STEPS, name)
    step = None if found is None or _value(found) % 1 else int(_value(found))
    counted = _first(TOKENS, name)
    if counted is None and found is not None:
        counted = _first(TOKENS_AFTER_STEP, name[found.end() :])
    tokens = None if counted is None else _value(counted)
    stage = tuple((word.lower(), int(number)) for word, number in STAGE.findall(name))
    return Told(step, tokens if tokens or step == 0 else None, stage)


def read_folder(folder: Path) -> Told:
    """Return what a folder's name tells, else its `trainer_state.json`."""
    told = read_name(folder.name)
    return told if told.known else replace(told, step=_trainer_step(folder))


def _trainer_step(folder: Path) -> int | None:
    """Return the step that the Trainer of transformers left in a folder."""
    try:
        step = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        return int(step["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first(patterns: tuple[str, ...], text: str) -> re.Match | None:
    """Return the last match of the first pattern that occurs."""
    for pattern in patterns:
        found = list(re.finditer(pattern, text, re.IGNORECASE))
        if found:
            return found[-1]
    return None


def _value(found: re.Match) -> float:
    """Return the number of a match times its unit."""
    return round(float(found["number"]) * UNITS[found["unit"].lower()], 3)
