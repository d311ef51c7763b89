"""A transformers model of the harness that computes what prompts have in common once.

The choices of an item share its prompt, and the items of a task share their worked examples.
Requests are sorted, so that neighbours have most in common, and asked in passes. What all
requests of a pass begin with lies in the key-value cache; what follows is a trie of their
tokens, every distinct prefix once, laid out in one row. A mask lets each token see the cache
and its ancestors in the trie alone, so that its values are those of its own request.

The cache holds one prompt, a pass `TOKENS_OF_A_REQUEST` new tokens for each request of a batch:
no more memory than the harness's own batches of usual prompts take.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lm_eval.models.huggingface import HFLM
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

LOG = logging.getLogger(__name__)

TOKENS_OF_A_REQUEST = 128
"""New tokens of a pass for each request of a batch; its mask grows with their square."""
WORTH_A_PASS = 16
"""Tokens from which on a common beginning is computed apart, to be kept."""
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Largest difference of log-probabilities from the plain model's, by dtype."""
TOLERANCE_OF_HALVES = 0.3
"""The same of 16 bits and less; a model that ignores the mask is off by units."""
MASKS = {"sdpa": torch.bool, "eager": None}
"""Attention that takes a mask of ours; eager adds it, in the model's own dtype."""


@dataclass(frozen=True)
class Request:
    """Tokens that the model looks at, the last predictions of which count.

    Attributes
    ----------
    place : int
        Number of the request.
    tokens : tuple of int
        Without the last one, which nothing is predicted from.
    targets : tuple of int
        What is predicted after the last `len(targets)` of the tokens.
    """

    place: int
    tokens: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def start(self) -> int:
        """Return the place of the first token whose prediction counts."""
        return len(self.tokens) - len(self.targets)


@dataclass(frozen=True)
class Trie:
    """Distinct prefixes of a pass, in the order of a depth-first walk.

    Attributes
    ----------
    tokens, depth : array, shape (n,)
        Token of each node, and its position in its request.
    end : array, shape (n,)
        First node after the subtree of each node.
    paths : list of array
        For every request, its nodes from the root down.
    """

    tokens: np.ndarray
    depth: np.ndarray
    end: np.ndarray
    paths: list[np.ndarray]

    def visible(self) -> np.ndarray:
        """Return whether the row's token sees the column's: itself and its ancestors."""
        nodes = np.arange(len(self.tokens))
        return (nodes <= nodes[:, None]) & (nodes[:, None] < self.end)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with in common.

    Examples
    --------
    >>> common((1, 2, 3), (1, 2, 4, 5))
    2
    """
    n = min(len(first), len(second))
    if first[:n] == second[:n]:
        return n
    return next(i for i in range(n) if first[i] != second[i])


def passes(requests: Sequence[Request], room: int) -> Iterator[tuple[list[Request], int]]:
    """Divide sorted requests into passes of at most `room` new tokens, but one request at least.

    Yields
    ------
    list of Request
    int
        How many tokens they all begin with, before the first prediction that counts.
    """
    part: list[Request] = []
    shared, nodes = 0, 0
    for request in requests:
        if part:
            same = common(part[-1].tokens, request.tokens)
            less, more = min(shared, same, request.start), nodes + len(request.tokens) - same
            if more - less <= room:
                part.append(request)
                shared, nodes = less, more
                continue
            yield part, shared
        part, shared, nodes = [request], request.start, len(request.tokens)
    if part:
        yield part, shared


def trie(requests: Sequence[Request], base: int) -> Trie:
    """Return the trie of sorted requests, from position `base` on."""
    tokens: list[int] = []
    depth: list[int] = []
    parents: list[int] = []
    paths: list[np.ndarray] = []
    path: list[int] = []
    last: tuple[int, ...] = ()
    for request in requests:
        path = path[: max(common(last, request.tokens) - base, 0)]
        for position in range(base + len(path), len(request.tokens)):
            parents.append(path[-1] if path else -1)
            path.append(len(tokens))
            tokens.append(request.tokens[position])
            depth.append(position)
        paths.append(np.array(path, int))
        last = request.tokens
    end = np.arange(1, len(tokens) + 1)
    for node in range(len(tokens) - 1, -1, -1):
        if parents[node] >= 0:
            end[parents[node]] = max(end[parents[node]], end[node])
    return Trie(np.array(tokens), np.array(depth), end, paths)


class SharedPrefixes(HFLM):
    """The harness's transformers model; what requests have in common is computed once.

    Where a model's cache cannot be shared so, the harness's own way is taken, and said.
    """

    _shares: bool | None = None
    _kept: tuple[int, ...] = ()
    _cache = None

    def _loglikelihood_tokens(self, requests, disable_tqdm=False, override_bs=None):
        """Return log-likelihood and greediness of each request, as the harness does."""
        fit = all(0 < len(end) <= self.max_length for _, _, end in requests)
        if not requests or not fit or not self._can_share():
            return super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)
        asked = self._sorted(requests)
        answers: list = [None] * len(requests)
        room = TOKENS_OF_A_REQUEST * int(self.batch_size_per_gpu)
        for part, shared in passes(asked, room):
            for request, answer in zip(part, self._answer(part, shared), strict=True):
                answers[request.place] = answer
        for (text, *_), answer in zip(requests, answers, strict=True):
            if text is not None:
                self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def _model_generate(self, context, max_length, stop, **settings):
        """Go on with prompts; what they all begin with is taken from the cache."""
        mask = settings.get("attention_mask")
        if mask is None or self._searches(settings) or not self._can_share():
            return super()._model_generate(context, max_length, stop, **settings)
        prompts = [tuple(row[seen.bool()].tolist())
                   for row, seen in zip(context, mask, strict=True)]  # fmt: skip
        shared = min(common(prompts[0], p) for p in prompts)
        shared = self._root(prompts[0], min([shared, *(len(p) - 1 for p in prompts)]))
        if not shared:
            return super()._model_generate(context, max_length, stop, **settings)
        # The padding moves behind what is shared, for the cache's columns are the first ones.
        moved, seen = context.clone(), mask.clone()
        for row, prompt in enumerate(prompts):
            rest = context.shape[1] - len(prompt) + shared
            moved[row, :shared] = context.new_tensor(prompt[:shared])
            moved[row, shared:rest] = self.tokenizer.pad_token_id
            seen[row, :shared], seen[row, shared:rest] = 1, 0
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(prompts))
        settings |= {"attention_mask": seen, "past_key_values": cache}
        return super()._model_generate(moved, max_length, stop, **settings)

    def _sorted(self, requests) -> list[Request]:
        """Return what is looked at for each request, neighbours alike; cut on the left."""
        long = sum(len(start) + len(end) > self.max_length + 1 for _, start, end in requests)
        if long:
            LOG.warning("%d of %d requests are longer than the model's %d tokens; their "
                        "beginnings are cut off", long, len(requests), self.max_length)  # fmt: skip
        asked = [
            Request(place, (*start, *end)[-(self.max_length + 1) : -1], tuple(end))
            for place, (_, start, end) in enumerate(requests)
        ]
        return sorted(asked, key=lambda request: request.tokens)

    def _answer(self, part: Sequence[Request], shared: int) -> list[tuple[float, bool]]:
        """Return the answers of one pass."""
        base = self._root(part[0].tokens, shared)
        made = trie(part, base)
        paths = [path[-len(request.targets) :]
                 for path, request in zip(made.paths, part, strict=True)]  # fmt: skip
        kept = np.unique(np.concatenate(paths))
        logits = self._forward(made.tokens, made.depth, kept, self._mask(made, base))
        self._crop(base)
        scores = torch.log_softmax(logits, dim=-1, dtype=self.softmax_dtype)
        best = scores.argmax(dim=-1)
        answers = []
        for path, request in zip(paths, part, strict=True):
            at = torch.as_tensor(np.searchsorted(kept, path), device=scores.device)
            targets = torch.tensor(request.targets, device=scores.device)
            answers.append((float(scores[at, targets].sum()), bool((best[at] == targets).all())))
        return answers

    def _root(self, tokens: tuple[int, ...], shared: int) -> int:
        """Bring the first `shared` tokens into the cache where that is worth it; say how many."""
        there = min(common(self._kept, tokens), shared)
        self._crop(there)
        if shared - there < WORTH_A_PASS:
            return there
        positions = np.arange(there, shared)
        self._forward(np.array(tokens[there:shared]), positions, positions[-1:] - there, None)
        self._kept = tokens[:shared]
        return shared

    def _crop(self, length: int) -> None:
        """Keep the first tokens of the cache."""
        if length == 0:
            self._cache = None
        elif self._cache is not None:
            self._cache.crop(length - self._cache.get_seq_length())
        self._kept = self._kept[:length]

    def _forward(self, tokens, positions, kept, mask) -> torch.Tensor:
        """Compute one row behind the cache; return the logits at the places `kept`."""
        known = {} if mask is None else {"attention_mask": mask}
        at = torch.as_tensor(kept, device=self.device)
        narrow = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        cache, self._cache, kept_tokens, self._kept = self._cache, None, self._kept, ()
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, self.mixed_precision_dtype,
                           enabled=self.mixed_precision_dtype is not None),
        ):  # fmt: skip
            made = self.model(
                torch.as_tensor(tokens, device=self.device)[None],
                position_ids=torch.as_tensor(positions, device=self.device)[None],
                past_key_values=cache, use_cache=True,
                **known, **({"logits_to_keep": at} if narrow else {}),
            )  # fmt: skip
        # Only now: a pass that fails midway leaves a cache of layers of several lengths.
        self._cache, self._kept = made.past_key_values, kept_tokens
        return made.logits[0] if narrow else made.logits[0, at]

    def _mask(self, made: Trie, base: int) -> torch.Tensor | None:
        """Return who sees whom, shape (1, 1, n, base + n); None where all see all before them."""
        if (made.end == len(made.end)).all():  # a chain
            return None
        visible = np.ones((len(made.tokens), base + len(made.tokens)), bool)
        visible[:, base:] = made.visible()
        mask = torch.as_tensor(visible, device=self.device)[None, None]
        if MASKS[self.model.config._attn_implementation] is torch.bool:
            return mask
        low = torch.finfo(self.model.dtype).min
        return torch.zeros(mask.shape, dtype=self.model.dtype, device=self.device).masked_fill(
            ~mask, low
        )

    def _searches(self, settings: dict) -> bool:
        """Return whether several texts are followed for one prompt, which the cache is not for."""
        default = self.model.generation_config
        return any((settings.get(name) or getattr(default, name, None) or 1) > 1
                   for name in ("num_beams", "num_return_sequences"))  # fmt: skip

    def _can_share(self) -> bool:
        """Return whether this model's prefixes can be shared; find out and say so once."""
        if self._shares is None:
            reason = self._obstacle()
            self._shares = reason is None
            self._cache, self._kept = None, ()
            if reason:
                LOG.warning("prefixes are not shared between requests: %s", reason)
        return self._shares

    def _obstacle(self) -> str | None:
        """Return why prefixes cannot be shared: what the model is, or what it computes."""
        if self.backend != "causal":
            return "the model is no causal one"
        takes = inspect.signature(self.model.forward).parameters
        lacking = {"position_ids", "past_key_values"} - set(takes)
        if lacking and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            return f"the model takes no {sorted(lacking)[0]}"
        attention = getattr(self.model.config, "_attn_implementation", None)
        if attention not in MASKS:
            return f"its attention ('{attention}') takes no mask of ours; sdpa does"
        length = min(3 * WORTH_A_PASS, self.max_length)
        if length < WORTH_A_PASS:
            return f"the model sees {length} tokens alone"
        probe = np.random.default_rng(0).integers(0, self.vocab_size, length).tolist()
        try:
            return self._differs(probe)
        except Exception as error:  # whatever a model raises, it goes on in the harness's way
            return f"its cache cannot be used ({type(error).__name__}: {str(error)[:200]})"

    def _differs(self, probe: list[int]) -> str | None:
        """Compare three branching requests with the harness's way."""
        ends = ([*probe[-8:-4]], [*probe[-8:-6], *probe[-4:-2]], [*probe[-2:]])
        requests = [(None, probe[:-8], end) for end in ends]
        plain = super()._loglikelihood_tokens(requests, disable_tqdm=True)
        asked = self._sorted(requests)
        self._root(asked[0].tokens, len(probe) - 8)
        if not isinstance(self._cache, DynamicCache) or {type(x) for x in self._cache.layers} != {
            DynamicLayer
        }:
            return "its layers do not keep all keys and values (a sliding window or a state)"
        ours = self._answer(asked, len(probe) - 9)
        worst = max(abs(ours[i][0] - plain[r.place][0]) for i, r in enumerate(asked))
        allowed = TOLERANCE.get(self.model.dtype, TOLERANCE_OF_HALVES)
        return f"log-likelihoods would differ by {worst:.2g}" if worst > allowed else None
