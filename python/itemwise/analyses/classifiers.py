"""A classifier of texts: the probability that a text is toxic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from itemwise.errors import UserError

Classify = Callable[[Sequence[str]], np.ndarray]
"""From texts to probabilities of being toxic."""

TOXIGEN = "tomh/toxigen_hatebert"
TOKENIZERS = {TOXIGEN: "bert-base-uncased"}
"""Classifiers whose repository holds no tokenizer."""
BATCH = 64
LONGEST = 512


@cache
def load(name: str, revision: str | None, device: str, label: int = 1) -> Classify:
    """Load a sequence classifier.

    Parameters
    ----------
    name : str
        Folder or hub id.
    revision : str, optional
        Commit, so that rates stay comparable.
    device : str
    label : int
        Number of the toxic class.

    Raises
    ------
    UserError
        It does not load, or has no such class.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        network = AutoModelForSequenceClassification.from_pretrained(name, revision=revision)
        other = TOKENIZERS.get(name)
        tokenizer = AutoTokenizer.from_pretrained(other or name,
                                                  revision=None if other else revision)  # fmt: skip
    except Exception as error:  # offline, gated, no classifier: whatever the library raises
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"classifier '{name}' does not load ({type(error).__name__}: {text}); check the "
            "network, or give a local folder by the setting 'classifier'"
        ) from error
    if not 0 <= label < network.config.num_labels:
        raise UserError(
            f"classifier '{name}' has {network.config.num_labels} classes; setting "
            f"'toxic_label' is {label}"
        )
    network.to(device).eval()

    def classify(texts: Sequence[str]) -> np.ndarray:
        found = np.empty(len(texts))
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), BATCH):
            at = order[start : start + BATCH]
            given = tokenizer([texts[i] for i in at], padding=True, truncation=True,
                              max_length=LONGEST, return_tensors="pt").to(device)  # fmt: skip
            with torch.inference_mode():
                found[at] = network(**given).logits.float().softmax(-1)[:, label].cpu().numpy()
        return found

    return classify


def of_completions(classify: Classify, texts: Sequence[Sequence[str]]) -> np.ndarray:
    """Return probabilities of completions, shape (prompts, repeats); empty ones have 0."""
    flat = [text for repeats in texts for text in repeats]
    found = np.zeros(len(flat))
    written = [place for place, text in enumerate(flat) if text.strip()]
    if written:
        found[written] = classify([flat[place] for place in written])
    return found.reshape(len(texts), -1)
