"""Data sets of the analyses: from the hub, or from a local file of the same form."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import Unreachable, UserError, listed, no_connection


@dataclass(frozen=True)
class DataSet:
    """Where a data set is, and which columns are used of it.

    Attributes
    ----------
    path : str
        Hub id, or `json` for files at an address.
    name : str, optional
        Configuration.
    split : str, optional
        Default: all splits, their names in the column `split`.
    columns : tuple of str
        Columns that a row must have; `a|b` where files call `a` also `b`.
    files : str, optional
        Address of the files.
    """

    path: str
    columns: tuple[str, ...]
    name: str | None = None
    split: str | None = "train"
    files: str | None = None


BUFFER = 10_000
"""Rows among which a stream is shuffled."""
FASTCHAT = "https://raw.githubusercontent.com/lm-sys/FastChat/main/fastchat/llm_judge/data"
DATA_SETS = {
    "crows_pairs": DataSet("jannalu/crows_pairs_multilingual",
                           ("sent_more", "sent_less", "bias_type"), "english", "test"),
    "texts": DataSet("Salesforce/wikitext", ("text",), "wikitext-2-raw-v1", "test"),
    "training_chunks": DataSet("LLM360/AmberDatasets", ("token_ids",)),
    "toxigen": DataSet("toxigen/toxigen-data", ("prompt|text",), "prompts", None),
    "real_toxicity_prompts": DataSet("allenai/real-toxicity-prompts", ("prompt|text",)),
    "bold": DataSet("AlexaAI/bold", ("category|group", "prompts|prompt")),
    "sbf": DataSet("allenai/social_bias_frames", ("post", "offensiveYN"), None, "test"),
    "dynahate": DataSet("aps/dynahate", ("text", "label")),
    "toxigen_annotated": DataSet("toxigen/toxigen-data", ("text", "toxicity_human"), "annotated"),
    "vicuna_instructions_80": DataSet("json", ("question_id", "category", "turns"),
                                      files=f"{FASTCHAT}/vicuna_bench/question.jsonl"),
    "mt_bench": DataSet("HuggingFaceH4/mt_bench_prompts", ("prompt_id", "category", "prompt")),
}  # fmt: skip
"""Data sets by the suite's task."""


def load(task: str, file: str | None = None) -> pd.DataFrame:
    """Return the rows of a data set.

    Parameters
    ----------
    task : str
        Key of `DATA_SETS`.
    file : path, optional
        Local file of the same form, `.jsonl`, `.csv` or `.parquet`; default: the hub's.

    Raises
    ------
    UserError
        The data set cannot be reached, or lacks rows or columns.
    """
    known = DATA_SETS[task]
    frame = read_file(file, task) if file else _from_hub(task, known)
    source = file or known.files or known.path
    lacking = []
    for names in (column.split("|") for column in known.columns):
        there = [name for name in names if name in frame]
        if there:
            frame = frame.rename(columns={there[0]: names[0]})
        else:
            lacking.append(" or ".join(map(repr, names)))
    if lacking:
        needed = [" or ".join(map(repr, column.split("|"))) for column in known.columns]
        raise UserError(
            f"{source}: lacks the column {listed(lacking)}; it has "
            f"{listed(map(repr, frame.columns))}, and a row of the data set '{task}' needs "
            f"{listed(needed)} (docs/analyses.md)"
        )
    if frame.empty:
        raise UserError(f"{source}: data set '{task}' has no rows; give a file that has some")
    return frame.reset_index(drop=True)


def read_file(file: str | Path, task: str) -> pd.DataFrame:
    """Read a local data set by the ending of its name."""
    file = Path(file)
    readers = {
        ".jsonl": lambda: _read_lines(file),
        ".csv": lambda: pd.read_csv(file),
        ".parquet": lambda: pd.read_parquet(file),
    }
    if file.suffix not in readers:
        raise UserError(f"{file}: data set '{task}': give a .jsonl, .csv or .parquet file")
    try:
        return readers[file.suffix]()
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; check the setting 'data' of '{task}'") from error
    except (ValueError, OSError) as error:
        raise UserError(
            f"{file}: data set '{task}' cannot be read ({str(error).splitlines()[0]}); write it "
            "again as one JSON object a line, CSV or parquet"
        ) from error


def _read_lines(file: Path) -> pd.DataFrame:
    """Read one JSON object a line, values as they are."""
    with file.open(encoding="utf-8") as lines:
        return pd.DataFrame([json.loads(line) for line in lines if line.strip()])


def stream(task: str, data_files: str, limit: int, seed: int) -> pd.DataFrame:
    """Return rows of one file of a hub's data set that is too large to be loaded whole.

    `limit` rows in an order shuffled by seed among `BUFFER` rows.
    """
    known = DATA_SETS[task]
    with _reachable(task, known):
        import datasets

        rows = datasets.load_dataset(
            known.path, known.name, split=known.split, data_files=data_files, streaming=True
        )
        return pd.DataFrame(list(rows.shuffle(seed=seed, buffer_size=BUFFER).take(limit)))


def _from_hub(task: str, known: DataSet) -> pd.DataFrame:
    """Load a data set of the hub."""
    with _reachable(task, known):
        import datasets

        loaded = datasets.load_dataset(
            known.path, known.name, split=known.split, data_files=known.files
        )
        if known.split is None:
            parts = [part.to_pandas().assign(split=name) for name, part in loaded.items()]
            return pd.concat(parts, ignore_index=True)
        return loaded.to_pandas()


@contextmanager
def _reachable(task: str, known: DataSet):
    """Say how to do without a data set that cannot be loaded."""
    try:
        yield
    except Exception as error:  # offline, gated, moved: whatever the libraries raise
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        kind = Unreachable if no_connection(error) else UserError
        raise kind(
            f"data set '{known.files or known.path}' of '{task}' cannot be loaded "
            f"({type(error).__name__}: {text}); check the network and the access rights, or give "
            f"a local .jsonl, .csv or .parquet file with the columns "
            f"{', '.join(column.partition('|')[0] for column in known.columns)} "
            "by the setting 'data' (--set NAME.data=FILE, or config key 'profile.settings')"
        ) from error


def draw(frame: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """Return exactly `limit` rows drawn by seed, in their order; all where there are fewer."""
    if limit is None or limit >= len(frame):
        return frame.reset_index(drop=True)
    at = np.sort(np.random.default_rng(seed).choice(len(frame), size=limit, replace=False))
    return frame.iloc[at].reset_index(drop=True)
