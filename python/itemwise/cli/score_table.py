"""Scores of models as a table for the terminal."""

from __future__ import annotations

import pandas as pd

from itemwise.readout.features import OVERALL


def text_table(scores: pd.DataFrame) -> str:
    """Return the scores as a table for the terminal."""
    head = ["model", "benchmark", "items", "right", "ability", "full score", "interval", "read-out"]
    rows = [head]
    for row in scores.itertuples():
        ability = "" if row.benchmark == OVERALL else f"{row.theta:+.2f} ± {row.se:.2f}"
        rows.append(
            [row.subject, row.benchmark, str(row.n_items), _right(row), ability,
             f"{row.predicted:.1f}",
             f"{row.lower:.1f} - {row.upper:.1f} ({row.level:.0%})", row.readout]
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _right(row) -> str:
    """Return the right answers to the items asked, which were not drawn at random."""
    right = getattr(row, "n_right", None)
    return "" if right is None or pd.isna(right) else f"{int(right)} ({right / row.n_items:.0%})"
