"""The report's section on held-out training runs."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from itemwise.bank.follow import ADAPTIVE, FORM, FULL, errors
from itemwise.readout.accuracy import accuracy, clustered_se
from itemwise.readout.features import OVERALL
from itemwise.report.figures import FORM as BLUE
from itemwise.report.figures import INK, QUIET, STYLE, data_url
from itemwise.tables.results import read_result

ORANGE = "#d1781f"
COLUMNS = 3
"""Panels in a row: more have no readable text on the page."""
ASIDE = 1.07
"""What the tokens of adaptive tests are multiplied by, to stand beside the others."""
NAMES = {FORM: "short form", ADAPTIVE: "adaptive test"}


def section(run: Path, names: list[str]) -> dict | None:
    """Return what the page shows of the held-out runs; None where there are none."""
    if not names:
        return None
    tables = read_runs(run, names)
    whole = pd.concat([table.assign(run=name) for name, table in tables.items()])
    return {
        "runs": [
            {
                "name": name,
                "checkpoints": checkpoints(table),
                "figure": data_url(figure(table)),
                "about": read_result(run, "train_tiny_models", "record", training_run=name),
            }
            for name, table in tables.items()
        ],
        "errors": error_rows(whole),
        "story": {name: story(whole, measure) for measure, name in NAMES.items()},
    }


def read_runs(run: Path, names: list[str]) -> dict[str, pd.DataFrame]:
    """Read the tables `run_measures` of the held-out runs."""
    return {
        name: read_result(run, "follow_run", "run_measures", training_run=name) for name in names
    }


def held_out_errors(run: Path) -> list[dict]:
    """Return the errors of all held-out runs of a run's folder; none where there are none."""
    names = sorted(path.stem for path in (run / "follow_run").glob("*.parquet"))
    tables = [table.assign(run=name) for name, table in read_runs(run, names).items()]
    return error_rows(pd.concat(tables)) if tables else []


def error_rows(table: pd.DataFrame) -> list[dict]:
    """Return errors by benchmark and measure, over the checkpoints of all runs."""
    short = errors(table)
    full = table[table["measure"] == FULL].groupby("benchmark")["n_items"].first()
    groups = [
        (benchmark, measure, part)
        for benchmark, both in short.groupby("benchmark", sort=False)
        for measure, part in both.groupby("measure", sort=False)
    ]
    return [
        {
            "benchmark": "mean of all" if benchmark == OVERALL else benchmark,
            "measure": NAMES[measure],
            "n": len(part),
            "n_full": int(full[benchmark]),
            "n_items": float(part["n_items"].mean()),
            "level": float(part["level"].iloc[0]),
            "width": float((part["upper"] - part["lower"]).mean()),
            "se": clustered_se(part["predicted"] - part["full_score"], part["run"]),
            **accuracy(part),
        }
        for benchmark, measure, part in groups
    ]


def story(table: pd.DataFrame, measure: str) -> dict:
    """Return how well a short measure tells the mean of all benchmarks."""
    from scipy.stats import spearmanr

    short = errors(table)
    part = short[(short["measure"] == measure) & (short["benchmark"] == OVERALL)]
    full = table[(table["measure"] == FULL) & (table["benchmark"] == OVERALL)]["n_items"]
    return {
        "n": len(part),
        "share": float(part["n_items"].mean() / full.iloc[0]),
        "spearman": float(spearmanr(part["predicted"], part["full_score"]).statistic),
        "range": [float(part["full_score"].min()), float(part["full_score"].max())],
        "se": clustered_se(part["predicted"] - part["full_score"], part["run"]),
        **accuracy(part),
    }


def checkpoints(table: pd.DataFrame) -> list[dict]:
    """Return one row a checkpoint: the mean of all benchmarks by every measure."""
    overall = table[table["benchmark"] == OVERALL]
    rows = []
    for _, part in overall.groupby("subject", sort=False):
        by = part.set_index("measure").to_dict("index")
        rows.append({"step": part["step"].iloc[0], "tokens": part["tokens"].iloc[0], **by})
    return rows


def figure(table: pd.DataFrame) -> Figure:
    """Score against training tokens by every measure, one panel a benchmark."""
    names = list(dict.fromkeys(table["benchmark"]))
    names.sort(key=lambda name: name == OVERALL)
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    with plt.rc_context(STYLE):
        drawn, grid = plt.subplots(
            rows, columns, figsize=(3.15 * columns, 2.9 * rows + 0.4), sharey=True, squeeze=False
        )
        panels = grid.ravel()
        for number, (axes, name) in enumerate(zip(panels, names, strict=False)):
            by = dict(iter(table[table["benchmark"] == name].groupby("measure")))
            _draw(axes, by)
            _label(axes, "mean of all" if name == OVERALL else name, by)
            if number + columns >= len(names):
                axes.set_xlabel("training tokens")
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("score (points)")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


def _label(axes, title: str, by: dict[str, pd.DataFrame]) -> None:
    """Name a panel, say how many items each measure asks, and scale its axes."""
    full, form, adaptive = (by[measure]["n_items"].mean() for measure in (FULL, FORM, ADAPTIVE))
    axes.set_title(f"{title}\n", fontsize=10)
    axes.text(0, 1.02, f"items: {full:.0f} full, {form:.0f} form, {adaptive:.0f} adaptive",
              transform=axes.transAxes, color=INK, fontsize=8.5)  # fmt: skip
    axes.set(xscale="log", ylim=(-4, 104), yticks=range(0, 101, 20))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_locator(NullLocator())


def _draw(axes, by: dict[str, pd.DataFrame]) -> None:
    """Draw the measures of one benchmark."""
    full, form, adaptive = (by[measure] for measure in (FULL, FORM, ADAPTIVE))
    axes.plot(full["tokens"], full["score"], color=INK, lw=1.6, marker="o", ms=3.5,
              label="full suite")  # fmt: skip
    axes.fill_between(form["tokens"], form["lower"], form["upper"], color=BLUE, alpha=0.15, lw=0)
    axes.plot(form["tokens"], form["score"], color=BLUE, lw=1.4, ls="--", marker="s", ms=3.5,
              label="short form and its interval (band)")  # fmt: skip
    reach = [adaptive["score"] - adaptive["lower"], adaptive["upper"] - adaptive["score"]]
    # Beside the others, so that intervals do not hide one another.
    axes.errorbar(adaptive["tokens"] * ASIDE, adaptive["score"], yerr=reach, color=ORANGE, lw=0,
                  elinewidth=1.2, marker="^", ms=4.5,
                  label="adaptive test and its interval (bar)")  # fmt: skip
    axes.tick_params(colors=QUIET)
