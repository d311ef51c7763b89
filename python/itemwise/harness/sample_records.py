"""Records of sample logs, one by one: what the harness wrote of a document, and what is amiss."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from itemwise.harness.foreign import foreign
from itemwise.harness.names import OLD_FILTERS, hash_document, hash_text, item_of
from itemwise.harness.results_files import conditions, stated_filters, text_at

FIELDS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
          "doc_hash", "prompt_hash", "target_hash"}  # fmt: skip
"""What a record holds beside its metrics, which old records do not list."""
LARGEST = 2**63 - 1
"""Number of a document that fits into tables."""


@dataclass(frozen=True)
class Skipped:
    """What could not be read: a file, or a place in it where one is named."""

    source: str
    place: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.source, self.place, self.reason)))


@dataclass(frozen=True)
class Sample:
    """A record of a log.

    Attributes
    ----------
    place : str
        Line or number of the record.
    record : dict
        As logged.
    known : dict
        Columns of the table `evaluations`.
    values : dict
        Metrics that are numbers, some of them perhaps not finite.
    """

    place: str
    record: dict
    known: dict
    values: dict[str, float]


def skip_messages(skipped: list[Skipped]) -> list[str]:
    """Return what was skipped in few words: places of one file and reason, files of one reason."""
    groups: dict[tuple, list[Skipped]] = {}
    for entry in skipped:
        groups.setdefault((entry.reason, entry.place and entry.source), []).append(entry)
    lines = []
    for (reason, _), (first, *others) in groups.items():
        more = f" and {len(others)} more" if others else ""
        lines.append(": ".join(filter(None, (first.source, first.place))) + f"{more}: {reason}")
    return lines


def read_samples(
    records: Iterable[tuple[str, object]],
    source: str,
    benchmark: str,
    task: str,
    results: dict,
    skipped: list[Skipped],
) -> Iterator[Sample]:
    """Yield each sample of a log.

    Parameters
    ----------
    records : iterable of (str, object)
        Place and value, as `json_text` reads them.
    source : str
        Where the records come from, for messages.
    benchmark, task : str
    results : dict
        Content of the results file of the same run, empty where there is none.
    skipped : list of Skipped
        Records that cannot be read are added, with the reason.
    """
    filters = stated_filters(results, task) or list(OLD_FILTERS.get(benchmark, ("none",)))
    run = conditions(results, task)
    seen: Counter = Counter()
    for place, record in records:
        fault = _fault(record)
        if fault:
            said = foreign(record)
            skipped.append(Skipped(source, "" if said else place, said or fault))
            if said and not seen:
                return
            continue
        doc = record["doc"]
        doc_hash = text_at(record, "doc_hash") or hash_document(doc)
        turn = seen[record["doc_id"], doc_hash]
        seen[record["doc_id"], doc_hash] += 1
        values = _metric_values(record)
        if not values:
            skipped.append(Skipped(source, place, "no metric with a number"))
        known = {
            "benchmark": benchmark,
            "task": task,
            "item": item_of(benchmark, doc, doc_hash),
            "doc_id": int(record["doc_id"]),
            "doc_hash": doc_hash,
            "prompt_hash": text_at(record, "prompt_hash") or _prompt_hash(record),
            "filter": record.get("filter")
            or (filters[turn] if turn < len(filters) else f"filter-{turn + 1}"),
            **run,
        }
        yield Sample(place, record, known, values)


def _fault(record: object) -> str | None:
    """Say why a record is no sample, None where it is one."""
    if not isinstance(record, dict) or not {"doc", "doc_id"} <= record.keys():
        return "cut off or no sample of the harness"
    if not _is_row(record["doc_id"]):
        return f"'doc_id' is {_short(record['doc_id'])}, no number of a row"
    if not isinstance(record.get("filter"), str | None):
        return f"'filter' is {_short(record['filter'])}, no name"
    metrics = record.get("metrics")
    if metrics is not None and not (
        isinstance(metrics, list) and all(isinstance(name, str) for name in metrics)
    ):
        return f"'metrics' is {_short(metrics)}, no list of names"
    return None


def _is_row(value: object) -> bool:
    """Return whether a value is the number of a row, or a text of it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _short(value: object) -> str:
    """Return the beginning of a value, for messages."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _metric_values(record: dict) -> dict[str, float]:
    """Return the metrics of a record that are numbers."""
    names = record.get("metrics") or [name for name in record if name not in FIELDS]
    values = {name: record[name] for name in names if name in record}
    return {
        name: _number(value) for name, value in values.items() if isinstance(value, int | float)
    }


def _number(value: float) -> float:
    """Return a number as float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _prompt_hash(record: dict) -> str | None:
    """Return the hash of the first request's prompt, from either layout of arguments."""
    arguments = record.get("arguments")
    try:
        first = arguments["gen_args_0"]["arg_0"] if isinstance(arguments, dict) else arguments[0][0]
    except (KeyError, IndexError, TypeError):
        return None
    return hash_text(first) if isinstance(first, str) else None
