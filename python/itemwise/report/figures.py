"""Figures of the report, as self-contained images."""

from __future__ import annotations

import base64
import io
import itertools

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from itemwise import forms
from itemwise.irt.model import item_information, parameters_beta, probabilities
from itemwise.readout.process_tables import PROCESS
from itemwise.report.content import Benchmark

INK, QUIET, GRID = "#1f2430", "#7b8494", "#e4e7ec"
FORM, POOL, RANDOM, WARN = "#0b6e99", "#aab4c3", "#c98b2b", "#b3372f"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
ABILITY = "ability (SD of training models)"
SHOWN_CURVES = 60
"""Item characteristic curves drawn at most: more is a blot."""


def data_url(figure: Figure) -> str:
    """Return the figure as a data URL and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def reconstruction(benchmark: Benchmark) -> Figure:
    """True against reconstructed score of test subjects, with intervals."""
    test = benchmark.test
    level = test["level"].iloc[0]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        span = [
            test[["full_score", "lower"]].min().min(),
            test[["full_score", "upper"]].max().max(),
        ]
        axes.plot(span, span, color=QUIET, linewidth=0.8, zorder=1)
        inside = test["full_score"].between(test["lower"], test["upper"])
        for part, colour, mark, label in (
            (test[inside], FORM, "o", f"inside its {level:.0%} interval"),
            (test[~inside], WARN, "D", "outside"),
        ):
            axes.vlines(
                part["full_score"], part["lower"], part["upper"], color=colour, alpha=0.18, lw=1
            )
            axes.scatter(
                part["full_score"],
                part["predicted"],
                s=11,
                color=colour,
                marker=mark,
                alpha=0.8,
                lw=0,
                label=label,
            )
        axes.set(
            title=f"Test models, from {len(benchmark.form)} items",
            xlabel="full score (points)",
            ylabel="reconstructed score (points)",
        )
        axes.legend(loc="upper left", markerscale=2)
    return figure


def baseline(benchmark: Benchmark) -> Figure:
    """RMSE of the selected form among the random forms of its size."""
    random = benchmark.random_accuracy(PROCESS)["rmse"]
    test = benchmark.test
    ours = float(np.sqrt(((test["predicted"] - test["full_score"]) ** 2).mean()))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        heights = np.linspace(0.25, 0.75, len(random))
        axes.scatter(
            random.sort_values(), heights, s=26, color=RANDOM, lw=0, label="random forms", alpha=0.9
        )
        axes.axvline(random.median(), color=RANDOM, lw=1, ls="--", label="their median")
        axes.axvline(ours, color=FORM, lw=2.2, label="selected form")
        axes.set(
            title=f"Error of {len(benchmark.form)} items",
            xlabel="RMSE on test models (points)",
            ylim=(0, 1.15),
            yticks=[],
        )
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.legend(loc="upper left")
    return figure


def adaptive(study: pd.DataFrame) -> Figure:
    """Median absolute error of the reconstructed score after each item, by rule."""
    styles = [(FORM, "-"), (RANDOM, "-"), (WARN, "--"), (FORM, ":"), (INK, "-"), (QUIET, "-")]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        for (rule, part), (colour, line) in zip(
            study.groupby("rule", sort=False), itertools.cycle(styles), strict=False
        ):
            axes.plot(part["n_items"], part["median_error"], color=colour, ls=line, lw=1.5,
                      label=rule)  # fmt: skip
        axes.set(title="Adaptive tests", xlabel="items asked", ylim=(0, None),
                 ylabel="median absolute error (points)")  # fmt: skip
        axes.legend(fontsize=8)
    return figure


def search(trials: pd.DataFrame) -> Figure:
    """Objective of every trial of a search by selector, and the best so far."""
    outer = trials["outer_fold"].min()
    table = trials[trials["outer_fold"] == outer]
    methods = table[table["parameter"] == "method"].sort_values("trial")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        marks = zip("osD^", (FORM, RANDOM, QUIET, WARN), strict=True)
        for (method, part), (mark, colour) in zip(methods.groupby("setting"), marks, strict=False):
            axes.scatter(part["trial"] + 1, part["value"], s=18, marker=mark, color=colour, lw=0,
                         label=method)  # fmt: skip
        axes.step(methods["trial"] + 1, methods["value"].cummin(), where="post", color=INK, lw=1)
        axes.set(title="Search", xlabel="trial", ylabel="inner RMSE + cost of items (points)")
        axes.legend(fontsize=8)
    return figure


def test_information(benchmark: Benchmark) -> Figure:
    """Information of the pool, the form and a random form, over the abilities."""
    theta = np.linspace(-3.5, 3.5, 281)
    parameters = benchmark.parameters.set_index("item", drop=False)
    selection = benchmark.selection
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        pool = item_information(benchmark.parameters, theta).sum(axis=0)
        axes.plot(theta, pool, color=POOL, lw=1.6, label=f"pool, {len(parameters)} items")
        form = item_information(benchmark.form, theta).sum(axis=0)
        axes.plot(theta, form, color=FORM, lw=2.2, label=f"selected, {len(benchmark.form)}")
        drawn = [
            item_information(parameters.loc[part["item"]], theta).sum(axis=0)
            for name, part in selection.groupby("form")
            if name.startswith(forms.RANDOM)
        ]
        middle = np.median(drawn, axis=0)
        axes.plot(theta, middle, color=RANDOM, lw=1.6, ls="--", label="random, median")
        axes.set(title="Test information", xlabel=ABILITY, ylabel="information (1 / ability²)",
                 yscale="log")  # fmt: skip
        axes.set_ylim(max(pool.max() / 1e4, 1e-3), pool.max() * 12)
        counts = axes.twinx()
        counts.hist(
            benchmark.abilities["theta"].dropna(), bins=40, range=(-3.5, 3.5), color=GRID, zorder=0
        )
        counts.set_ylim(top=counts.get_ylim()[1] * 3)
        counts.set_yticks([])
        counts.spines["right"].set_visible(False)
        counts.grid(visible=False)
        axes.set_zorder(counts.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.legend(loc="upper left", fontsize=8)
    return figure


def characteristic_curves(benchmark: Benchmark) -> Figure:
    """Item characteristic curves of the selected form, negative slopes marked."""
    theta = np.linspace(-3.5, 3.5, 201)
    form = benchmark.form
    if len(form) > SHOWN_CURVES:
        form = form.iloc[np.linspace(0, len(form) - 1, SHOWN_CURVES).astype(int)]
    right, _ = probabilities(parameters_beta(form), theta)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        for curve, slope in zip(right, form["a"], strict=True):
            axes.plot(theta, curve, color=FORM if slope > 0 else WARN, lw=0.9, alpha=0.55)
        shown = (
            "" if len(form) == len(benchmark.form) else f", {len(form)} of {len(benchmark.form)}"
        )
        axes.set(
            title=f"Characteristic curves of selected items{shown}",
            xlabel=ABILITY,
            ylabel="probability of a right answer",
            ylim=(-0.02, 1.02),
        )
    return figure


def truth(benchmark: Benchmark) -> Figure:
    """Estimates against the truth of a simulated benchmark."""
    both = benchmark.parameters.merge(benchmark.truth["parameters"], "inner", "item")
    people = benchmark.abilities.merge(benchmark.truth["abilities"], "inner", "subject")
    panels = [
        ("slope a", both["a_y"], both["a_x"]),
        ("intercept d", both["d_y"], both["d_x"]),
        ("ability theta", people["theta_y"], people["theta_x"]),
    ]
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 3, figsize=(9.4, 3.3))
        for axes, (name, true, estimate) in zip(row, panels, strict=True):
            span = [min(true.min(), estimate.min()), max(true.max(), estimate.max())]
            axes.plot(span, span, color=QUIET, lw=0.8)
            axes.scatter(true, estimate, s=8, color=FORM, alpha=0.6, lw=0)
            axes.set(title=name, xlabel="true", ylabel="estimated")
    return figure
