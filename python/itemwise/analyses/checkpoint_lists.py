"""Checkpoints of training runs: lists of known families, folders, subsets.

A list is the table `checkpoints`. What a family's names and tokens rest on that could not be
checked at the hub says so in `note`; `from_hub` takes the names that are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.tables.contract import check_table, read_table

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
STEP = re.compile(r"(\d+)(?!.*\d)")
"""The last number of a name."""
NAMES = (
    re.compile(r"CrystalCoder_phase(?P<phase>\d)_checkpoint_(?P<step>\d+)"),
    re.compile(r"(?:stage\d+-)?step-?(?P<step>\d+)-(?:tokens)?(?P<billions>\d+)BT?"),
    re.compile(r"ckpt_(?P<step>\d+)"),
    re.compile(r"(?:global_?)?step[-_]?(?P<step>\d+)|checkpoint[-_](?P<only>\d+)"),
)
"""Names of checkpoints that tell their step."""


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
    """Return checkpoints whose names tell their step, in its order; other names have none."""
    rows = []
    for name in revisions:
        step = tokens = None
        for pattern in NAMES:
            found = pattern.fullmatch(name)
            if not found:
                continue
            parts = found.groupdict()
            step = int(parts.get("step") or parts["only"])
            if parts.get("billions"):
                tokens = float(parts["billions"]) * 1e9
            if parts.get("phase"):
                phase = int(parts["phase"])
                tokens = CRYSTAL[phase][1] + step * CRYSTAL_BATCH[phase]
            break
        rows.append((name, step, tokens))
    table = pd.DataFrame(rows, columns=["revision", "step", "tokens"])
    table = table.sort_values(["tokens", "step"], kind="stable", na_position="last")
    return _frame(model, table["revision"].tolist(), table["step"].tolist(),
                  table["tokens"].tolist())  # fmt: skip


def from_hub(model: str) -> pd.DataFrame:
    """Return the branches and tags of a hub model that name a step.

    Raises
    ------
    UserError
        The hub cannot be reached, or no name tells a step.
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
    table = named(model, [ref.name for ref in [*refs.branches, *refs.tags]])
    table = table[table["step"].notna()].reset_index(drop=True)
    if table.empty:
        raise UserError(f"--hub {model}: no branch or tag names a step; write a table of your own")
    return table


def from_folder(folder: str | Path, tokens_per_step: float | None = None) -> pd.DataFrame:
    """Return the checkpoints in the folders of a training run, by the last number of the name.

    Raises
    ------
    UserError
        No folder inside holds a model, or a name has no number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder that holds the checkpoints")
    found = sorted(path.parent for path in folder.glob("*/config.json"))
    if not found:
        raise UserError(f"{folder}: no folder in it holds a config.json; is it a training run?")
    steps = []
    for path in found:
        number = STEP.search(path.name)
        if number is None:
            raise UserError(f"{path}: its name has no number that could be the step; rename it")
        steps.append(int(number[1]))
    tokens = [None if tokens_per_step is None else step * tokens_per_step for step in steps]
    model = "/".join(folder.resolve().parts[-2:])
    table = _frame(model, [path.name for path in found], steps, tokens)
    table["location"] = [str(path.resolve()) for path in found]
    return table.sort_values("step", kind="stable").reset_index(drop=True)


def from_file(path: str | Path) -> pd.DataFrame:
    """Read a list, parquet or CSV, and check it.

    Raises
    ------
    UserError
        It breaks the contract, or lists a checkpoint twice.
    """
    if Path(path).suffix != ".csv":
        table = read_table(path, "checkpoints")
    else:
        try:
            table = pd.read_csv(path, dtype={"model": str, "revision": str})
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as CSV ({error}); check the path") from error
        check_table(table, "checkpoints", str(path))
    return table.reindex(columns=COLUMNS).astype(dict.fromkeys(COLUMNS[4:], object))


def from_entries(entries: list[dict]) -> pd.DataFrame:
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
        table = SOURCES[sources[0]](entry)
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


def _single(entry: dict) -> pd.DataFrame:
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


SOURCES: dict[str, Callable[[dict], pd.DataFrame]] = {
    "family": lambda entry: family(entry["family"], entry.get("size")),
    "table": lambda entry: from_file(entry["table"]),
    "folder": lambda entry: from_folder(entry["folder"], entry.get("tokens_per_step")),
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
