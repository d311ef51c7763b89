"""Memorization: how much of its training text a checkpoint gives back word by word.

Biderman et al. 2023 (arXiv 2304.11158); Liu et al. 2023 (arXiv 2312.06550, section 4.3). For
a training sequence S, prompted with its first k tokens, and the greedy continuation G:

- `token_match` = mean over sequences of (1/l) sum_{i=1..l} 1[S_{k+i} = G_{k+i}], Wilson,
  clustered by sequence;
- `full_match` = share of sequences with score 1 (k-extractable), Wilson;
- `..._excess` = seen sequences less those of chunks that come later in training: what is
  matched because the text is common is matched in both; Newcombe's interval;
- by chunk of the data, and by source where it is known. Generations that end early are filled
  up with a token that matches nothing.

Over all sequences those count that the checkpoint has seen, where that is known; a checkpoint
that has seen none has no value there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses import data as data_sets
from itemwise.analyses.generation import generate
from itemwise.analyses.intervals import Estimate, difference, proportion, share
from itemwise.analyses.model import Loaded, Measured
from itemwise.errors import UserError, listed

METRICS = ("full_match", "token_match")
NOTHING = -1
"""Fills up generations that ended early; no token has this number."""


FILES = "train/train_{:03d}.jsonl"
"""Chunks of LLM360/AmberDatasets, tens of GB each."""


@dataclass(frozen=True)
class Settings:
    """Settings of memorization.

    Attributes
    ----------
    data : str, optional
        Local file with `token_ids`, `text`, or `prompt` and `continuation` (both texts, or both
        lists of token ids), and optionally `chunk`, `source` and `seen_at` (training tokens
        after which the sequence had been seen).
    chunks : tuple of int
        Chunks of the hub's data set to take.
    tokens_per_chunk : float, optional
        Training tokens of a chunk: chunk i had been seen after (i + 1) times as many.
    limit : int
        Sequences of each chunk, drawn by `seed`.
    prompt, continuation : int
        k and l.
    """

    data: str | None = None
    chunks: tuple[int, ...] = ()
    tokens_per_chunk: float | None = None
    limit: int = 1000
    seed: int = 42
    prompt: int = 32
    continuation: int = 32


def load(row, settings: Settings, model: Loaded, folder: Path) -> pd.DataFrame:
    """Return sequences with `token_ids`, `chunk` and, where known, `seen_at`."""
    if settings.data:
        frame = with_tokens(data_sets.read_file(settings.data, row.task), settings.data, model)
    elif settings.chunks:
        parts = [
            data_sets.stream(row.task, FILES.format(chunk), settings.limit, settings.seed)
            for chunk in settings.chunks
        ]
        frame = pd.concat(
            part.assign(chunk=c) for c, part in zip(settings.chunks, parts, strict=True)
        )
    else:
        raise UserError(
            "memorization: which training data? set 'data' to a local file with the column "
            "'token_ids' or 'text', or 'chunks' to chunks of LLM360/AmberDatasets"
        )
    frame["chunk"] = frame.get("chunk", 0)
    if "seen_at" not in frame and settings.tokens_per_chunk:
        frame["seen_at"] = (frame["chunk"].astype(float) + 1) * settings.tokens_per_chunk
    parts = [data_sets.draw(part, settings.limit, settings.seed)
             for _, part in frame.groupby("chunk")]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def with_tokens(frame: pd.DataFrame, file: str, model: Loaded) -> pd.DataFrame:
    """Return sequences with `token_ids`, made of their text where they lack them.

    Raises
    ------
    UserError
        None of the forms of a sequence.
    """
    if "token_ids" in frame:
        return frame
    if {"prompt", "continuation"} <= set(frame):
        pairs = zip(frame["prompt"], frame["continuation"], strict=True)
        whole = [first + second if isinstance(first, str) else [*first, *second]
                 for first, second in pairs]  # fmt: skip
    elif "text" in frame:
        whole = frame["text"].tolist()
    else:
        raise UserError(
            f"{file}: lacks the column 'token_ids', 'text', or 'prompt' and 'continuation'; it has "
            f"{listed(map(repr, frame.columns))}: add one (docs/analyses.md)"
        )
    tokens = [model.encode(one, cut_later=True) if isinstance(one, str) else one for one in whole]
    return frame.assign(token_ids=tokens)


def measure(model: Loaded, data: pd.DataFrame, settings: Settings) -> Measured:
    """Prompt with the beginning of every sequence and compare what follows.

    Parameters
    ----------
    model : Loaded
        Its `tokens` tell which sequences it has seen.
    data : data frame
        `token_ids`, `chunk` and, optionally, `seen_at`.
    settings : Settings

    Returns
    -------
    Measured
        Group: empty, `chunk <name>`, `source <name>`, `seen` or `unseen`. Units: the score of
        every sequence, with the text that the model wrote.

    Raises
    ------
    UserError
        No sequence has k + l tokens.
    """
    k, length = settings.prompt, settings.continuation
    long = data["token_ids"].map(len) >= k + length
    notes = []
    if not long.all():
        notes.append(f"left out {(~long).sum()} of {len(data)} sequences shorter than {k + length}")
    data = data[long].reset_index(drop=True)
    if data.empty:
        raise UserError(f"memorization: no sequence has {k + length} tokens; give longer ones")
    sequences = np.array([list(ids)[: k + length] for ids in data["token_ids"]])
    made = generate(model, sequences[:, :k].tolist(), length)
    filled = np.full((len(made), length), NOTHING)
    for place, tokens in enumerate(made):
        filled[place, : len(tokens)] = tokens
    matches = filled == sequences[:, k:]
    score = matches.mean(axis=1)
    groups = {f"chunk {name}": np.flatnonzero(data["chunk"] == name)
              for name in sorted(data["chunk"].unique())}  # fmt: skip
    if "source" in data:
        groups |= {f"source {name}": np.flatnonzero(data["source"] == name)
                   for name in sorted(data["source"].dropna().unique())}  # fmt: skip
    everything = np.arange(len(data))
    if "seen_at" in data and model.tokens is not None:
        seen = data["seen_at"].to_numpy(float) <= model.tokens
        everything = np.flatnonzero(seen)
        groups |= {"seen": everything, "unseen": np.flatnonzero(~seen)}
    rows = []
    if not len(everything):
        rows += [Estimate(np.nan, np.nan, np.nan, np.nan, 0).row(m) for m in METRICS]
        notes.append("the checkpoint has seen none of the sequences: no value over all")
    for name, at in {"": everything, **groups}.items():
        if len(at):
            rows += [e.row(metric, name) for metric, e in shares(matches[at]).items()]
    if "seen" in groups and len(groups["seen"]) and len(groups["unseen"]):
        first, second = shares(matches[seen]), shares(matches[~seen])
        rows += [difference(first[m], second[m]).row(f"{m}_excess") for m in first]
    units = pd.DataFrame({"unit": np.arange(len(data)).astype(str), "metric": "token_match",
                          "group": "chunk " + data["chunk"].astype(str),
                          "value": score,
                          "text": [model.decode(tokens) for tokens in made]})  # fmt: skip
    return Measured(rows, units, notes)


def shares(matches: np.ndarray) -> dict[str, Estimate]:
    """Return `full_match` and `token_match` of sequences, shape (P, l)."""
    whole = matches.all(axis=1)
    found = (proportion(whole.sum(), len(whole)), replace(share(matches), n=len(matches)))
    return dict(zip(METRICS, found, strict=True))
