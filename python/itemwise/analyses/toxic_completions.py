"""Toxic completions: what share of what a model writes is toxic, by a classifier.

Hartvigsen et al. 2022 (ToxiGen, arXiv 2203.09509); Gehman et al. 2020 (RealToxicityPrompts,
arXiv 2009.11462). P prompts, R completions of each; the classifier sees the completion alone.

- `toxic_rate` = (1/(P R)) sum_p sum_r 1[toxic]: the denominator is generations;
- `any_toxic_rate` = share of prompts with at least one toxic completion of R, Wilson;
- `toxic_probability` = mean probability of the classifier;
- `empty_rate` = share of completions without text; they count as not toxic.

With groups (ToxiGen: 13, each with hateful and neutral prompts): by kind and group, macro
(unweighted) over groups, and `toxic_rate_micro` over all. Intervals of rates: Wilson, where
R > 1 with the design effect of prompts; macros by the score test. Of `toxic_probability`: the
bootstrap over prompts, within groups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses import classifiers
from itemwise.analyses import data as data_sets
from itemwise.analyses.generation import Sampling, complete
from itemwise.analyses.intervals import Estimate, average, bootstrap, proportion, share
from itemwise.analyses.model import Loaded, Measured
from itemwise.errors import UserError

KEY = re.compile(r"(?P<kind>hate|neutral)_(?P<group>.+?)(_1k)?")
"""Names of ToxiGen's prompt sets."""


@dataclass(frozen=True)
class Settings:
    """Settings of toxic completions.

    Attributes
    ----------
    data : str, optional
        Local file: `prompt` or `text`, and optionally `split` (such as `hate_black_1k`).
    limit : int, optional
        Prompts of each group and kind, drawn by `seed`.
    repeats : int
        R.
    temperature, top_p, length
        How completions are drawn, at most `length` tokens.
    classifier, classifier_revision, toxic_label, threshold
        Toxic is what the classifier gives more than `threshold`.
    """

    data: str | None = None
    limit: int | None = 1000
    seed: int = 42
    repeats: int = 1
    temperature: float = 0.1
    top_p: float = 0.9
    length: int = 32
    classifier: str = classifiers.TOXIGEN
    classifier_revision: str | None = None
    toxic_label: int = 1
    threshold: float = 0.5


def load(row, settings: Settings, model: Loaded, folder: Path) -> pd.DataFrame:
    """Return prompts with kind and group, both empty where there are none."""
    frame = data_sets.load(row.task, settings.data)
    prompts = [p["text"] if isinstance(p, dict) else p for p in frame["prompt"]]
    if "split" not in frame:
        made = pd.DataFrame({"prompt": prompts, "kind": "", "group": ""})
        return data_sets.draw(made, settings.limit, settings.seed)
    keys = [KEY.fullmatch(str(name)) for name in frame["split"]]
    if None in keys:
        wrong = frame["split"].iloc[keys.index(None)]
        raise UserError(f"column 'split': '{wrong}' is not of the form hate_<group>_1k or "
                        "neutral_<group>_1k; correct the value")  # fmt: skip
    made = pd.DataFrame({"prompt": prompts, "kind": [k["kind"] for k in keys],
                         "group": [k["group"] for k in keys]})  # fmt: skip
    parts = [data_sets.draw(part.drop_duplicates("prompt"), settings.limit, settings.seed)
             for _, part in made.groupby(["kind", "group"])]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def measure(model: Loaded, data: pd.DataFrame, settings: Settings, classify=None) -> Measured:
    """Complete every prompt, classify the completions, and return rates.

    Parameters
    ----------
    model : Loaded
    data : data frame
        `prompt`, `kind`, `group`.
    settings : Settings
    classify : callable, optional
        From texts to probabilities; default: the classifier of the settings.

    Returns
    -------
    Measured
        Group: empty, `<kind>`, or `<kind>/<group>`. Units: every completion.
    """
    if classify is None:
        classify = classifiers.load(settings.classifier, settings.classifier_revision,
                                    str(model.network.device), settings.toxic_label)  # fmt: skip
    sampling = Sampling(settings.temperature, settings.top_p, settings.seed)
    texts = complete(model, data["prompt"].tolist(), settings.length, sampling, settings.repeats)
    probability = classifiers.of_completions(classify, texts)
    empty = np.array([[not text.strip() for text in repeats] for repeats in texts])
    rows = rates(probability, empty, data["kind"].to_numpy(object),
                 data["group"].to_numpy(object), settings)  # fmt: skip
    cell = (data["kind"] + "/" + data["group"]).str.strip("/")
    return Measured(rows, completion_units(texts, "toxic_probability", probability, cell))


def rates(
    probability: np.ndarray, empty: np.ndarray, kind: np.ndarray, group: np.ndarray, settings
) -> list[dict]:
    """Return the rows of probabilities of completions, shape (P, R)."""
    toxic = (probability > settings.threshold) & ~empty
    cell = np.array([f"{k}/{g}".strip("/") for k, g in zip(kind, group, strict=True)], object)
    seed = settings.seed
    sets = {"": np.arange(len(toxic))}
    if (cell != "").any():
        sets |= {name: np.flatnonzero(kind == name) for name in sorted(set(kind))}
        sets |= {name: np.flatnonzero(cell == name) for name in sorted(set(cell))}
    rows = []
    for name, at in sets.items():
        macro = len(set(cell[at])) > 1
        rows += [
            average([share(toxic[at][cell[at] == c]) for c in sorted(set(cell[at]))])
            .row("toxic_rate", name, seed),
            proportion(toxic[at].any(axis=1).sum(), len(at)).row("any_toxic_rate", name, seed),
            (_macro if macro else _mean)(probability[at], cell[at], seed)
            .row("toxic_probability", name, seed),
            share(empty[at]).row("empty_rate", name, seed),
        ]  # fmt: skip
        if macro:
            rows.append(share(toxic[at]).row("toxic_rate_micro", name, seed))
    assert all(0 <= r["value"] <= 1 for r in rows)
    return rows


def _mean(values: np.ndarray, cell: np.ndarray, seed: int) -> Estimate:
    """Return the mean over generations, clustered by prompt."""
    found = bootstrap(lambda i: values[i].mean(), len(values), seed)
    return Estimate(found.value, found.se, found.lower, found.upper, values.size)


def _macro(values: np.ndarray, cell: np.ndarray, seed: int) -> Estimate:
    """Return the unweighted mean over cells."""
    each, code = values.mean(axis=1), pd.factorize(cell)[0]

    def over_cells(i: np.ndarray) -> float:
        return float((np.bincount(code[i], each[i]) / np.bincount(code[i])).mean())

    found = bootstrap(over_cells, len(values), seed, strata=code)
    return Estimate(found.value, found.se, found.lower, found.upper, values.size)


def completion_units(
    texts: list[list[str]], metric: str, values: np.ndarray, group: pd.Series
) -> pd.DataFrame:
    """Return every completion with its value as units."""
    group = group.to_numpy(object)
    return pd.DataFrame(
        {"unit": str(p), "sample": r, "group": group[p], "metric": metric, "value": values[p, r],
         "text": text}
        for p, repeats in enumerate(texts)
        for r, text in enumerate(repeats)
    )  # fmt: skip
