"""The flow of the pipeline as a picture, with the numbers of the run on real leaderboard data.

    python benchmarks/flow.py

draws `docs/evidence/flow.svg` from the table of `docs/evidence/pipeline.md`.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from common import EVIDENCE
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from itemwise.report.figures import FORM, GRID, INK, QUIET, RANDOM
from itemwise.tables.files import atomic_path

STAGES = (
    ("collect", "leaderboards, logs,\nown evaluations"),
    ("screen", "test models apart,\ndull items out"),
    ("calibrate", "item response theory,\ntraining models"),
    ("select", "the items that tell\nmost of the score"),
    ("read out", "smooth regression,\nwith intervals"),
    ("assess", "models of unseen\norganizations, once"),
)
NUMBERS = [
    "subjects", "items", "kept", "selected", "test_subjects", "level", "coverage", "rmse",
    "random_forms", "random_rmse", "random_rmse_low", "random_rmse_high",
]  # fmt: skip
STEP = 1.55
"""Height of a benchmark's row."""
INCHES = 0.92
"""Height of a unit."""
HALF = 0.5
"""Half the height of a ribbon that holds all items of a benchmark."""


def draw(target: Path = EVIDENCE / "flow.svg") -> None:
    """Draw the picture from the page of evidence."""
    # Text stays text, so that it can be searched; all of it is centred, whatever the font.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "flow", "font.family": "sans-serif"}):
        figure = flow(read_page("pipeline"))
        with atomic_path(target) as path:
            figure.savefig(path, format="svg", metadata={"Date": None})


def read_page(name: str) -> pd.DataFrame:
    """Return the table of a page of evidence, a row a benchmark."""
    lines = (EVIDENCE / f"{name}.md").read_text(encoding="utf-8").splitlines()
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return pd.DataFrame(rows, columns=head).set_index("name")[NUMBERS].apply(pd.to_numeric)


def flow(table: pd.DataFrame) -> Figure:
    """Return the figure: a ribbon of items a benchmark, and the error at its end."""
    low, high = -STEP * len(table) + 0.45, 1.9
    figure = Figure(figsize=(11, INCHES * (high - low)), facecolor="white")
    axes = figure.add_axes((0.01, 0, 0.75, 1), xlim=(-0.55, 4.6), ylim=(low, high))
    axes.axis("off")
    for x, (name, about) in enumerate(STAGES[:-1]):
        heading(axes, x, name, about)
        if x:
            arrow = {"arrowstyle": "->", "color": QUIET}
            axes.annotate("", (x - 0.38, 1.62), (x - 0.62, 1.62), arrowprops=arrow)
    for row, (name, numbers) in enumerate(table.iterrows()):
        ribbon(axes, -STEP * row, name, numbers)
    right = figure.add_axes((0.78, 0, 0.2, 1), xlim=(0, 1), ylim=(low, high))
    right.axis("off")
    heading(right, 0.5, *STAGES[-1])
    bottom, top = low + 0.5, 0.75
    height = high - low
    box = (0.78, (bottom - low) / height, 0.2, (top - bottom) / height)
    errors(figure.add_axes(box, ylim=(bottom, top)), table)
    return figure


def heading(axes: Axes, x: float, name: str, about: str) -> None:
    """Name a stage."""
    say(axes, x, 1.64, name, size=12, weight="bold", color=INK)
    say(axes, x, 1.28, about, size=8, color=QUIET)


def say(axes: Axes, x: float, y: float, text: str, size: float, **style) -> None:
    """Write centred lines; each by itself, since another font has other widths."""
    lines = text.split("\n")
    gap = 1.4 * size / (72 * INCHES)
    for n, line in enumerate(lines):
        place = y + gap * ((len(lines) - 1) / 2 - n)
        axes.text(x, place, line, ha="center", va="center", size=size, **style)


def ribbon(axes: Axes, y: float, name: str, numbers: pd.Series) -> None:
    """Draw how many items of a benchmark are left after each stage."""
    kept, selected = numbers["kept"], numbers["selected"]
    items = np.array([numbers["items"], kept, kept, selected, selected])
    x = np.linspace(-0.45, 4.5, 300)
    half = HALF * smooth_steps(x, items / items[0])
    outline = np.concatenate([np.c_[x, y + half], np.c_[x, y - half][::-1]])
    axes.add_patch(Polygon(outline, facecolor=FORM, alpha=0.16, edgecolor="none"))
    train = numbers["subjects"] - numbers["test_subjects"]
    texts = (
        f"{items[0]:,.0f} items\n{numbers['subjects']:,.0f} models",
        f"{kept:,.0f} items\n{numbers['test_subjects']:,.0f} models apart",
        f"{kept:,.0f} items\n{train:,.0f} models",
        f"{selected:,.0f} items",
        f"{100 * numbers['level']:.0f} % intervals\nhold {100 * numbers['coverage']:.1f} %",
    )
    for place, text in enumerate(texts):
        say(axes, place, y, text, size=9, color=INK)
    say(axes, 0, y + 0.62, name.upper(), size=10, weight="bold", color=FORM)


def smooth_steps(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values at stages 0, 1, ... joined by smooth steps half-way between them."""
    result = np.full(len(x), values[0])
    for place, (before, after) in enumerate(itertools.pairwise(values)):
        result += (after - before) / (1 + np.exp(-18 * (x - place - 0.5)))
    return result


def errors(axes: Axes, table: pd.DataFrame) -> None:
    """Show the error of the selected form beside random forms of the same size."""
    for row, (_, numbers) in enumerate(table.iterrows()):
        y = -STEP * row
        selected, random = numbers["rmse"], numbers["random_rmse"]
        ends = [numbers["random_rmse_low"], numbers["random_rmse_high"]]
        axes.plot(ends, [y, y], color=RANDOM, lw=8, alpha=0.35, solid_capstyle="round")
        axes.plot(random, y, "|", color=RANDOM, ms=14, mew=2)
        axes.plot(selected, y, "o", color=FORM, ms=9)
        said = {"textcoords": "offset points", "ha": "center", "size": 9}
        axes.annotate(f"selected {selected:.2f}", (selected, y), (0, 11), color=FORM, **said)
        name = f"{numbers['random_forms']:.0f} random forms {random:.2f}"
        axes.annotate(name, (np.mean(ends), y), (0, -20), color=RANDOM, **said)
    axes.margins(x=0.25)
    axes.set(yticks=[], facecolor="none")
    axes.set_xlabel("RMSE of the rebuilt score, points", size=8, color=QUIET)
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.grid(axis="x", color=GRID)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


if __name__ == "__main__":
    draw()
