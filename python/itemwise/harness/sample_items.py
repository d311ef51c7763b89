"""What sample logs say of their items: the question, its choices and the right answer."""

from __future__ import annotations

import json

import pandas as pd

TEXTS = ("question", "Question", "input", "problem", "prompt", "query", "text", "goal", "ctx")
"""Fields of documents that hold the question."""
CHOICES = ("choices", "options", "endings")
LONGEST = 2000
"""Characters kept of a document in which no field is known to be the question."""
IDENTITY = ["benchmark", "item", "task", "doc_id", "doc_hash"]
DOCUMENT = ["benchmark", "task", "doc_hash"]
"""What a document is known by before items are named."""


def item_content(sample: dict) -> dict:
    """Return `text`, `choices` (JSON) and `gold` of a sample."""
    stated = sample["doc"]
    doc = stated if isinstance(stated, dict) else {}
    text = stated if isinstance(stated, str) else None
    text = next((doc[name] for name in TEXTS if isinstance(doc.get(name), str)), text)
    choices = next((doc[name] for name in CHOICES if name in doc), None)
    if isinstance(choices, dict):
        choices = choices.get("text")
    return {
        "text": text if text is not None else json.dumps(stated, ensure_ascii=False)[:LONGEST],
        "choices": json.dumps(choices, ensure_ascii=False, default=str) if choices else None,
        "gold": str(sample.get("target", "")),
    }


class Items:
    """Documents met in logs, each described once, by the log that held it first."""

    def __init__(self):
        self._rows: dict[tuple, dict] = {}

    def meet(self, sample: dict, known: dict) -> None:
        """Describe the document of a sample unless it is described already.

        Parameters
        ----------
        sample : dict
            Record of a log.
        known : dict
            What `read_samples` says of it.
        """
        key = tuple(known[name] for name in DOCUMENT)
        if key not in self._rows:
            self._rows[key] = item_content(sample)

    def table(self, evaluations: pd.DataFrame) -> pd.DataFrame:
        """Return the table `items`, sorted by benchmark, task and place in the task.

        Parameters
        ----------
        evaluations : data frame
            Table `evaluations`, whose items are named.
        """
        items = evaluations[IDENTITY].drop_duplicates(["benchmark", "item"])
        keys = items[DOCUMENT].itertuples(index=False, name=None)
        content = pd.DataFrame([self._rows[key] for key in keys], index=items.index)
        return items.join(content).sort_values(["benchmark", "task", "doc_id"], ignore_index=True)
