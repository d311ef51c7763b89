"""What harness tasks, documents and metrics are called in our tables."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from itemwise.errors import UserError

METABENCH = re.compile(r"metabench_(?P<benchmark>[a-z0-9]+?)(_secondary)?(_permute)?")
ID_COLUMNS = ("item", "mb_sub_idx", "metabench_idx")
"""Document fields that name the item: ours verbatim, metabench's within its benchmark."""

MAIN_METRICS = (
    (r"arc|hellaswag|openbookqa|piqa", "acc_norm", None),
    (r"gsm8k", "exact_match", "strict-match"),
)
"""Benchmarks (by the start of their name) whose leaderboard metric is not plain accuracy."""
FALLBACK_METRICS = ("acc", "exact_match", "acc_norm", "em", "f1")

OLD_FILTERS = {"gsm8k": ("strict-match", "flexible-extract")}
"""Filters by their order in sample logs written before harness 0.4.7, which do not name them."""

APART = 1.5
"""Items a question from which on the same questions are not the same items."""


def benchmark_of(task: str) -> str:
    """Return the benchmark of a harness task: metabench's own, else the task's name."""
    found = METABENCH.fullmatch(task)
    return found["benchmark"] if found else task


def item_of(benchmark: str, doc: object, doc_hash: str) -> str:
    """Return the item id of a document: what names it, else its content hash."""
    for column in ID_COLUMNS if isinstance(doc, dict) else ():
        name = doc.get(column)
        if isinstance(name, str | int) and not isinstance(name, bool) and name != "":
            return str(name) if column == "item" else f"{benchmark}.{name}"
    return item_by_hash(benchmark, doc_hash)


def item_by_hash(benchmark: str, doc_hash: str) -> str:
    """Return the item id of a document that nothing names."""
    return f"{benchmark}.{doc_hash[:16]}"


def are_ids(items: Iterable[str], doc_hashes: Iterable[str]) -> bool:
    """Return whether the items of one log or task each stand for one document.

    Data sets have columns `item` that name goods, not items.
    """
    first: dict[str, str] = {}
    pairs = zip(items, doc_hashes, strict=True)
    return all(first.setdefault(item, doc_hash) == doc_hash for item, doc_hash in pairs)


def name_items(benchmark: str, items: Sequence[str], doc_hashes: Sequence[str]) -> list[str]:
    """Return what the documents of one log or task are called: ids only where they are some."""
    if are_ids(items, doc_hashes):
        return list(items)
    return [item_by_hash(benchmark, doc_hash) for doc_hash in doc_hashes]


def number_repeated(items: Iterable[str]) -> list[str]:
    """Return the items of a data set, those it holds again as `item-2`, `item-3`, ..."""
    turn: Counter = Counter()
    numbered = []
    for item in items:
        turn[item] += 1
        numbered.append(item if turn[item] == 1 else f"{item}-{turn[item]}")
    return numbered


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text, as the harness hashes prompts."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_document(doc: object) -> str:
    """Return the harness's `doc_hash` of a document."""
    return hash_text(json.dumps(doc, indent=2, default=_plain, ensure_ascii=False))


def _plain(value):
    """Make what JSON does not know plain, as the harness does."""
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return value.item()
    return str(value)


def main_metric(
    benchmark: str,
    available: Iterable[tuple[str, str]],
    metric: str | None = None,
    filter_name: str | None = None,
) -> tuple[str, str]:
    """Choose the (filter, metric) that counts as the response.

    Parameters
    ----------
    benchmark : str
    available : iterable of (filter, metric)
        What the results hold.
    metric, filter_name : str, optional
        What is asked for, by a bank or a user; else the leaderboards' metric of known
        benchmarks (acc_norm for ARC and HellaSwag, strict exact match for GSM8K), else
        the first of acc, exact_match, ... that there is.

    Raises
    ------
    UserError
        The results lack it, or hold it by several filters.
    """
    available = sorted(set(available))
    wanted = metric
    if metric is None:
        for start, known, known_filter in MAIN_METRICS:
            if re.match(start, benchmark) and any(m == known for _, m in available):
                wanted, filter_name = known, filter_name or known_filter
                break
        else:
            names = [m for _, m in available]
            wanted = next((m for m in FALLBACK_METRICS if m in names), None)
            if wanted is None and len(set(names)) == 1:
                wanted = names[0]
    found = [(f, m) for f, m in available if m == wanted and filter_name in (None, f)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"{m} ({f})" for f, m in available)
    if found:
        raise UserError(
            f"benchmark '{benchmark}': metric '{wanted}' comes from several filters: {shown}; "
            "choose one with --filter (config key 'filter')"
        )
    asked = " by filter ".join(f"'{part}'" for part in (wanted, filter_name) if part)
    raise UserError(
        f"benchmark '{benchmark}': the results have no metric {asked or 'that is known'}; they "
        f"have {shown}; choose one with --metric (config key 'metric')"
    )


def metric_name(metric: str, filter_name: str | None) -> str:
    """Return what a metric is called after a filter of the harness.

    Examples
    --------
    >>> metric_name("exact_match", "strict-match"), metric_name("acc", "none")
    ('exact_match (strict-match)', 'acc')
    """
    return metric if filter_name in (None, "", "none") else f"{metric} ({filter_name})"
