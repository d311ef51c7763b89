"""Checkpoints of known families of models, and of names that tell their place in a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from itemwise.analyses.checkpoint_names import Told, read_name
from itemwise.errors import UserError, listed

AMBER_CHUNKS = 360
AMBER_TOKENS = 1.26e12
PYTHIA_BATCH = 2_097_152
"""Tokens of a step: 1,024 sequences of 2,048 (Biderman et al. 2023, arXiv 2304.01373)."""
OLMO_BATCH = 4_423_680
"""Tokens of a step of OLMo 7B: 2,160 sequences of 2,048; step556000 is tokens2460B."""
CRYSTAL = {1: ((55_500,), 0.0), 2: ((214_387,), 345e9), 3: ((27_728,), 1272e9)}
"""Phase to the steps whose names are known, and the tokens before the phase."""
CRYSTAL_BATCH = {1: 927e9 / 214_387, 2: 927e9 / 214_387, 3: 110e9 / 27_728}
"""Tokens of a step by phase: 927B in 214,387 steps, 110B in 27,728; that of phase 1 as of 2."""
STAGES_NOTE = "several stages of training: steps and tokens may begin anew in each (unverified)"


def amber() -> pd.DataFrame:
    """Return Amber 7B: ckpt_000 .. ckpt_358 and main, which is ckpt_359.

    Checkpoint i comes after chunk i of 360, each 1.26T / 360 = 3.5B tokens.
    """
    number = np.arange(AMBER_CHUNKS)
    names = [f"ckpt_{i:03d}" for i in number[:-1]] + ["main"]
    return frame("LLM360/Amber", names, number, (number + 1) * AMBER_TOKENS / AMBER_CHUNKS)


def pythia(size: str = "6.9b", deduped: bool = False) -> pd.DataFrame:
    """Return a Pythia model: step0, 1, 2, 4 .. 512, then 1000, 2000 .. 143000."""
    steps = np.array([0, *(2**i for i in range(10)), *range(1000, 144_000, 1000)])
    model = f"EleutherAI/pythia-{size}" + ("-deduped" if deduped else "")
    return frame(model, [f"step{s}" for s in steps], steps, steps * PYTHIA_BATCH)


def olmo() -> pd.DataFrame:
    """Return OLMo 7B: every 1,000 steps to 556,000, named step<n>-tokens<b>B, and main."""
    steps = np.arange(1000, 557_000, 1000)
    names = [f"step{s}-tokens{round(s * OLMO_BATCH / 1e9)}B" for s in steps]
    table = frame("allenai/OLMo-7B-hf", [*names, "main"], [*steps, 557_000],
                   np.array([*steps, 557_000]) * OLMO_BATCH)  # fmt: skip
    return table.assign(note="names by rule, unverified; some are lost at the hub (--hub lists)")


def k2() -> pd.DataFrame:
    """Return K2 65B: ckpt_001 .. ckpt_360 over 1.4T tokens; loss-spike checkpoints apart."""
    number = np.arange(1, 361)
    table = frame("LLM360/K2", [f"ckpt_{i:03d}" for i in number], number, number * 1.4e12 / 360)
    return table.assign(note="names and even spacing unverified (--hub lists)")


def crystalcoder() -> pd.DataFrame:
    """Return CrystalCoder 7B: the checkpoint of each of the three phases whose name is known."""
    parts = []
    for phase, (steps, _) in CRYSTAL.items():
        names = [f"CrystalCoder_phase{phase}_checkpoint_{step:06d}" for step in steps]
        parts.append(named("LLM360/Crystal", names))
    note = "one name a phase, tokens by mean tokens a step, unverified (--hub lists all)"
    return pd.concat(parts, ignore_index=True).assign(note=note)


FAMILIES: dict[str, Callable[..., pd.DataFrame]] = {
    "amber": amber,
    "pythia": pythia,
    "olmo": olmo,
    "k2": k2,
    "crystalcoder": crystalcoder,
}


def family(name: str, size: str | None = None) -> pd.DataFrame:
    """Return the checkpoints of a known family; `size` chooses a Pythia, as `1.4b-deduped`.

    Raises
    ------
    UserError
        No such family, or a size for another than Pythia.
    """
    if name not in FAMILIES:
        raise UserError(
            f"family '{name}' is not known; known are {listed(FAMILIES)}, others by --hub or "
            "--folder"
        )
    if size is None:
        return FAMILIES[name]()
    if name != "pythia":
        raise UserError(f"family '{name}' has no sizes to choose from; leave --size out")
    return pythia(size.removesuffix("-deduped"), size.endswith("-deduped"))


def named(model: str, revisions: list[str]) -> pd.DataFrame:
    """Return checkpoints in the order that their names tell; names that tell none come last."""
    told = {name: of_crystal(read_name(name), name) for name in revisions}
    return placed(model, told)


def of_crystal(told: Told, name: str) -> Told:
    """Add the tokens of a checkpoint of CrystalCoder, which its phase and step tell."""
    phase = dict(told.stage).get("phase")
    if not name.startswith("CrystalCoder_") or phase not in CRYSTAL or told.step is None:
        return told
    return replace(told, tokens=CRYSTAL[phase][1] + told.step * CRYSTAL_BATCH[phase])


def placed(model: str, told: dict[str, Told]) -> pd.DataFrame:
    """Return checkpoints by revision in the order of training."""
    told = dict(sorted(told.items(), key=lambda entry: entry[1].order))
    table = frame(model, list(told), [t.step for t in told.values()],
                   [t.tokens for t in told.values()])  # fmt: skip
    stages = {t.stage for t in told.values() if t.known}
    if len(stages) > 1:
        table["note"] = STAGES_NOTE
    return table


def frame(model: str, revisions: list[str], steps, tokens) -> pd.DataFrame:
    """Return a table of checkpoints of one model."""
    return pd.DataFrame(
        {
            "model": model,
            "revision": revisions,
            "step": pd.Series(list(steps), dtype=float),
            "tokens": pd.Series(list(tokens), dtype=float),
            "dtype": None,
            "location": None,
            "note": None,
        }
    )
