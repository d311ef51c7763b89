"""Train one tiny language model, with checkpoints at steps of one's choice.

A killed training goes on at its last checkpoint and ends with the same weights: which
lines a step sees depends on the seed and the step alone. Checkpoints that were made
otherwise (another setting, text, code or version) are not gone on from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.tiny_models.world import END, training_text, vocabulary

BATCH = 48
"""Lines a step."""
CONTEXT = 32
"""Words that a model sees at most; the longest line has some twenty."""
WARM_UP = 30
"""Steps in which the learning rate rises; it then falls linearly to a tenth."""
STATE = "state.pt"
PAD, UNKNOWN = "<pad>", "<unknown>"


@dataclass(frozen=True)
class TrainingRun:
    """What makes one training run.

    Attributes
    ----------
    name : str
    checkpoints : sequence of int
        Steps after which the model is saved; the last one ends the training.
    width, layers : int
        Size of the network.
    learning_rate : float
    lines : int
        Lines of the world's training text.
    share : float
        Share of these lines that the run sees, over and over.
    left_out : tuple of str
        Topics that the text lacks.
    seed : int
        Of weights and order; the world is the same for all.
    """

    name: str
    checkpoints: Sequence[int]
    width: int = 48
    layers: int = 2
    learning_rate: float = 0.015
    lines: int = 30_000
    share: float = 1.0
    left_out: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self):
        steps = list(self.checkpoints)
        if not steps or steps != sorted(set(steps)) or steps[0] < 1:
            raise UserError(
                f"run '{self.name}': checkpoints {steps} are not increasing steps from 1 on; "
                "change config key 'tiny_models.checkpoints'"
            )


def train(
    run: TrainingRun,
    folder: Path,
    world_seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """Train a run and save its checkpoints as transformers models.

    Parameters
    ----------
    run : TrainingRun
    folder : path
        Gets a folder `step-N` for each checkpoint; what is there already is kept.
    world_seed : int
    progress : callable
        Told the number of steps done.

    Returns
    -------
    data frame
        Table `subjects`: one row a checkpoint, with step, tokens (words seen so far),
        parameters and, as `group`, the run.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # one for every checkpoint
    torch.manual_seed(run.seed)
    torch.set_num_threads(1)  # the networks are too small for more
    text, codes = encoded_text(run.lines, world_seed, run.left_out)
    made_by = identity(run, text)
    codes = codes[: max(BATCH, round(run.share * len(codes)))]
    model = new_model(run)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=run.learning_rate, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    done, tokens = resume(folder, made_by, model, optimizer)
    progress(done)
    model.train()
    for step in range(done + 1, run.checkpoints[-1] + 1):
        for group in optimizer.param_groups:
            group["lr"] = run.learning_rate * rate_factor(step, run.checkpoints[-1])
        drawn = np.random.default_rng([run.seed, step]).integers(len(codes), size=BATCH)
        lines = codes[drawn]
        loss = model(**packed(lines), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += int((lines != 0).sum())
        if step in run.checkpoints:
            save(folder, made_by, step, tokens, model, optimizer)
        progress(1)
    return describe(run, folder, sum(p.numel() for p in model.parameters()))


@cache
def encoded_text(
    lines: int, world_seed: int, left_out: tuple[str, ...]
) -> tuple[list[str], np.ndarray]:
    """Return the training text and its word numbers, made once for all runs that share it."""
    text = training_text(lines, world_seed, left_out)
    return text, encode(text)


def prepare(runs: Sequence[TrainingRun], world_seed: int) -> None:
    """Import libraries and make texts that several trainings need, before they are forked."""
    import torch

    torch.set_num_threads(1)  # before a fork none may have started
    tokenizer()
    model = new_model(TrainingRun("none", (1,), width=16, layers=1))
    torch.optim.AdamW(model.parameters(), fused=True)  # imports much on first use
    for text, n_runs in Counter((run.lines, world_seed, run.left_out) for run in runs).items():
        if n_runs > 1:  # others are made side by side
            encoded_text(*text)


def identity(run: TrainingRun, text: list[str]) -> str:
    """Return a hash of what the weights depend on."""
    import torch
    import transformers

    versions = [torch.__version__, transformers.__version__]
    what = json.dumps([asdict(run), text, versions, Path(__file__).read_text(encoding="utf-8")])
    return hashlib.sha256(what.encode()).hexdigest()


def encode(lines: list[str]) -> np.ndarray:
    """Return lines as word numbers, filled up with 0; shape (n_lines, longest)."""
    number = {word: code for code, word in enumerate(words())}
    rows = [[number[word] for word in line.split()] for line in lines]
    codes = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for row, known in zip(codes, rows, strict=True):
        row[: len(known)] = known
    return codes


def packed(lines: np.ndarray) -> dict:
    """Lay lines one behind the other into rows of `CONTEXT` words, as a model takes them.

    A line sees itself alone, and counts its positions from 0: the loss is that of the lines
    in rows of their own, half of which would be filled up.

    Parameters
    ----------
    lines : array of int, shape (n_lines, longest)
        Word numbers, filled up with 0.

    Returns
    -------
    dict of tensors
        `input_ids`, `position_ids`, `labels` and `attention_mask` (of pairs of words).
    """
    import torch

    rows, starts = np.empty((2, len(lines)), dtype=np.int64)
    row = end = 0
    for number, length in enumerate((lines != 0).sum(axis=1)):
        if end + length > CONTEXT:
            row, end = row + 1, 0
        rows[number], starts[number] = row, end
        end += length
    line, position = np.nonzero(lines)
    ids, positions, of_line = np.full((3, row + 1, CONTEXT), [[[0]], [[0]], [[-1]]])
    at = rows[line], starts[line] + position
    ids[at], positions[at], of_line[at] = lines[line, position], position, line
    sees = (of_line[:, :, None] == of_line[:, None, :]) & np.tri(CONTEXT, dtype=bool)
    return {
        "input_ids": torch.from_numpy(ids),
        "position_ids": torch.from_numpy(positions),
        # The first word of a line is nobody's to tell; nor is what fills up.
        "labels": torch.from_numpy(np.where(positions > 0, ids, -100)),
        "attention_mask": torch.from_numpy(sees[:, None]),
    }


def words() -> list[str]:
    """Return the tokenizer's words by their number; 0 fills up."""
    return [PAD, UNKNOWN, *vocabulary()]


def tokenizer():
    """Return the tokenizer: words, apart by blanks."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: code for code, word in enumerate(words())}, UNKNOWN))
    made.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, pad_token=PAD, unk_token=UNKNOWN,
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def new_model(run: TrainingRun):
    """Return a Llama of the run's size with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    known = words()
    heads = max(2, run.width // 16)
    if run.width % (2 * heads):
        raise UserError(
            f"run '{run.name}': width {run.width} does not divide into {heads} heads of even "
            "size; choose a multiple of 16 for config key 'tiny_models.runs.<name>.width'"
        )
    config = LlamaConfig(
        vocab_size=len(known), hidden_size=run.width, intermediate_size=2 * run.width,
        num_hidden_layers=run.layers, num_attention_heads=heads, tie_word_embeddings=True,
        max_position_embeddings=CONTEXT, bos_token_id=None, eos_token_id=known.index(END),
        pad_token_id=known.index(PAD),
    )  # fmt: skip
    return LlamaForCausalLM(config)


def rate_factor(step: int, last: int) -> float:
    """Return the learning rate of a step as share of the highest one."""
    return min(1, step / WARM_UP) * (1 - 0.9 * step / last)


def save(folder: Path, made_by: str, step: int, tokens: int, model, optimizer) -> None:
    """Save a checkpoint, then what the training needs to go on from it."""
    import torch

    made = folder / ".checkpoint.tmp"
    shutil.rmtree(made, ignore_errors=True)
    model.save_pretrained(made)
    tokenizer().save_pretrained(made)
    final = checkpoint(folder, step)
    shutil.rmtree(final, ignore_errors=True)
    made.rename(final)
    seen = {**_state(folder).get("tokens", {}), step: tokens}
    state = {"made_by": made_by, "step": step, "tokens": seen, "optimizer": optimizer.state_dict()}
    temporary = folder / ".state.tmp"
    torch.save(state, temporary)
    os.replace(temporary, folder / STATE)


def resume(folder: Path, made_by: str, model, optimizer) -> tuple[int, int]:
    """Load the last checkpoint where there is one; return its step and the words seen."""
    from safetensors.torch import load_model

    state = _state(folder)
    if state.get("made_by") != made_by:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return 0, 0
    # Tied weights are saved once: the file lacks those of the output layer.
    load_model(model, checkpoint(folder, state["step"]) / "model.safetensors", strict=False)
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["tokens"][state["step"]]


def _state(folder: Path) -> dict:
    """Return what a training goes on from; empty where there is nothing."""
    import torch

    return torch.load(folder / STATE) if (folder / STATE).exists() else {}


def checkpoint(folder: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return folder / f"step-{step}"


def describe(run: TrainingRun, folder: Path, parameters: int) -> pd.DataFrame:
    """Return the table `subjects` of a finished run, named as the harness names folders."""
    tokens = _state(folder)["tokens"]
    names = [f"step-{step}" for step in run.checkpoints]
    return pd.DataFrame(
        {
            "subject": [f"{run.name}/{name}" for name in names],
            "organization": run.name,
            "model": names,
            "revision": pd.Series([None] * len(names), dtype="str"),
            "step": [float(step) for step in run.checkpoints],
            "tokens": [float(tokens[step]) for step in run.checkpoints],
            "parameters": float(parameters),
            "date": pd.Series([None] * len(names), dtype="str"),
            "group": run.name,
        }
    )
