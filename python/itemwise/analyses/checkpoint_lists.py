"""Checkpoints of training runs: lists of known families, folders, subsets.

A list is the table `checkpoints`. What a family's names and tokens rest on that could not be
checked at the hub says so in `note`; `from_hub` takes the names that are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses.checkpoint_names import Told, read_folder, read_name
from itemwise.errors import UserError, listed
from itemwise.tables.given import read_given

COLUMNS = ["model", "revision", "step", "tokens", "dtype", "location", "note"]
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
DISAGREEMENT = 1.1
"""Ratio of tokens from which names and steps are said to disagree; below, names are rounded."""
STAGES_NOTE = "several stages of training: steps and tokens may begin anew in each (unverified)"
Notice = Callable[[str], None]


def silent(message: str) -> None:
    """Say nothing."""


def amber() -> pd.DataFrame:
    """Return Amber 7B: ckpt_000 .. ckpt_358 and main, which is ckpt_359.

    Checkpoint i comes after chunk i of 360, each 1.26T / 360 = 3.5B tokens.
    """
    number = np.arange(AMBER_CHUNKS)
    names = [f"ckpt_{i:03d}" for i in number[:-1]] + ["main"]
    return _frame("LLM360/Amber", names, number, (number + 1) * AMBER_TOKENS / AMBER_CHUNKS)


def pythia(size: str = "6.9b", deduped: bool = False) -> pd.DataFrame:
    """Return a Pythia model: step0, 1, 2, 4 .. 512, then 1000, 2000 .. 143000."""
    steps = np.array([0, *(2**i for i in range(10)), *range(1000, 144_000, 1000)])
    model = f"EleutherAI/pythia-{size}" + ("-deduped" if deduped else "")
    return _frame(model, [f"step{s}" for s in steps], steps, steps * PYTHIA_BATCH)


def olmo() -> pd.DataFrame:
    """Return OLMo 7B: every 1,000 steps to 556,000, named step<n>-tokens<b>B, and main."""
    steps = np.arange(1000, 557_000, 1000)
    names = [f"step{s}-tokens{round(s * OLMO_BATCH / 1e9)}B" for s in steps]
    table = _frame("allenai/OLMo-7B-hf", [*names, "main"], [*steps, 557_000],
                   np.array([*steps, 557_000]) * OLMO_BATCH)  # fmt: skip
    return table.assign(note="names by rule, unverified; some are lost at the hub (--hub lists)")


def k2() -> pd.DataFrame:
    """Return K2 65B: ckpt_001 .. ckpt_360 over 1.4T tokens; loss-spike checkpoints apart."""
    number = np.arange(1, 361)
    table = _frame("LLM360/K2", [f"ckpt_{i:03d}" for i in number], number, number * 1.4e12 / 360)
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
    told = {name: _of_crystal(read_name(name), name) for name in revisions}
    return _placed(model, told)


def _of_crystal(told: Told, name: str) -> Told:
    """Add the tokens of a checkpoint of CrystalCoder, which its phase and step tell."""
    phase = dict(told.stage).get("phase")
    if not name.startswith("CrystalCoder_") or phase not in CRYSTAL or told.step is None:
        return told
    return replace(told, tokens=CRYSTAL[phase][1] + told.step * CRYSTAL_BATCH[phase])


def _placed(model: str, told: dict[str, Told]) -> pd.DataFrame:
    """Return checkpoints by revision in the order of training."""
    told = dict(sorted(told.items(), key=lambda entry: entry[1].order))
    table = _frame(model, list(told), [t.step for t in told.values()],
                   [t.tokens for t in told.values()])  # fmt: skip
    stages = {t.stage for t in told.values() if t.known}
    if len(stages) > 1:
        table["note"] = STAGES_NOTE
    return table


def from_hub(model: str, notice: Notice = silent) -> pd.DataFrame:
    """Return the branches and tags of a hub model whose names tell their step or tokens.

    Raises
    ------
    UserError
        The hub cannot be reached, no name tells a step, or two tell the same.
    """
    from huggingface_hub import list_repo_refs

    try:
        refs = list_repo_refs(model)
    except Exception as error:  # offline, gated, unknown: whatever the library raises
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"--hub {model}: its revisions cannot be listed ({type(error).__name__}: {text}); "
            "check the id and the network, or use --family or a table of your own"
        ) from error
    names = dict.fromkeys(ref.name for ref in [*refs.branches, *refs.tags])
    told = {name: _of_crystal(read_name(name), name) for name in names}
    source, remedy = f"--hub {model}", "list the ones that you want in a table (--table)"
    left_out = [name for name, known in told.items() if not known.known]
    if len(left_out) == len(told):
        raise UserError(f"{source}: no branch or tag names a step; write a table of your own")
    if left_out:
        notice(f"{source}: left out, since their names tell no step: {listed(left_out)}")
    told = {name: known for name, known in told.items() if known.known}
    _check_one_a_step(told, source, remedy)
    return _placed(model, told)


def from_folder(
    folder: str | Path, tokens_per_step: float | None = None, notice: Notice = silent
) -> pd.DataFrame:
    """Return the checkpoints in the folders of a training run.

    Parameters
    ----------
    folder : path
    tokens_per_step : float, optional
        Counts before the tokens that names tell.
    notice : callable
        Told what is left out, and what contradicts itself.

    Raises
    ------
    UserError
        No folder inside holds a model, none of several tells its step, or two the same.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder that holds the checkpoints")
    found = sorted(path.parent for path in folder.glob("*/config.json"))
    if not found:
        raise UserError(f"{folder}: no folder in it holds a config.json; is it a training run?")
    told = _with_place({path.name: read_folder(path) for path in found}, folder, notice)
    remedy = "move one away, or list the ones that you want in a table (--table)"
    _check_one_a_step(told, str(folder), remedy)
    if tokens_per_step is not None:
        told = _with_tokens(told, tokens_per_step, folder, notice)
    table = _placed("/".join(folder.resolve().parts[-2:]), told)
    table["location"] = [str((folder / name).resolve()) for name in table["revision"]]
    return table


def _with_place(told: dict[str, Told], folder: Path, notice: Notice) -> dict[str, Told]:
    """Leave out folders without a place in the training, unless there is but one folder.

    So is one like `final` whose `trainer_state.json` tells the step of another folder.
    """
    if len(told) == 1:
        return told
    if not any(known.known for known in told.values()):
        raise UserError(
            f"{folder}: none of the folders {listed(told)} tells its training step; call them "
            "step<number>, or list them with their steps in a table (--table)"
        )
    named = {read_name(name).step: name for name in told if read_name(name).known}
    kept = {}
    for name, known in told.items():
        if not known.known:
            notice(
                f"{folder / name}: left out, since neither its name nor a trainer_state.json in "
                "it tells its training step; call it step<number>, or list it in a table (--table)"
            )
        elif not read_name(name).known and known.step in named:
            notice(
                f"{folder / name}: left out, since it is of step {known.step} as "
                f"{named[known.step]}"
            )
        else:
            kept[name] = known
    return kept


def _check_one_a_step(told: dict[str, Told], source: str, remedy: str) -> None:
    """Refuse two checkpoints of the same step, or without it of the same tokens, and stage."""
    seen: dict[tuple, str] = {}
    for name, known in told.items():
        place = known.stage, known.step, known.tokens if known.step is None else None
        other = seen.setdefault(place, name)
        if other != name:
            what = f"{known.tokens:g} tokens" if known.step is None else f"step {known.step}"
            raise UserError(f"{source}: '{other}' and '{name}' are both of {what}; {remedy}")


def _with_tokens(
    told: dict[str, Told], tokens_per_step: float, folder: Path, notice: Notice
) -> dict[str, Told]:
    """Count tokens by steps, and say where the names tell others by more than rounding."""
    both = {name: t for name, t in told.items() if t.tokens and t.step}
    if both:  # the rounding of names matters least where there are most tokens
        name = max(both, key=lambda name: both[name].tokens)
        counted, stated = both[name].step * tokens_per_step, both[name].tokens
        if not 1 / DISAGREEMENT < counted / stated < DISAGREEMENT:
            notice(
                f"{folder / name}: --tokens-per-step {tokens_per_step:g} makes {counted:g} tokens, "
                f"its name tells {stated:g}; the option counts: check it, or leave it out"
            )
    return {
        name: known if known.step is None else replace(known, tokens=known.step * tokens_per_step)
        for name, known in told.items()
    }


def from_file(path: str | Path) -> pd.DataFrame:
    """Read a list, parquet or CSV, and check it.

    Raises
    ------
    UserError
        It breaks the contract, or lists a checkpoint twice.
    """
    table = read_given(path, "checkpoints")
    return table.reindex(columns=COLUMNS).astype(dict.fromkeys(COLUMNS[4:], object))


def from_entries(entries: list[dict], notice: Notice = silent) -> pd.DataFrame:
    """Return the checkpoints of entries of the configuration, nulls as None.

    Raises
    ------
    UserError
        An entry names no source or several; whatever its source raises.
    """
    tables = []
    for entry in entries:
        sources = [name for name in SOURCES if name in entry]
        if len(sources) != 1:
            raise UserError(
                f"checkpoints: entry {entry} must name one of {', '.join(SOURCES)}; it names "
                f"{listed(sources) or 'none'}"
            )
        table = SOURCES[sources[0]](entry, notice)
        tables.append(subset(table, entry.get("count"), entry.get("every_tokens")))
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    table = join(tables)
    slugs = table["model"].map(slug) + "/" + table["revision"].map(slug)
    if slugs.duplicated().any():
        row = table[slugs.duplicated()].iloc[0]
        raise UserError(f"checkpoint '{row['model']}@{row['revision']}': another one would have "
                        "the same path; rename the model")  # fmt: skip
    return table.astype(object).where(table.notna(), None)


def _single(entry: dict, notice: Notice) -> pd.DataFrame:
    """Return one checkpoint that is given in full; a folder is called by its last parts."""
    local = Path(entry["lm"]).is_dir()
    model = "/".join(Path(entry["lm"]).resolve().parts[-2:]) if local else entry["lm"]
    table = _frame(model, [entry.get("revision") or "main"], [entry.get("step")],
                   [entry.get("tokens")])  # fmt: skip
    return table.assign(location=str(Path(entry["lm"]).resolve()) if local else None)


def subset(
    table: pd.DataFrame, count: int | None = None, every_tokens: float | None = None
) -> pd.DataFrame:
    """Pick checkpoints of each model, the first and the last always among them.

    Parameters
    ----------
    table : data frame
        Table `checkpoints`.
    count : int, optional
        So many, evenly in the list.
    every_tokens : float, optional
        At least so many tokens apart.

    Raises
    ------
    UserError
        Both are given, or tokens are not known.
    """
    if count is not None and every_tokens is not None:
        raise UserError("give the number of checkpoints or their spacing in tokens, not both")
    parts = []
    for model, part in table.groupby("model", sort=False):
        if every_tokens is not None and part["tokens"].isna().any():
            name = part.loc[part["tokens"].isna(), "revision"].iloc[0]
            raise UserError(
                f"checkpoint '{model}@{name}': its tokens are not known, so that spacing in "
                "tokens makes no sense; give the number instead"
            )
        if count is not None and count < len(part):
            at = np.unique(np.linspace(0, len(part) - 1, max(count, 1)).round().astype(int))
            part = part.iloc[at if count > 1 else [-1]]
        if every_tokens is not None:
            part = part.sort_values("tokens", kind="stable")
            kept, last = [], -np.inf
            tokens = part["tokens"].to_numpy(float)
            for place, value in enumerate(tokens):
                if value - last >= every_tokens or place == len(tokens) - 1:
                    kept.append(place)
                    last = value
            part = part.iloc[kept]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join lists, refusing a checkpoint that occurs twice.

    Raises
    ------
    UserError
        Naming the checkpoint.
    """
    table = pd.concat(tables, ignore_index=True)
    twice = table.duplicated(["model", "revision"])
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(f"checkpoint '{row['model']}@{row['revision']}' is listed twice; "
                        "keep one")  # fmt: skip
    return table


SOURCES: dict[str, Callable[[dict, Notice], pd.DataFrame]] = {
    "family": lambda entry, notice: family(entry["family"], entry.get("size")),
    "table": lambda entry, notice: from_file(entry["table"]),
    "folder": lambda entry, notice: from_folder(
        entry["folder"], entry.get("tokens_per_step"), notice
    ),
    "lm": _single,
}
"""What an entry of the configuration may name."""


def slug(name: str) -> str:
    """Return a model or revision as it is called in paths."""
    return re.sub(r"[^A-Za-z0-9._-]+", "__", name).strip("_") or "model"


def _frame(model: str, revisions: list[str], steps, tokens) -> pd.DataFrame:
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
