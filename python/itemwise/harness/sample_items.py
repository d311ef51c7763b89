"""What sample logs say of their items: the question, its choices and the right answer."""

from __future__ import annotations

import json

import pandas as pd

TEXTS = ("question", "Question", "input", "problem", "prompt", "query", "text", "goal", "ctx")
"""Fields of documents that hold the question."""
CHOICES = ("choices", "options", "endings")
LONGEST = 2000
"""Characters kept of a document in which no field is known to be the question."""
IDENTITY = ("benchmark", "item", "task", "doc_id", "doc_hash")


def item_content(sample: dict) -> dict:
    """Return `text`, `choices` (JSON) and `gold` of a sample."""
    doc = sample["doc"] if isinstance(sample["doc"], dict) else {}
    text = next((doc[name] for name in TEXTS if isinstance(doc.get(name), str)), None)
    choices = next((doc[name] for name in CHOICES if name in doc), None)
    if isinstance(choices, dict):
        choices = choices.get("text")
    return {
        "text": text if text is not None else json.dumps(doc, ensure_ascii=False)[:LONGEST],
        "choices": json.dumps(choices, ensure_ascii=False, default=str) if choices else None,
        "gold": str(sample.get("target", "")),
    }


class Items:
    """Items met in logs, each described once, by the log that named it first."""

    def __init__(self):
        self._rows: dict[tuple[str, str], dict] = {}

    def meet(self, sample: dict, known: dict) -> None:
        """Describe the item of a sample unless it is described already.

        Parameters
        ----------
        sample : dict
            Line of a log.
        known : dict
            What `read_samples` says of it.
        """
        key = known["benchmark"], known["item"]
        if key not in self._rows:
            self._rows[key] = {name: known[name] for name in IDENTITY} | item_content(sample)

    def table(self) -> pd.DataFrame:
        """Return the table `items`, sorted by benchmark, task and place in the task."""
        table = pd.DataFrame(self._rows.values())
        return table.sort_values(["benchmark", "task", "doc_id"], ignore_index=True)
