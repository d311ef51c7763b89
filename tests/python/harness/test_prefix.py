"""Shared prefixes: the same numbers as the bare harness, or its own way."""

from __future__ import annotations

import itertools
import logging
import random

import numpy as np
import pytest

WORDS = ("river", "stone", "cloud", "ember", "meadow", "harbour", "lantern", "orchard")


def questions(seed: int, items: int = 12) -> list[tuple[str, str]]:
    """Return choices of items: with examples in common, with none, of one token and of many."""
    rng = random.Random(seed)
    shots = "".join(f"Q: {' '.join(rng.choices(WORDS, k=4))} A: {rng.choice(WORDS)}\n"
                    for _ in range(6))  # fmt: skip
    asked = [("", "river stone"), ("river " * 600, "river stone")]  # no context; one too long
    for item in range(items):
        prompt = (shots if item % 3 else "") + f"Q: {' '.join(rng.choices(WORDS, k=5))} A:"
        asked += [(prompt, f" {' '.join(rng.sample(WORDS, rng.randint(1, 3)))}") for _ in range(3)]
        asked += [(prompt, " a"), (prompt, " b"), (prompt, " a")]
    return asked


def ask(lm, kind: str, arguments: list) -> list:
    from lm_eval.api.instance import Instance

    requests = [Instance(kind, {}, args, 0, metadata=(None, place, 1))
                for place, args in enumerate(arguments)]  # fmt: skip
    return getattr(lm, kind)(requests, disable_tqdm=True)


def load(folder, **known):
    from itemwise.harness.model import LanguageModel

    return LanguageModel(str(folder), device="cpu", dtype="float32", **known).load()


@pytest.fixture(scope="module")
def bare(tiny_model):
    return load(tiny_model, recompute_prefixes=True)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_log_likelihoods_are_the_bare_harnesss(attention, batch_size, tiny_model, bare):
    """Within 1e-3 in float32, greediness the same; passes of 128 and of 1,024 tokens."""
    lm = load(tiny_model, batch_size=batch_size, arguments={"attn_implementation": attention})
    asked = questions(batch_size)
    theirs, ours = ask(bare, "loglikelihood", asked), ask(lm, "loglikelihood", asked)
    assert lm._shares
    assert type(bare).__name__ == "HFLM"
    assert max(abs(a[0] - b[0]) for a, b in zip(theirs, ours, strict=True)) < 1e-3
    assert [a[1] for a in theirs] == [b[1] for b in ours]
    again = ask(lm, "loglikelihood", asked[::-1])[
        ::-1
    ]  # what the cache held before changes nothing
    assert np.allclose([a[0] for a in again], [b[0] for b in ours], atol=1e-4)


def test_a_model_that_sees_few_tokens_shares_too(tiny_model):
    short = {"arguments": {"max_length": 32}}
    lm, plain = load(tiny_model, **short), load(tiny_model, recompute_prefixes=True, **short)
    theirs, ours = (ask(model, "loglikelihood", questions(1)) for model in (plain, lm))
    assert lm._shares
    assert max(abs(a[0] - b[0]) for a, b in zip(theirs, ours, strict=True)) < 1e-3


def test_generated_texts_are_the_bare_harnesss(tiny_model, bare):
    lm = load(tiny_model)
    until = {"until": ["\n"], "max_gen_toks": 12, "do_sample": False}
    prompts = [prompt or "Q" for prompt, _ in questions(3)[::6]]
    asked = [(prompt, until) for prompt in prompts]
    assert ask(lm, "generate_until", asked) == ask(bare, "generate_until", asked)
    beams = [(prompt, {**until, "num_beams": 2}) for prompt in prompts[2:5]]
    assert ask(lm, "generate_until", beams) == ask(bare, "generate_until", beams)


def test_what_is_shared_is_computed_once(tiny_model):
    """The tokens that go through the network: each distinct prefix once, no padding."""
    lm = load(tiny_model)
    assert lm._can_share()
    seen = []
    lm.model.register_forward_pre_hook(
        lambda _, given, named: seen.append(given[0].numel()), with_kwargs=True
    )
    asked = [pair for pair in questions(5) if pair[0].startswith("Q")]
    ask(lm, "loglikelihood", asked)
    whole = {tuple(lm.tok_encode(c + e)[:-1]) for c, e in asked}
    distinct = {tokens[:n] for tokens in whole for n in range(1, len(tokens) + 1)}
    assert len(distinct) <= sum(seen) <= 1.1 * len(distinct)
    assert sum(seen) < sum(map(len, whole)) / 4


def test_a_sliding_window_takes_the_harnesss_way_and_says_so(tiny_model, tmp_path, caplog):
    """A cache that forgets: its windows are shorter than the prompts."""
    import torch
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, sliding_window=16,
        max_position_embeddings=512,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    lm, plain = load(tmp_path / "m"), load(tmp_path / "m", recompute_prefixes=True)
    with caplog.at_level(logging.WARNING):
        ours = ask(lm, "loglikelihood", questions(1))
    assert ours == ask(plain, "loglikelihood", questions(1))
    assert "prefixes are not shared between requests" in caplog.text
    assert "sliding window" in caplog.text


def test_memory_that_is_short_leaves_no_half_filled_cache(tiny_model, bare, monkeypatch):
    """The pass that fails is asked again, in smaller ones."""
    from itemwise.harness import model as models

    lm = load(tiny_model)
    assert lm._can_share()
    count = itertools.count()
    block = lm.model.transformer.h[1]
    forward = block.forward

    def short(*given, **named):
        if next(count) == 1:
            raise RuntimeError("out of memory")
        return forward(*given, **named)

    monkeypatch.setattr(block, "forward", short)
    from lm_eval.api.instance import Instance

    asked = questions(2)
    requests = [Instance("loglikelihood", {}, args, 0, metadata=(None, place, 1))
                for place, args in enumerate(asked)]  # fmt: skip
    said = []
    ours = [answers[0][0] for answers in models.ask(lm, requests, said.append)]
    assert said == [4]
    assert np.allclose(ours, [a[0] for a in ask(bare, "loglikelihood", asked)], atol=1e-3)


def test_tries_and_passes_of_random_requests():
    """Every request keeps its tokens, sees its own prefix alone, and fits the room."""
    from itemwise.harness.prefix import Request, passes, trie

    rng = random.Random(0)
    for _ in range(200):
        requests = sorted(
            (Request(place, tokens, tokens[: rng.randint(1, len(tokens))])
             for place in range(rng.randint(1, 12))
             for tokens in [tuple(rng.choices((1, 2), k=rng.randint(1, 9)))]),
            key=lambda request: request.tokens,
        )  # fmt: skip
        parts = list(passes(requests, room := rng.randint(1, 15)))
        assert [r for part, _ in parts for r in part] == requests
        for part, shared in parts:
            made = trie(part, shared)
            assert len(made.tokens) <= room or len(part) == 1
            visible = made.visible()
            for request, path in zip(part, made.paths, strict=True):
                assert shared <= request.start
                assert request.tokens[:shared] == part[0].tokens[:shared]
                assert tuple(made.tokens[path]) == request.tokens[shared:]
                assert list(np.flatnonzero(visible[path[-1]])) == list(path)
                assert list(made.depth[path]) == list(range(shared, len(request.tokens)))


def test_vllm_is_told_to_cache_prefixes():
    from itemwise.harness.model import _with_shared_prefixes

    given = {"max_model_len": 9}
    assert _with_shared_prefixes(object, "vllm", given)[1]["enable_prefix_caching"] is True
    chosen = {"enable_prefix_caching": False}
    assert _with_shared_prefixes(object, "vllm", chosen)[1] == chosen
