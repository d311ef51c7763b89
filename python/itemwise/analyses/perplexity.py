r"""Perplexity of texts, the same for every batch size and padding.

A text of tokens x_1 .. x_T, after the model's start token, is scored in windows of L tokens
that advance by s: each token is scored exactly once, with at least L - s tokens before it
where the text has them (all where it is shorter). Padding takes no part in the loss.

- NLL = -sum_t ln p(x_t | window), N = number of scored tokens;
- `bits_per_byte` = NLL / (ln 2 * UTF-8 bytes), comparable across tokenisers (Gao et al.
  2020, arXiv 2101.00027, section 3.1);
- `token_perplexity` = exp(NLL / N); `word_perplexity` = exp(NLL / words), words separated
  by white space;
- sums over documents before the ratio (micro), over all and by domain; SE and interval by
  the bootstrap over documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses import data as data_sets
from itemwise.analyses.intervals import bootstrap
from itemwise.analyses.model import Loaded, Measured
from itemwise.errors import UserError

SHOWN = 1000
"""Characters of a document that stand beside its value."""


@dataclass(frozen=True)
class Settings:
    """Settings of perplexity.

    Attributes
    ----------
    data : str, optional
        Local file with `text` and, optionally, `domain`.
    length : int, optional
        Tokens of a window; default: the model's context, at most 2048.
    stride : int, optional
        Tokens that a window advances; default: half its length.
    limit : int, optional
        Documents, drawn by `seed`.
    padding : str
        `right`, or `left` for models that take position ids.
    """

    data: str | None = None
    length: int | None = None
    stride: int | None = None
    limit: int | None = None
    seed: int = 42
    padding: str = "right"


@dataclass(frozen=True)
class Window:
    """Tokens to look at, of which the last `scored` predictions count."""

    document: int
    inputs: list[int]
    targets: list[int]


def load(row, settings: Settings, model: Loaded, folder: Path) -> pd.DataFrame:
    """Return the documents; lines of the hub's Wikitext are joined to articles."""
    frame = data_sets.load(row.task, settings.data)
    if settings.data is None:
        frame = articles(frame)
    if "domain" not in frame and "meta" in frame:  # the form of the Pile
        frame = frame.assign(domain=[meta["pile_set_name"] for meta in frame["meta"]])
    return data_sets.draw(frame, settings.limit, settings.seed)


def articles(lines: pd.DataFrame) -> pd.DataFrame:
    """Join lines of Wikitext; ` = Title = ` begins an article."""
    heading = lines["text"].str.fullmatch(r" = [^=].* = \n?")
    texts = lines["text"].groupby(heading.cumsum()).agg("".join)
    return pd.DataFrame({"text": texts[texts.str.strip() != ""]}).reset_index(drop=True)


def windows(document: int, tokens: list[int], start: int, length: int, stride: int) -> list[Window]:
    """Cut a document into windows in which every token is predicted once.

    Parameters
    ----------
    document : int
        Number of the document.
    tokens : list of int
        x_1 .. x_T.
    start : int
        The token before them.
    length, stride : int
        Tokens of a window, and how far it advances.
    """
    text = [start, *tokens]
    made, done = [], 0  # tokens predicted so far
    while done < len(tokens):
        end = min(done + (stride if done else length), len(tokens))
        made.append(Window(document, text[max(end - length, 0) : end], tokens[done:end]))
        done = end
    return made


def measure(model: Loaded, data: pd.DataFrame, settings: Settings) -> Measured:
    """Score every document and return its perplexities.

    Parameters
    ----------
    model : Loaded
    data : data frame
        `text` and, optionally, `domain`.
    settings : Settings

    Returns
    -------
    Measured
        Group: empty over all documents, else the domain.

    Raises
    ------
    UserError
        A stride longer than the window, or texts without a token.
    """
    length = settings.length or min(model.context, 2048)
    stride = settings.stride or max(length // 2, 1)
    if not 1 <= stride <= length <= model.context:
        raise UserError(
            f"perplexity: window of {length}, stride of {stride}, context of {model.context}: "
            "must be 1 <= stride <= length <= context"
        )
    tokens = [model.encode(text, cut_later=True) for text in data["text"]]
    cut = [
        w for d, t in enumerate(tokens) for w in windows(d, t, model.start_token, length, stride)
    ]
    if not cut:
        raise UserError("perplexity: no text has a token; give other documents")
    cut.sort(key=lambda window: -len(window.inputs))
    losses = model.in_batches(cut, lambda part: nll(model, part, settings.padding))
    total = np.bincount([w.document for w in cut], losses, minlength=len(tokens))
    counts = {
        "bits_per_byte": np.array([len(text.encode()) for text in data["text"]]) * np.log(2),
        "token_perplexity": np.array([len(t) for t in tokens], float),
        "word_perplexity": np.array([len(text.split()) for text in data["text"]], float),
    }
    domain = np.full(len(data), "", object)
    if "domain" in data:
        domain = data["domain"].to_numpy(object)
    rows = []
    for name in ["", *sorted(set(domain) - {""})]:
        at = np.flatnonzero(domain == name) if name else np.arange(len(data))
        for metric, size in counts.items():
            found = bootstrap(
                lambda i, metric=metric, nll=total[at], size=size[at]: _ratio(
                    metric, nll[i], size[i]
                ),
                len(at),
                settings.seed,
            )
            rows.append(found.row(metric, name, settings.seed))
    units = pd.DataFrame({"unit": np.arange(len(data)).astype(str), "group": domain,
                          "metric": "nll", "value": total,
                          "text": data["text"].str.slice(0, SHOWN)})  # fmt: skip
    return Measured(rows, units)


def _ratio(metric: str, nll: np.ndarray, size: np.ndarray) -> float:
    """Return sum NLL / sum size, exponentiated for perplexities."""
    if size.sum() == 0:
        return np.nan
    rate = nll.sum() / size.sum()
    return float(rate if metric == "bits_per_byte" else np.exp(rate))


def nll(model: Loaded, batch: list[Window], padding: str = "right") -> list[float]:
    """Return the negative log-likelihood (nats) of each window's targets."""
    import torch

    width = max(len(window.inputs) for window in batch)
    ids = torch.full((len(batch), width), model.start_token)
    mask = torch.zeros_like(ids)
    for place, window in enumerate(batch):
        n = len(window.inputs)
        at = slice(0, n) if padding == "right" else slice(width - n, width)
        ids[place, at], mask[place, at] = torch.tensor(window.inputs), 1
    device = model.network.device
    known = {"attention_mask": mask.to(device)}
    if padding == "left":
        known["position_ids"] = (mask.cumsum(1) - 1).clip(min=0).to(device)
    with torch.inference_mode():
        logits = model.network(ids.to(device), **known).logits
        losses = []
        for place, window in enumerate(batch):
            end = len(window.inputs) if padding == "right" else width
            scored = logits[place, end - len(window.targets) : end].float()
            targets = torch.tensor(window.targets, device=scored.device)
            loss = torch.nn.functional.cross_entropy(scored, targets, reduction="none")
            losses.append(float(loss.double().sum()))
    return losses
