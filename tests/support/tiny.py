"""Tiny language models and tasks, made on the spot."""

from __future__ import annotations

import json
import random
from pathlib import Path

TOPICS = ("river", "stone", "cloud", "ember", "meadow", "harbour", "lantern", "orchard")


def make_model(folder: Path, seed: int = 0, width: int = 32, context: int = 512) -> Path:
    """Save a GPT-2 of a few ten thousand parameters with a byte-level tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([" ".join(TOPICS)], vocab_size=300, show_progress=False,
                                  special_tokens=["<|endoftext|>"])  # fmt: skip
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        eos_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=context,
    )
    wrapped.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(wrapped), n_positions=context, n_embd=width, n_layer=2, n_head=2,
        bos_token_id=wrapped.bos_token_id, eos_token_id=wrapped.eos_token_id,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def make_tasks(folder: Path, n_items: int = 24) -> Path:
    """Write a multiple-choice task with drawn shots, and a generation task with two filters."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)

    def question(number: int) -> dict:
        words = rng.sample(TOPICS, 4)
        return {"question": f"Which word follows {number}?", "choices": words,
                "answer": rng.randrange(4)}  # fmt: skip

    rows = {name: [question(i) for i in range(n)] for name, n in (("test", n_items), ("train", 9))}
    sums = [{"question": f"{i} + {i + 1}", "answer": str(2 * i + 1)} for i in range(8)]
    for name, content in {**rows, "sums": sums}.items():
        lines = "".join(json.dumps(row) + "\n" for row in content)
        (folder / f"{name}.jsonl").write_text(lines)
    (folder / "words.yaml").write_text(
        f"""task: words
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/test.jsonl, train: {folder}/train.jsonl}}
output_type: multiple_choice
test_split: test
fewshot_split: train
num_fewshot: 2
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
    )
    (folder / "sums.yaml").write_text(
        f"""task: sums
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/sums.jsonl}}
output_type: generate_until
test_split: test
num_fewshot: 0
doc_to_text: "{{{{question}}}} ="
doc_to_target: answer
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: false}}
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "^(\\\\d+)"}}, {{function: take_first}}]
  - name: flexible
    filter: [{{function: regex, regex_pattern: "([a-z0-9])"}}, {{function: take_first}}]
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
    )
    (folder / "both.yaml").write_text(
        "group: both\ntask: [words, sums]\naggregate_metric_list: []\nmetadata: {version: 1.0}\n"
    )
    return folder


def teach(folder: Path, documents, share: float, seed: int, steps: int = 150) -> Path:
    """Train a tiny GPT-2 on the right answers to a share of multiple-choice documents.

    Parameters
    ----------
    folder : Path
    documents : data frame
        Table `documents`.
    share : float
        Share of the documents that the model sees.
    """
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_model(folder, seed, width=96, context=256)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rng = np.random.default_rng(seed)
    seen = documents.sample(frac=share, random_state=seed) if share else documents[:0]
    texts = [
        row.prompt[-300:] + " " + json.loads(row.choices)[json.loads(row.target)]
        for row in seen.itertuples()
    ]
    if texts:
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(steps):
            batch = [texts[i] for i in rng.integers(len(texts), size=16)]
            codes = [tokenizer(text)["input_ids"][-255:] for text in batch]
            longest = max(map(len, codes))
            pad = tokenizer.pad_token_id
            inputs = torch.tensor([c + [pad] * (longest - len(c)) for c in codes])
            labels = torch.tensor([c + [-100] * (longest - len(c)) for c in codes])
            loss = model(inputs, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder
