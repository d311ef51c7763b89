"""Text from a loaded model: greedy or sampled, in batches that change nothing.

A sample depends on its own seed alone, not on what else is in the batch: Gumbel noise of a
generator for every prompt and repeat is added to the warped log-probabilities, and the
largest sum is taken, which is a draw from the warped distribution (Gumbel-max trick).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemwise.analyses.model import Loaded
from itemwise.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 42


GREEDY = Sampling()


def generate(
    model: Loaded,
    prompts: Sequence[Sequence[int]],
    length: int,
    sampling: Sampling = GREEDY,
    repeat: int = 0,
) -> list[list[int]]:
    """Return the tokens that the model goes on with.

    Parameters
    ----------
    model : Loaded
    prompts : sequence of token lists
        Longer ones than fit are cut at their beginning.
    length : int
        Most tokens to generate.
    sampling : Sampling
    repeat : int
        Number of the sample, part of its seed.

    Returns
    -------
    list of list of int
        Up to and including the end-of-text token, where one comes.

    Raises
    ------
    UserError
        The model's context does not hold so many tokens.
    """
    room = model.context - length
    if room < 1:
        raise UserError(
            f"{length} new tokens do not fit the model's context of {model.context}; ask for fewer"
        )
    cut = [list(prompt)[-room:] or [model.start_token] for prompt in prompts]
    order = sorted(range(len(cut)), key=lambda place: -len(cut[place]))
    made = model.in_batches(
        order, lambda places: _batch(model, [cut[p] for p in places], length, sampling,
                                     [(p, repeat) for p in places])
    )  # fmt: skip
    results: list[list[int]] = [[] for _ in cut]
    for place, tokens in zip(order, made, strict=True):
        results[place] = tokens
    return results


def complete(
    model: Loaded,
    prompts: Sequence[str],
    length: int,
    sampling: Sampling = GREEDY,
    repeats: int = 1,
    as_is: bool = False,
) -> list[list[str]]:
    """Return `repeats` completions of every prompt, as texts without the prompt.

    Spaces at the end of a prompt are taken off, unless a chat template put them there
    (`as_is`): tokenizers join a space to the word that follows, so that after a space of its
    own a model goes on with what never had one, such as digits.
    """
    tokens = [model.encode(prompt if as_is else prompt.rstrip(" ")) for prompt in prompts]
    texts: list[list[str]] = [[] for _ in prompts]
    for repeat in range(repeats):
        for place, made in enumerate(generate(model, tokens, length, sampling, repeat)):
            texts[place].append(model.decode(made))
    return texts


def _batch(model: Loaded, prompts: list[list[int]], length: int, sampling: Sampling,
           keys: list[tuple[int, int]]) -> list[list[int]]:  # fmt: skip
    """Generate one batch, padded on the left."""
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    ends = _end_tokens(model)
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), ends[0])
    mask = torch.zeros_like(ids)
    for place, prompt in enumerate(prompts):
        ids[place, width - len(prompt) :] = torch.tensor(prompt)
        mask[place, width - len(prompt) :] = 1
    device = model.network.device
    processors = LogitsProcessorList(_warpers(sampling, keys) if sampling.temperature > 0 else [])
    with torch.inference_mode():
        out = model.network.generate(
            ids.to(device),
            attention_mask=mask.to(device),
            logits_processor=processors,
            generation_config=GenerationConfig(
                max_new_tokens=length, do_sample=False, num_beams=1, repetition_penalty=1.0,
                eos_token_id=ends, pad_token_id=ends[0],
            ),
        )  # fmt: skip
    return [_until_end(row, ends) for row in out[:, width:].tolist()]


def _end_tokens(model: Loaded) -> list[int]:
    """Return the tokens that end a text."""
    stated = getattr(model.network.generation_config, "eos_token_id", None)
    ends = stated if isinstance(stated, list) else [stated]
    return [int(end) for end in ends if end is not None] or [int(model.lm.eot_token_id)]


def _until_end(tokens: list[int], ends: list[int]) -> list[int]:
    """Cut after the first end of text."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


def _warpers(sampling: Sampling, keys: list[tuple[int, int]]) -> list:
    """Return temperature, nucleus and noise, in this order."""
    import torch
    from transformers import LogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

    generators = [
        torch.Generator().manual_seed(
            int(np.random.SeedSequence([sampling.seed, *key]).generate_state(1)[0])
        )
        for key in keys
    ]

    class Gumbel(LogitsProcessor):
        """Noise of each row's own generator."""

        def __call__(self, input_ids, scores):
            noise = torch.stack([
                -torch.empty(scores.shape[-1]).exponential_(generator=g).log() for g in generators
            ])  # fmt: skip
            return scores.float() + noise.to(scores.device)

    nucleus = [TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
    return [TemperatureLogitsWarper(float(sampling.temperature)), *nucleus, Gumbel()]
