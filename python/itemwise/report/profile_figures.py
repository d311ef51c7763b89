"""Figures of the 360 page: trajectories by theme, final checkpoints, breaks, correlations."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from itemwise.report.figures import GRID, INK, QUIET, STYLE
from itemwise.trajectories.axis import Axis

OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours that the colour-blind tell apart (Okabe & Ito 2008), for as many runs."""
SHOWN_BANDS = 4
"""Models up to which bands and points are drawn in full; of more, curves and faint points."""
COLUMNS = 3
WIDTH = 9.8
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
BEST = plt.get_cmap("PuOr")
"""Below chance orange, above violet; readable with every colour vision."""


@dataclass(frozen=True)
class Look:
    """Colour and line of one model."""

    colour: str
    dashes: tuple[float, float] | None

    @property
    def line(self) -> dict:
        """Return the line as arguments of matplotlib."""
        style = "-" if self.dashes is None else (0, self.dashes)
        return {"color": self.colour, "ls": style}


def looks(models: list[str]) -> dict[str, Look]:
    """Return how each model is drawn.

    A model whose name is another's with an ending (`pythia-1b-deduped`) has its colour,
    dashed. More models than distinct colours get a scale from dark to light, in their order.
    """
    base = {
        name: min(
            (other for other in models if name.startswith(other + "-")), key=len, default=name
        )
        for name in models
    }
    roots = list(dict.fromkeys(base.values()))
    if len(roots) <= len(OKABE_ITO):
        colours = OKABE_ITO
    else:
        scale = plt.get_cmap("plasma")
        # Its yellow end is too pale for lines on white.
        colours = [matplotlib.colors.to_hex(scale(v)) for v in np.linspace(0, 0.86, len(roots))]
    dashes = ((3.2, 1.6), (1, 1.4), (6, 1.5))
    variants = {root: [n for n in models if base[n] == root and n != root] for root in roots}
    return {
        name: Look(
            colours[roots.index(base[name])],
            None if name == base[name] else dashes[variants[base[name]].index(name) % 3],
        )
        for name in models
    }


def short(value: float) -> str:
    """Return a number of tokens or steps in few letters: 2.1B."""
    if value == 0:
        return "0"
    for size, letter in UNITS:
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


@dataclass(frozen=True)
class Panel:
    """One small figure: a measure of several models.

    `points` and `curves` hold columns `model`, `position`, `value`, `lower`, `upper`.
    """

    title: str
    points: pd.DataFrame
    curves: pd.DataFrame
    chance: float | None
    percent: bool
    better: float | None
    unit: str = ""


def small_multiples(
    panels: list[Panel], models: dict[str, Look], axis: Axis, span: tuple[float, float]
) -> Figure:
    """Draw one panel a measure, all on the same axis of tokens."""
    few = len(models) <= SHOWN_BANDS
    # Many bands above each other must not become a blot.
    shade = 0.2 if few else 0.4 / len(models)
    with plt.rc_context(STYLE):
        figure, grid = _grid(len(panels))
        for axes, panel in zip(grid, panels, strict=False):
            if panel.chance is not None:
                axes.axhline(panel.chance, color=QUIET, lw=0.9, ls=(0, (1, 1.5)), zorder=1)
            for name, look in models.items():
                points = panel.points[panel.points["model"] == name]
                curve = panel.curves[panel.curves["model"] == name]
                axes.fill_between(curve["position"], curve["lower"], curve["upper"], lw=0,
                                  color=look.colour, alpha=shade)  # fmt: skip
                axes.plot(curve["position"], curve["value"], lw=1.5 if few else 1.1, **look.line)
                if few:
                    axes.vlines(points["position"], points["lower"], points["upper"],
                                color=look.colour, lw=0.7, alpha=0.5)  # fmt: skip
                axes.scatter(points["position"], points["value"], s=7 if few else 2.5, lw=0,
                             color=look.colour, alpha=0.9 if few else 0.5, zorder=3)  # fmt: skip
            axes.set_title(panel.title + _arrow(panel.better), fontsize=9)
            _scale(axes, panel)
            axes.set_ylabel(panel.unit, fontsize=8)
            token_axis(axes, axis, span)
        label_bottom(grid, len(panels), axis.label)
    return figure


def differences(
    panels: dict[str, pd.DataFrame],
    pairs: dict[str, Look],
    percent: dict[str, bool],
    axis: Axis,
    span: tuple[float, float],
) -> Figure:
    """Draw the difference of runs along tokens, strong where its interval excludes zero.

    `panels` holds by analysis the columns `pair`, `position`, `difference`, `lower`, `upper`.
    """
    with plt.rc_context(STYLE):
        figure, grid = _grid(len(panels))
        for axes, (name, table) in zip(grid, panels.items(), strict=False):
            axes.axhline(0, color=QUIET, lw=0.9)
            factor = 100 if percent[name] else 1
            for pair, look in pairs.items():
                part = table[table["pair"] == pair]
                x = part["position"].to_numpy()
                value = part["difference"].to_numpy() * factor
                apart = ((part["lower"] > 0) | (part["upper"] < 0)).to_numpy()
                if len(pairs) <= SHOWN_BANDS:
                    axes.fill_between(x, part["lower"] * factor, part["upper"] * factor, lw=0,
                                      color=look.colour, alpha=0.16)  # fmt: skip
                axes.plot(x, value, lw=0.8, alpha=0.6, **look.line)
                axes.plot(x, np.where(apart, value, np.nan), lw=2.6, color=look.colour)
            axes.set_title(name, fontsize=9)
            axes.margins(y=0.15)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
            token_axis(axes, axis, span)
        label_bottom(grid, len(panels), axis.label)
    return figure


def token_axis(axes, axis: Axis, span: tuple[float, float]) -> None:
    """Label a logarithmic axis by tens of tokens, few enough to be read, and zero."""
    low, high = span
    first = int(np.ceil(max(low, axis.zero + 1e-6)))
    decades = list(range(first, int(np.floor(high)) + 1))
    step = 1 if len(decades) <= 5 else 2
    # The last whole decade is always labelled.
    ticks = [float(d) for d in decades[::-1][::step][::-1]]
    if len(ticks) < 2:  # little more than a tenfold of training, or less: 1, 2, 5 of each
        ticks = _between(max(low, axis.zero + 1e-6), high)
    labels = [short(float(10**tick)) for tick in ticks]
    if low <= axis.zero + 1e-9:
        if ticks and ticks[0] - axis.zero < 0.12 * (high - low):
            ticks, labels = ticks[1:], labels[1:]
        ticks, labels = [axis.zero, *ticks], ["0", *labels]
    axes.set_xticks(ticks, labels)
    margin = 0.03 * (high - low) or 0.1
    axes.set_xlim(low - margin, high + margin)


def _between(low: float, high: float) -> list[float]:
    """Return places (log10) for at most five labels within a short span."""
    decades = range(int(np.floor(low)), int(np.floor(high)) + 1)
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [d + float(np.log10(n)) for d in decades for n in digits]
        ticks = [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
        if len(ticks) > 1:
            return ticks[:: -(-len(ticks) // 5)]
    return [low, high] if high > low else [high]


def final_map(
    values: pd.DataFrame, shades: pd.DataFrame, percent: list[bool], themes: list[str]
) -> Figure:
    """Draw the final checkpoint of every model: one row an analysis, grouped by theme.

    Parameters
    ----------
    values : data frame
        Values, one row an analysis, one column a model.
    shades : data frame
        The same places: 1 best, 0 chance, below 0 worse than chance.
    percent : list of bool
        Rows that are shares.
    themes : list of str
        Theme of each row.
    """
    n_rows, n_columns = values.shape
    size = 8 if n_columns <= 10 else 7
    with plt.rc_context({**STYLE, "axes.grid": False}):
        width = min(WIDTH, 4.5 + 0.9 * n_columns)
        figure, axes = plt.subplots(figsize=(width, 1.5 + 0.27 * n_rows))
        image = axes.imshow(shades, cmap=BEST, vmin=-1.15, vmax=1.15, aspect="auto")
        for i in range(n_rows):
            for j in range(n_columns):
                value, shade = values.iat[i, j], shades.iat[i, j]
                text = "·" if pd.isna(value) else f"{100 * value:.1f}" if percent[i] else \
                    f"{value:.3g}"  # fmt: skip
                dark = pd.notna(shade) and abs(shade) > 0.62
                axes.text(j, i, text, ha="center", va="center", fontsize=size,
                          color="white" if dark else INK)  # fmt: skip
        axes.set_xticks(range(n_columns), values.columns, rotation=35, ha="left", fontsize=size,
                        color=INK)  # fmt: skip
        axes.xaxis.tick_top()
        axes.set_yticks(range(n_rows), values.index, fontsize=8, color=INK)
        axes.tick_params(length=0)
        for edge in axes.spines.values():
            edge.set_visible(False)
        for i in range(1, n_rows):
            if themes[i] != themes[i - 1]:
                axes.axhline(i - 0.5, color="white", lw=4)
        bar = figure.colorbar(image, ax=axes, shrink=min(1, 3 / (1.5 + 0.27 * n_rows)), pad=0.01,
                              aspect=18, ticks=[-1, 0, 1])  # fmt: skip
        bar.ax.set_yticklabels(["worse", "chance", "best"], fontsize=8, color=INK)
        bar.ax.set_ylim(-1, 1)
        bar.outline.set_visible(False)
    return figure


def change_map(
    changes: pd.DataFrame, analyses: list[str], models: dict[str, Look], axis: Axis,
    span: tuple[float, float],
) -> Figure:  # fmt: skip
    """Draw where trajectories break: one row an analysis, one mark a break.

    `changes` has columns `analysis`, `model`, `position`, `gains` (whether the break turns
    the trajectory upwards).
    """
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(WIDTH, 1.0 + 0.34 * len(analyses)))
        shift = np.linspace(-0.3, 0.3, len(models)) if len(models) > 1 else [0.0]
        for row in range(len(analyses)):
            axes.axhline(row, color=GRID, lw=14 if len(models) > 1 else 0.8, zorder=0)
        for (name, look), offset in zip(models.items(), shift, strict=True):
            part = changes[changes["model"] == name]
            place = part["analysis"].map(analyses.index).to_numpy(float) + offset
            for up, mark in ((True, "^"), (False, "v")):
                keep = (part["gains"] == up).to_numpy()
                face = look.colour if look.dashes is None else "white"
                axes.scatter(part["position"][keep], place[keep], s=26, marker=mark, lw=1,
                             facecolor=face, edgecolor=look.colour, zorder=3)  # fmt: skip
        axes.set_yticks(range(len(analyses)), analyses, color=INK)
        axes.set_ylim(len(analyses) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID)
        axes.set_xlabel(axis.label)
        token_axis(axes, axis, span)
    return figure


def correlation_map(levels: pd.DataFrame, changes: pd.DataFrame) -> Figure:
    """Draw correlations between analyses: levels below the diagonal, changes above it."""
    names, n = list(levels), len(levels)
    both = np.where(np.tri(n, k=-1, dtype=bool), levels, changes)
    np.fill_diagonal(both, np.nan)
    size = 8 if n <= 12 else 6.5
    side = min(WIDTH - 1, 2.6 + 0.42 * n)
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(side + 0.8, side))
        image = axes.imshow(both, cmap=BEST, vmin=-1.15, vmax=1.15)
        for i in range(n):
            for j in range(n):
                if np.isfinite(both[i, j]):
                    colour = "white" if abs(both[i, j]) > 0.62 else INK
                    axes.text(j, i, f"{both[i, j]:.2f}".replace("0.", "."), ha="center",
                              va="center", fontsize=size, color=colour)  # fmt: skip
        axes.plot([-0.5, n - 0.5], [-0.5, n - 0.5], color=INK, lw=1)
        axes.set_xticks(range(n), names, rotation=40, ha="left", color=INK, fontsize=8)
        axes.xaxis.tick_top()
        axes.set_yticks(range(n), names, color=INK, fontsize=8)
        axes.tick_params(length=0)
        for edge in axes.spines.values():
            edge.set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.5, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
        bar.ax.set_ylim(-1, 1)
        bar.ax.tick_params(labelsize=8, labelcolor=INK)
        bar.outline.set_visible(False)
    return figure


def share_of_page(figure: Figure) -> str:
    """Return how wide a figure is shown, so that letters are as large as in all others."""
    return f"{min(100, 100 * figure.get_figwidth() / WIDTH):.0f}%"


def label_bottom(grid, n: int, label: str) -> None:
    """Label the axis of the lowest panel of each column."""
    for number in range(n):
        if number + COLUMNS >= n:
            grid[number].set_xlabel(label)


def _grid(n: int):
    """Return a figure with a place for each of `n` panels, unused places left empty."""
    rows = -(-n // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(WIDTH, 2.35 * rows), squeeze=False)
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.06)
    grid = grid.ravel()
    for axes in grid[n:]:
        axes.set_visible(False)
    return figure, grid


def _scale(axes, panel: Panel) -> None:
    """Scale the values of a panel: shares in percent, room for the chance line."""
    # A band may run far out where there are few points; the points decide what is seen.
    seen = [panel.points["lower"], panel.points["upper"], panel.points["value"],
            panel.curves["value"]]  # fmt: skip
    seen = pd.concat([*seen, pd.Series([panel.chance], dtype=float)]).dropna()
    if len(seen):
        low, high = seen.min(), seen.max()
        room = 0.06 * (high - low) or 0.05
        axes.set_ylim(low - room, high + room)
    if panel.percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")


def _arrow(better: float | None) -> str:
    """Say which end is better, where one is."""
    if better is None or pd.isna(better):
        return ""
    return " ↑" if better == 1 else " ↓"
