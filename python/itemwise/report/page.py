"""Render the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jinja2

from itemwise.files import read_record
from itemwise.power import minimum_detectable_difference
from itemwise.readout import accuracy
from itemwise.report import figures
from itemwise.report.content import (
    Benchmark,
    adaptive_rows,
    coverage,
    factor_rows,
    gains,
    load_benchmark,
    read_joint,
    recovery,
    screen_reasons,
    summary,
)
from itemwise.report.followed import section
from itemwise.report.published import published_rows
from itemwise.selection import MAIN_FORM

SHOWN_ITEMS = 15
"""Excluded items listed by name; the table on disk has them all."""


def render(
    run: Path,
    benchmarks: list[str],
    simulated: Sequence[str] = (),
    reference: Sequence[str] = (),
    published: Sequence[dict] = (),
    zoo: Sequence[str] = (),
    followed: Sequence[str] = (),
    beside: Path | None = None,
) -> str:
    """Return the report of the run in folder `run` as HTML.

    Parameters
    ----------
    run : path
    benchmarks : list of str
    simulated : sequence of str
        Benchmarks with a known truth.
    reference : sequence of str
        Benchmarks that the reference engine calibrated too.
    published : sequence of dict
        Numbers of others, to be shown beside ours.
    zoo : sequence of str
        Training runs of tiny models, the held-out ones included.
    followed : sequence of str
        Those held out.
    beside : path, optional
        Folder of the report, from which tables are linked; default: that of the run.
    """
    loaded = [
        load_benchmark(run, name, name in simulated, name in reference) for name in benchmarks
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["opening"] = _opening
    return environment.get_template("page.html").render(
        run=run.name,
        folder=str(run),
        version=version("itemwise"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        split=read_record(run / "split_subjects" / "splits.json"),
        assessment=read_record(run / "assess_readout" / "test.json"),
        looked=later_looks(run),
        grand=grand_row(run),
        factors=factor_rows(run),
        published=published_rows(run, loaded, published or []),
        rows=[summary(benchmark) for benchmark in loaded],
        sections=[_section(benchmark) for benchmark in loaded],
        simulated=simulated,
        zoo=zoo,
        followed=section(run, followed),
        base="" if beside is None else os.path.relpath(run, beside) + "/",
    )


def grand_row(run: Path) -> dict | None:
    """Return how well the mean of all benchmarks is rebuilt; None with a single benchmark."""
    table = read_joint(run, "grand")
    if table is None:
        return None
    return {"n": len(table), "n_items": int(table["n_items"].iloc[0]), **accuracy(table)}


def later_looks(run: Path) -> list[str]:
    """Name the other rules of the run that look at test models, to judge alone."""
    rules = ("draw_baseline", "simulate_cat", "analyze_factors")
    return [rule for rule in rules if (run / rule).is_dir()]


def _number(value: float | None, digits: int) -> str:
    """Show a number; a dash where there is none."""
    return "-" if value is None or value != value else f"{value:.{digits}f}"


def _opening(text: str, length: int = 80) -> str:
    """Return the beginning of a text in one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _section(benchmark: Benchmark) -> dict:
    """Return what the template shows of one benchmark."""
    drawn = {
        "reconstruction": figures.reconstruction(benchmark),
        "baseline": figures.baseline(benchmark),
        "information": figures.test_information(benchmark),
        "curves": figures.characteristic_curves(benchmark),
    }
    if benchmark.adaptive is not None:
        drawn["adaptive"] = figures.adaptive(benchmark.adaptive)
    if benchmark.search:
        drawn["search"] = figures.search(benchmark.search["trials"])
    if benchmark.truth:
        drawn["truth"] = figures.truth(benchmark)
    excluded = benchmark.excluded
    return {
        "name": benchmark.name,
        "summary": summary(benchmark),
        "build": benchmark.build,
        "thinning": benchmark.thinning,
        "fit": benchmark.fit,
        "agreement": benchmark.agreement,
        "select": benchmark.select,
        "search": benchmark.search,
        "adaptive": [] if benchmark.adaptive is None else adaptive_rows(benchmark),
        "scoring": benchmark.abilities["method"].iloc[0],
        "reasons": screen_reasons(benchmark),
        "excluded": excluded.head(SHOWN_ITEMS).to_dict("records"),
        "excluded_more": max(0, len(excluded) - SHOWN_ITEMS),
        "selected": _selected(benchmark),
        "gains": gains(benchmark),
        "coverage": coverage(benchmark),
        "calibration_share": benchmark.calibration_share,
        "detectable": minimum_detectable_difference(benchmark.test),
        "recovery": recovery(benchmark),
        "figures": {name: figures.data_url(figure) for name, figure in drawn.items()},
    }


def _selected(benchmark: Benchmark) -> list[dict]:
    """Return the selected items: parameters, information, and what is known of the questions."""
    form = benchmark.form.reset_index(drop=True)
    known = benchmark.screen.set_index("item").reindex(columns=["task", "doc_id", "text"])
    form = form.join(known.astype(object).where(known.notna(), None), on="item")
    chosen = benchmark.selection[benchmark.selection["form"] == MAIN_FORM]
    form["information"] = chosen["information"].to_numpy()
    form["theta_at_maximum"] = chosen["theta_at_maximum"].to_numpy()
    return form.to_dict("records")
