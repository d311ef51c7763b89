"""Figure of a parameter recovery study."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from itemwise.report.figures import FORM, QUIET, STYLE


def recovery_figure(table: pd.DataFrame) -> Figure:
    """Draw bias, RMSE and interval coverage of every design.

    Parameters
    ----------
    table : data frame
        Table `recovery`.
    """
    designs = table["design"].unique()[::-1]
    parameters = [p for p in ("a", "d", "g", "u", "theta") if p in set(table["parameter"])]
    marks = dict(zip(("a", "d", "g", "u", "theta"), "os^vD", strict=True))
    shades = dict(
        zip(parameters, plt.cm.viridis(np.linspace(0, 0.85, len(parameters))), strict=True)
    )
    height = 1.4 + 0.42 * len(designs)
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 3, figsize=(11, height), sharey=True)
        panels = (("bias", "bias"), ("rmse", "RMSE"), ("coverage", "coverage of 95 % intervals"))
        for axes, (column, title) in zip(row, panels, strict=True):
            for name in parameters:
                part = table[table["parameter"] == name].set_index("design").reindex(designs)
                axes.plot(
                    part[column],
                    np.arange(len(designs)),
                    marks[name],
                    color=shades[name],
                    label=name,
                )
            axes.set(title=title)
        row[0].axvline(0, color=QUIET, lw=0.8)
        row[1].set_xlim(left=0)
        row[2].axvspan(0.93, 0.97, color=FORM, alpha=0.12, lw=0)
        row[0].set_yticks(np.arange(len(designs)), designs)
        row[0].set_ylim(-0.6, len(designs) - 0.4)
        figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
