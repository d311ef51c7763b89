"""The report's section on held-out training runs."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from scipy.stats import spearmanr

from itemwise.bank import GRAND
from itemwise.files import read_record
from itemwise.followed import ADAPTIVE, FORM, FULL, errors
from itemwise.readout import accuracy, clustered_se
from itemwise.report.figures import FORM as BLUE
from itemwise.report.figures import INK, QUIET, STYLE, data_url
from itemwise.tables import read_table

ORANGE = "#d1781f"
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
                "about": read_record(run / "train_zoo" / f"{name}.json"),
            }
            for name, table in tables.items()
        ],
        "errors": error_rows(whole),
        "story": {name: story(whole, measure) for measure, name in NAMES.items()},
    }


def read_runs(run: Path, names: list[str]) -> dict[str, pd.DataFrame]:
    """Read the tables `followed` of the held-out runs."""
    return {name: read_table(run / "follow_run" / f"{name}.parquet", "followed") for name in names}


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
            "benchmark": "mean of all" if benchmark == GRAND else benchmark,
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
    short = errors(table)
    part = short[(short["measure"] == measure) & (short["benchmark"] == GRAND)]
    full = table[(table["measure"] == FULL) & (table["benchmark"] == GRAND)]["n_items"]
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
    grand = table[table["benchmark"] == GRAND]
    rows = []
    for _, part in grand.groupby("subject", sort=False):
        by = part.set_index("measure").to_dict("index")
        rows.append({"step": part["step"].iloc[0], "tokens": part["tokens"].iloc[0], **by})
    return rows


def figure(table: pd.DataFrame) -> Figure:
    """Score against training tokens by every measure, one panel a benchmark."""
    names = list(dict.fromkeys(table["benchmark"]))
    names.sort(key=lambda name: name == GRAND)
    with plt.rc_context(STYLE):
        drawn, row = plt.subplots(
            1, len(names), figsize=(2.9 * len(names), 3.4), sharey=True, squeeze=False
        )
        for axes, name in zip(row[0], names, strict=True):
            by = dict(iter(table[table["benchmark"] == name].groupby("measure")))
            _draw(axes, by)
            axes.set(
                title="mean of all" if name == GRAND else name,
                xlabel="training tokens", xscale="log", ylim=(0, 100),
            )  # fmt: skip
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.xaxis.set_minor_locator(NullLocator())
        row[0, 0].set_ylabel("score (points)")
        row[0, 0].legend(loc="upper left", fontsize=8)
    return drawn


def _draw(axes, by: dict[str, pd.DataFrame]) -> None:
    """Draw the measures of one benchmark."""
    full, form, adaptive = (by[measure] for measure in (FULL, FORM, ADAPTIVE))
    axes.plot(full["tokens"], full["score"], color=INK, lw=1.6, marker="o", ms=3.5,
              label=f"full, {full['n_items'].iloc[0]} items")  # fmt: skip
    axes.fill_between(form["tokens"], form["lower"], form["upper"], color=BLUE, alpha=0.15, lw=0)
    axes.plot(form["tokens"], form["score"], color=BLUE, lw=1.4, ls="--", marker="s", ms=3.5,
              label=f"short form, {form['n_items'].iloc[0]}")  # fmt: skip
    reach = [adaptive["score"] - adaptive["lower"], adaptive["upper"] - adaptive["score"]]
    # Beside the others, so that intervals do not hide one another.
    axes.errorbar(adaptive["tokens"] * 1.07, adaptive["score"], yerr=reach, color=ORANGE, lw=0,
                  elinewidth=1.2, marker="^", ms=4.5,
                  label=f"adaptive, {adaptive['n_items'].mean():.0f} on average")  # fmt: skip
    axes.tick_params(colors=QUIET)
