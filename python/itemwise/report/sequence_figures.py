"""Figures of memorized sequences: by part of the training data, by score, from then to now."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from itemwise.report.figures import INK, STYLE
from itemwise.report.profile_figures import BEST, WIDTH

LABELS = 12
"""Checkpoints labelled on an axis at most."""
WRITTEN = 80
"""Cells up to which values are written in."""


def sequence_maps(
    parts: pd.DataFrame, scores: pd.DataFrame, correlations: pd.DataFrame, label: str
) -> Figure:
    """Draw three heat maps, checkpoints in their order along the lower axis.

    Parameters
    ----------
    parts : data frame
        Share of tokens given back: one row a part of the data, one column a checkpoint.
    scores : data frame
        Share of the sequences by class of score, the lowest first.
    correlations : data frame
        Of the scores of the same sequences, checkpoint by checkpoint.
    label : str
        What the checkpoints' labels tell.
    """
    with plt.rc_context({**STYLE, "axes.grid": False}):
        height = 1.6 + 0.24 * max(len(scores), len(parts))
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, height))
        _map(left, parts, "tokens given back", "Blues", (0, 1), True)
        _map(middle, scores[::-1], "sequences, by tokens given back", "Blues", (0, 1), True)
        _map(right, correlations, "correlation of scores", BEST, (-1.15, 1.15), False)
        for axes in (left, middle, right):
            axes.set_xlabel(label)
    return figure


def _map(axes, table: pd.DataFrame, title: str, colours, bounds: tuple, percent: bool) -> None:
    """Draw one heat map, its values written in where they are few."""
    axes.set_title(title, fontsize=9)
    if table.empty:
        axes.set_axis_off()
        return
    axes.imshow(table.to_numpy(float), cmap=colours, vmin=bounds[0], vmax=bounds[1],
                aspect="auto", interpolation="nearest")  # fmt: skip
    for axis, names in ((axes.xaxis, table.columns), (axes.yaxis, table.index)):
        at = np.arange(len(names))[:: -(-len(names) // LABELS)]
        axis.set_ticks(at, [str(names[place]) for place in at], fontsize=7, color=INK)
    axes.tick_params(length=0)
    if table.size > WRITTEN:
        return
    for (i, j), value in np.ndenumerate(table.to_numpy(float)):
        if np.isfinite(value):
            dark = abs(value) > 0.62 * bounds[1]
            text = f"{100 * value:.0f}" if percent else f"{value:.2f}".replace("0.", ".")
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5,
                      color="white" if dark else INK)  # fmt: skip
