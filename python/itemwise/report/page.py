"""Render the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from itemwise.forms import MAIN_FORM
from itemwise.readout.accuracy import accuracy
from itemwise.report import adaptive, figures
from itemwise.report.conclusions import conclusions
from itemwise.report.content import (
    Benchmark,
    by_distance,
    coverage,
    factor_rows,
    gains,
    left_out,
    load_benchmark,
    read_overall,
    recovery,
    screen_reasons,
    summary,
)
from itemwise.report.glossary import GLOSSARY
from itemwise.report.held_out import section
from itemwise.report.published import published_rows
from itemwise.report.templates import templates
from itemwise.tables.results import read_result
from itemwise.workflow.forks import Failure, raise_failures, run_forked

SHOWN_ITEMS = 15
"""Excluded items and sources listed by name; the files on disk have them all."""
HELD_OUT = "held-out runs"
"""Name of their section among those of the benchmarks, which hold no blank."""
SHOWN_SELECTED = 1000
"""Selected items listed: the page stays small, whatever the size of the form."""


def render(
    run: Path,
    config: Mapping,
    reference: Sequence[str] = (),
    beside: Path | None = None,
    threads: int = 1,
) -> str:
    """Return the report of the run in folder `run` as HTML.

    Parameters
    ----------
    run : path
    config : mapping
        The resolved configuration of the run.
    reference : sequence of str
        Benchmarks that the reference engine calibrated too.
    beside : path, optional
        Folder of the report, from which tables are linked; default: that of the run.
    threads : int
        Sections that are drawn side by side.
    """
    benchmarks, tiny_models = config["benchmarks"], config["tiny_models"]["runs"]
    simulated = [name for name, each in benchmarks.items() if each["sources"] == "simulated"]
    loaded = [
        load_benchmark(run, name, name in simulated, name in reference) for name in benchmarks
    ]
    rows = [summary(benchmark) for benchmark in loaded]
    held_out = [name for name, trained in tiny_models.items() if trained["held_out"]]
    tasks = {
        benchmark.name: partial(_section, benchmark, row, config["cat"]["rules"])
        for benchmark, row in zip(loaded, rows, strict=True)
    }
    sections = _drawn({HELD_OUT: partial(section, run, held_out), **tasks}, threads)
    environment = templates()
    environment.filters["number"] = _number
    environment.filters["opening"] = _opening
    return environment.get_template("page.html").render(
        run=run.name,
        folder=str(run),
        version=version("itemwise"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        split=read_result(run, "split_subjects", "record"),
        assessment=read_result(run, "assess_readout", "record"),
        looked=later_looks(run),
        overall=overall_row(run),
        factors=factor_rows(run),
        left_out=left_out(run),
        published=published_rows(run, loaded, config),
        rows=rows,
        conclusions={row["name"]: conclusions(row) for row in rows},
        sections=[sections[name] for name in benchmarks],
        not_compared=not_compared(benchmarks, reference),
        glossary=GLOSSARY,
        simulated=simulated,
        tiny_models=list(tiny_models),
        held_out=sections[HELD_OUT],
        base="" if beside is None else os.path.relpath(run, beside) + "/",
    )


def _drawn(tasks: dict[str, Callable[[], object]], threads: int) -> dict[str, object]:
    """Make the sections in processes side by side: figures take most of the time."""
    made, failures = {}, {}
    for name, ended in run_forked(tasks, threads):
        (failures if isinstance(ended, Failure) else made)[name] = ended
    raise_failures(failures, "write-report", "section")
    return made


def not_compared(benchmarks: Mapping, reference: Sequence[str]) -> dict[str, str]:
    """Return why the reference engine left benchmarks out.

    `never`: so configured; `missing`: mirt is not installed.
    """
    return {
        name: "never" if benchmark["irt"]["reference"] == "never" else "missing"
        for name, benchmark in benchmarks.items()
        if benchmark["irt"]["engine"] == "native" and name not in reference
    }


def overall_row(run: Path) -> dict | None:
    """Return how well the mean of all benchmarks is rebuilt; None with a single benchmark."""
    table = read_overall(run)
    if table.empty:
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


def _section(benchmark: Benchmark, row: dict, rules: Sequence[str]) -> dict:
    """Return what the template shows of one benchmark, `row` its row of the first table."""
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
        "summary": row,
        "build": benchmark.build,
        "sources": _shortened(benchmark.build["sources"]),
        "preselection": benchmark.preselection,
        "fit": benchmark.fit,
        "agreement": benchmark.agreement,
        "select": benchmark.select,
        "search": benchmark.search,
        "adaptive": None
        if benchmark.adaptive is None
        else adaptive.section(benchmark.adaptive, rules),
        "scoring": benchmark.abilities["method"].iloc[0],
        "reasons": screen_reasons(benchmark),
        "excluded": excluded.head(SHOWN_ITEMS).to_dict("records"),
        "excluded_more": max(0, len(excluded) - SHOWN_ITEMS),
        "selected": _selected(benchmark),
        "selected_more": max(0, len(benchmark.form) - SHOWN_SELECTED),
        "gains": gains(benchmark),
        "coverage": coverage(benchmark),
        "by_distance": by_distance(benchmark),
        "calibration_share": benchmark.calibration_share,
        "detectable": benchmark.detectable,
        "recovery": recovery(benchmark),
        "figures": {name: figures.data_url(figure) for name, figure in drawn.items()},
    }


def _selected(benchmark: Benchmark) -> list[dict]:
    """Return the first selected items: parameters, information, and their questions."""
    form = benchmark.form.reset_index(drop=True)
    known = benchmark.screen.set_index("item").reindex(columns=["task", "doc_id", "text"])
    form = form.join(known.astype(object).where(known.notna(), None), on="item")
    chosen = benchmark.selection[benchmark.selection["form"] == MAIN_FORM]
    form["information"] = chosen["information"].to_numpy()
    form["theta_at_maximum"] = chosen["theta_at_maximum"].to_numpy()
    return form.head(SHOWN_SELECTED).to_dict("records")


def _shortened(names: list[str]) -> str:
    """Return the first of many names, and how many there are besides."""
    more = len(names) - SHOWN_ITEMS
    return ", ".join(names[:SHOWN_ITEMS]) + (f" and {more} more" if more > 0 else "")
