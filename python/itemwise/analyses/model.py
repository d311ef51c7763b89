"""A loaded checkpoint, as the analyses see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.harness.model import LanguageModel, ask
from itemwise.harness.progress import Progress


@dataclass
class Measured:
    """What an analysis found.

    Attributes
    ----------
    rows : list of dict
        Rows of the table `measures`, without checkpoint and analysis.
    units : data frame, optional
        What the rows were computed from, unit by unit: `unit`, `sample`, `group`, `metric`,
        `value`, and `text` where the model wrote something.
    notes : list of str
        What the user should know.
    """

    rows: list[dict]
    units: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Loaded:
    """A checkpoint whose weights are loaded.

    Attributes
    ----------
    lm : harness model
    description : LanguageModel
        Which model it is, and how it was loaded.
    step, tokens : float, optional
        Where in its training the checkpoint lies.
    """

    lm: object
    description: LanguageModel
    step: float | None = None
    tokens: float | None = None
    batch_size: int = field(init=False)

    def __post_init__(self):
        self.batch_size = self.description.batch_size

    @cached_property
    def network(self):
        """Return the transformers model.

        Raises
        ------
        UserError
            The backend does not give it away.
        """
        network = getattr(self.lm, "model", None)
        if not hasattr(network, "generate") or not hasattr(self.lm, "tokenizer"):
            raise UserError(
                f"backend '{self.description.backend}' gives no access to tokens and logits; "
                "use --backend hf, or leave this analysis out"
            )
        return network

    @property
    def tokenizer(self):
        """Return the tokenizer."""
        _ = self.network  # says so where there is none
        return self.lm.tokenizer

    @property
    def context(self) -> int:
        """Return how many tokens the model looks at."""
        return int(self.lm.max_length)

    @property
    def start_token(self) -> int:
        """Return the token before a text: the model's first one, else its last."""
        return int(self.lm.prefix_token_id)

    def encode(self, text: str, cut_later: bool = False) -> list[int]:
        """Return the tokens of a text, without special ones.

        The tokenizer warns of texts longer than the context, unless the caller cuts them.
        """
        made = self.tokenizer(text, add_special_tokens=False, verbose=not cut_later)
        return made["input_ids"]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return log p(continuation | context) of every pair, summed over tokens."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("loglikelihood", {}, pair, 0, metadata=(None, place, 1))
            for place, pair in enumerate(pairs)
        ]
        answers = ask(self.lm, requests, lambda size: self._say(size))
        return np.array([answer[0][0] for answer in answers], float)

    def in_batches(self, items: Sequence, work: Callable[[Sequence], list]) -> list:
        """Return the results of items, batch by batch; halve the batch where memory is short."""
        done: list = []
        with Progress(len(items), "prompt", self.description.subject, leave=False) as bar:
            while len(done) < len(items):
                part = items[len(done) : len(done) + self.batch_size]
                try:
                    done += work(part)
                except RuntimeError as error:
                    self._halve(error)
                    continue
                bar.update(len(part))
        return done

    def _halve(self, error: RuntimeError) -> None:
        """Halve the batch where memory was short; any other error is raised again."""
        if "out of memory" not in str(error).lower():
            raise error
        if self.batch_size <= 1:
            raise UserError(
                "memory does not suffice for a batch of one; choose a smaller --dtype, "
                "shorter texts or a larger device"
            ) from error
        self.batch_size //= 2
        self._say(self.batch_size)

    @staticmethod
    def _say(size: int) -> None:
        """Tell that memory was short."""
        print(f"notice: memory did not suffice; batches of {size} from here on", file=sys.stderr)


def load(description: LanguageModel, step=None, tokens=None) -> Loaded:
    """Load a checkpoint once, for all analyses of it.

    Raises
    ------
    UserError
        It does not load.
    """
    return Loaded(description.load(), description, step, tokens)
