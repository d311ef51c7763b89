"""Lists of checkpoints of training runs: from the hub, folders, tables and the configuration.

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

from itemwise.analyses.checkpoint_families import family, frame, of_crystal, placed
from itemwise.analyses.checkpoint_names import Told, read_folder, read_name
from itemwise.errors import UserError, listed
from itemwise.tables.given import read_given

COLUMNS = ["model", "revision", "step", "tokens", "dtype", "location", "note"]
DISAGREEMENT = 1.1
"""Ratio of tokens from which names and steps are said to disagree; below, names are rounded."""
Notice = Callable[[str], None]


def silent(message: str) -> None:
    """Say nothing."""


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
    told = {name: of_crystal(read_name(name), name) for name in names}
    source, remedy = f"--hub {model}", "list the ones that you want in a table (--table)"
    left_out = [name for name, known in told.items() if not known.known]
    if len(left_out) == len(told):
        raise UserError(f"{source}: no branch or tag names a step; write a table of your own")
    if left_out:
        notice(f"{source}: left out, since their names tell no step: {listed(left_out)}")
    told = {name: known for name, known in told.items() if known.known}
    _check_one_a_step(told, source, remedy)
    return placed(model, told)


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
    table = placed("/".join(folder.resolve().parts[-2:]), told)
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
    table = frame(model, [entry.get("revision") or "main"], [entry.get("step")],
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
