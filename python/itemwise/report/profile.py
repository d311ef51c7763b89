"""The 360 page: what a training team looks at after every checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses.suite import THEMES
from itemwise.report import profile_figures as figures
from itemwise.report.figures import data_url
from itemwise.report.profile_figures import Panel, short
from itemwise.report.profile_training import sequence_sections, training_figure
from itemwise.report.templates import templates
from itemwise.trajectories.build import headline_metrics, headlines
from itemwise.trajectories.changepoints import FALSE_ALARM
from itemwise.trajectories.gather import BANK, RIGHT, SERIES, place

OTHER = "other"
"""Theme of analyses that the suite does not know."""
SHOWN_GAPS = 200
"""Gaps listed by name; the record has them all."""
MEASURES = ("final", "gain", "gain_per_tenfold", "total_variation", "total_variation_corrected",
            "total_variation_relative", "monotonicity", "scatter", "saturation")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One trajectory of the page, of all models: an analysis, or one group of it."""

    analysis: str
    metric: str
    group: str
    theme: str
    better: float | None
    chance: float | None
    percent: bool
    unit: str
    description: str
    said: str = ""

    @property
    def name(self) -> str:
        """Return how it is called on the page."""
        name = f"{self.analysis}: {self.group}" if self.group else self.analysis
        return f"{name}, {self.said}" if self.said else name

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return its rows of a table."""
        keep = (table["analysis"] == self.analysis) & (table["metric"] == self.metric)
        return table[keep & (table["group"] == self.group)]


class Content:
    """What the page shows, taken from the tables once."""

    def __init__(self, tables: dict[str, pd.DataFrame | None], record: dict, suite: pd.DataFrame):
        self.tables, self.record = tables, record
        self.models = list(record["models"])
        self.placed, self.axis, _ = place(tables["trajectories"], record.get("axis_label"))
        self.span = (self.placed["position"].min(), self.placed["position"].max())
        main = headline_metrics(tables["trajectories"], suite)
        self.rows = rows_of_page(self.placed, suite, main)
        self.looks = figures.looks(self.models)
        curves = tables["trajectory_curves"]
        if curves is None:
            numbers = dict.fromkeys(["position", "value", "lower", "upper"], float)
            curves = pd.DataFrame(columns=[*SERIES, *numbers]).astype(numbers)
        self.curves = curves

    def themes(self) -> list[str]:
        """Return the themes that have a row, in the order of the suite."""
        there = {row.theme for row in self.rows}
        return [theme for theme in (*THEMES, OTHER) if theme in there]


def render(
    tables: dict[str, pd.DataFrame | None],
    record: dict,
    suite: pd.DataFrame,
    title: str,
    folder: Path,
    page: Path,
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    tables, record
        Of `trajectories.folder.read_folder`.
    suite : data frame
        Themes, chance, units of the analyses.
    title : str
    folder, page : path
        Where the tables lie and the page will lie, for links between them.
    """
    content = Content(tables, record, suite)
    environment = templates()
    environment.filters["number"] = _number
    environment.filters["tokens"] = lambda value: "-" if pd.isna(value) else short(value)
    link = Path(os.path.relpath(folder, page.parent)).as_posix()
    files = {
        name: {suffix: f"{link}/{name}.{suffix}" for suffix in ("parquet", "csv")}
        for name, table in tables.items()
        if table is not None
    }
    return environment.get_template("profile.html").render(
        title=title,
        version=version("itemwise"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        axis=content.axis.label,
        notes=[note for note in (record["note"], *record.get("about", [])) if note],
        unplaced=record["unplaced"],
        models=model_rows(content),
        gaps=record["gaps"][:SHOWN_GAPS],
        gap_kinds=gap_kinds(record["gaps"]),
        gaps_more=max(0, len(record["gaps"]) - SHOWN_GAPS),
        smoothed=record["smoothed"],
        trajectories=record["trajectories"],
        few=len(content.models) <= figures.SHOWN_BANDS,
        legend=legend(content.looks),
        themes=[theme_section(content, theme) for theme in content.themes()],
        final=final_section(content),
        changes=change_section(content),
        comparison=comparison_section(content),
        correlation=correlation_section(content),
        training=training_figure(tables, content.looks, content.axis, content.span),
        sequences=sequence_sections(tables, content.placed, content.axis.label),
        false_alarm=FALSE_ALARM,
        files=files,
        record=f"{link}/trajectories.json",
    )


def rows_of_page(placed: pd.DataFrame, suite: pd.DataFrame, main: dict[str, str]) -> list[Row]:
    """Return what has a panel: the headline (`main`) of each analysis, else its groups."""
    known = suite.set_index("name")
    order = {name: number for number, name in enumerate(suite["name"])}
    stated = headlines(suite)
    made = []
    for analysis in sorted(main, key=lambda name: (order.get(name, len(order)), name)):
        metric = main[analysis]
        part = placed[(placed["analysis"] == analysis) & (placed["metric"] == metric)]
        groups = shown_groups(analysis, part["group"])
        entry = known.loc[analysis] if analysis in known.index else None
        # What the suite says of an analysis holds for its headline metric.
        told = entry is not None and stated[analysis] == metric
        unit = str(entry["unit"]) if told else ""
        theme = OTHER if entry is None else entry["theme"]
        for group in groups:
            made.append(
                Row(
                    analysis, metric, group, theme,
                    _given(entry["higher_is_better"]) if told else None,
                    _given(entry["chance"]) if told else None,
                    unit == "share", unit or metric,
                    "" if entry is None else entry["description"],
                )
            )  # fmt: skip
        if analysis == BANK:
            made += right_rows(placed, theme)
    return made


def right_rows(placed: pd.DataFrame, theme: str) -> list[Row]:
    """Return the raw accuracy on the items of a bank that were asked, by benchmark."""
    part = placed[(placed["analysis"] == BANK) & (placed["metric"] == RIGHT)]
    made = []
    for group, n in part.groupby("group", sort=False)["n"]:
        asked = f"{n.min():.0f}" if n.min() == n.max() else f"{n.min():.0f} to {n.max():.0f}"
        made.append(
            Row(BANK, RIGHT, group, theme, None, None, True, "share",
                "right answers to the items asked, which were chosen and are no sample",
                f"right of {asked} items")
        )  # fmt: skip
    return made


def shown_groups(analysis: str, groups: pd.Series) -> list[str]:
    """Return the groups of an analysis that have a panel of their own.

    The value over all groups alone, where there is one; the benchmarks of a bank too, since
    each is a measure in its own right. A bank's only benchmark is not shown twice.
    """
    found = sorted(dict.fromkeys(groups), key=lambda name: name != "")
    if analysis == BANK:
        return found[-1:] if len(found) == 2 else found
    return [""] if "" in found else found


def model_rows(content: Content) -> list[dict]:
    """Return models with their checkpoints and gaps."""
    rows = []
    for model in content.models:
        part = content.placed[content.placed["model"] == model]
        gaps = [gap for gap in content.record["gaps"] if gap["model"] == model]
        at = part["at"]
        rows.append(
            {"model": model, "checkpoints": part["revision"].nunique(),
             "first": at.min() if len(at) else None, "last": at.max() if len(at) else None,
             "analyses": part["analysis"].nunique(), "gaps": len(gaps)}
        )  # fmt: skip
    return rows


def gap_kinds(gaps: list[dict]) -> list[dict]:
    """Return gaps by what is missing: how many checkpoints of which models."""
    kinds: dict[tuple, dict] = {}
    for gap in gaps:
        kind = kinds.setdefault((gap["whole"], *gap["analyses"]), {"n": 0, "where": {}} | gap)
        kind["n"] += 1
        kind["where"].setdefault(gap["model"], []).append(gap["revision"])
    return sorted(kinds.values(), key=lambda kind: -kind["n"])


def legend(looks: dict[str, figures.Look]) -> list[dict]:
    """Return models with colour and dashes of their line."""
    return [
        {"name": name, "colour": look.colour,
         "dashes": "" if look.dashes is None else " ".join(str(2 * d) for d in look.dashes)}
        for name, look in looks.items()
    ]  # fmt: skip


def theme_section(content: Content, theme: str) -> dict:
    """Return figure and tables of one theme."""
    rows = [row for row in content.rows if row.theme == theme]
    panels = [
        Panel(row.name, row.of(content.placed), row.of(content.curves), row.chance, row.percent,
              row.better, "" if row.percent else row.unit)
        for row in rows
    ]  # fmt: skip
    figure = figures.small_multiples(panels, content.looks, content.axis, content.span)
    measures = content.tables["trajectory_measures"]
    table = []
    for row in rows:
        part = row.of(measures)
        for model in content.models:
            mine = part[part["model"] == model].set_index("measure")
            if len(mine):
                table.append(
                    {"name": row.name, "model": model, "percent": row.percent,
                     "n": int(mine["n_checkpoints"].iloc[0])}
                    | {m: mine.loc[m].to_dict() if m in mine.index else None for m in MEASURES}
                )  # fmt: skip
    return {
        "name": theme,
        "rows": rows,
        "image": data_url(figure),
        "table": table,
        "groups": [found for row in rows if (found := group_table(content, row))],
    }


def group_table(content: Content, row: Row) -> dict | None:
    """Return the last value of every group of an analysis by model; None without groups."""
    part = content.placed
    part = part[(part["analysis"] == row.analysis) & (part["metric"] == row.metric)]
    part = part[part["group"] != ""]
    if part.empty or row.group:
        return None
    last = part.groupby(["group", "model"], sort=False).tail(1)
    wide = last.pivot(index="group", columns="model", values="value")
    models = [model for model in content.models if model in wide]
    return {"name": row.analysis, "models": models, "percent": row.percent,
            "rows": [(name, wide.loc[name, models].tolist()) for name in wide.index]}  # fmt: skip


def final_section(content: Content) -> dict:
    """Return the heat map of the final checkpoints, and its table."""
    last = content.placed.sort_values("position").groupby("model")["revision"].last()
    columns = [model for model in content.models if model in last.index]
    ordered = [row for theme in content.themes() for row in content.rows if row.theme == theme]
    values, shade, table = {}, {}, []
    for row in ordered:
        part = row.of(content.placed)
        final = part[part["revision"] == part["model"].map(last)].set_index("model")
        final = final[~final.index.duplicated(keep="last")].reindex(columns)
        values[row.name] = final["value"].astype(float)
        shade[row.name] = shades(final["value"].astype(float), part["value"], row)
        table.append({"row": row, "cells": final[["value", "lower", "upper"]].to_dict("records")})
    values, shade = (pd.DataFrame(part).T[columns].astype(float) for part in (values, shade))
    figure = figures.final_map(
        values, shade, [row.percent for row in ordered], [row.theme for row in ordered]
    )
    width = figures.share_of_page(figure)
    return {"image": data_url(figure), "width": width, "models": columns, "table": table,
            "revisions": [last[model] for model in columns]}  # fmt: skip


def shades(values: pd.Series, seen: pd.Series, row: Row) -> pd.Series:
    """Return how far values lie from chance: 1 the farthest seen, negative on the worse side.

    Where chance is not known the worst value seen stands for it; where neither end is
    better, every distance from chance counts as worse.
    """
    sign = {1: 1.0, 0: -1.0}.get(row.better)
    if row.chance is None and sign is None:
        return values * 0
    origin = row.chance
    if origin is None:
        origin = seen.min() if sign > 0 else seen.max()
    span = (seen - origin).abs().max()
    distance = (values - origin) / (span if span > 0 else 1.0)
    return -distance.abs() if sign is None else sign * distance


def change_section(content: Content) -> dict | None:
    """Return figure and table of the change points of the page's rows."""
    table = content.tables["change_points"]
    if table is None:
        return None
    parts = [row.of(table).assign(name=row.name, percent=row.percent) for row in content.rows]
    shown = pd.concat(parts, ignore_index=True)
    if shown.empty:
        return None
    before = content.axis.position(shown["at_before"])
    after = content.axis.position(shown["at_after"])
    turned = np.where(
        shown["kind"] == "level", shown["jump"], shown["slope_after"] - shown["slope_before"]
    )
    drawn = pd.DataFrame({"analysis": shown["name"], "model": shown["model"],
                          "position": (before + after) / 2, "gains": turned > 0})  # fmt: skip
    names = [row.name for row in content.rows if row.name in set(shown["name"])]
    figure = figures.change_map(drawn, names, content.looks, content.axis, content.span)
    return {"image": data_url(figure), "table": shown.to_dict("records")}


def comparison_section(content: Content) -> dict | None:
    """Return figure and table of compared runs."""
    table, along = content.tables["run_comparisons"], content.tables["run_differences"]
    if table is None or along is None:
        return None
    along = along.assign(pair=along["first"] + " − " + along["second"])
    pairs = list(dict.fromkeys(along["pair"]))
    rows = [row for row in content.rows if len(row.of(along))]
    if not rows:
        return None
    looks = figures.looks(pairs)
    panels = {row.name: row.of(along) for row in rows}
    percent = {row.name: row.percent for row in rows}
    figure = figures.differences(panels, looks, percent, content.axis, content.span)
    shown = pd.concat([row.of(table).assign(name=row.name, percent=row.percent) for row in rows])
    return {"image": data_url(figure), "legend": legend(looks),
            "table": shown.to_dict("records"),
            "few": len(pairs) <= figures.SHOWN_BANDS}  # fmt: skip


def correlation_section(content: Content) -> dict | None:
    """Return figure and table of correlations, the median over models."""
    table = content.tables["analysis_correlations"]
    if table is None or table["spearman"].notna().sum() == 0:
        return None
    table = table.assign(apart=(table["lower"] > 0) | (table["upper"] < 0))
    grouped = table.groupby(["first", "second", "kind"], sort=False)
    pooled = grouped.agg(
        median=("spearman", "median"), lowest=("spearman", "min"), highest=("spearman", "max"),
        lower=("lower", "median"), upper=("upper", "median"), apart=("apart", "sum"),
        models=("spearman", "count"),
    ).reset_index()  # fmt: skip
    there = set(pooled["first"]) | set(pooled["second"])
    names = [n for n in dict.fromkeys(row.analysis for row in content.rows) if n in there]
    squares = {}
    for kind in ("levels", "differences"):
        part = pooled[pooled["kind"] == kind]
        wide = part.pivot(index="first", columns="second", values="median")
        wide = wide.reindex(index=names, columns=names).astype(float)
        squares[kind] = wide.fillna(wide.T)
    figure = figures.correlation_map(squares["levels"], squares["differences"])
    width = figures.share_of_page(figure)
    return {"image": data_url(figure), "width": width, "table": pooled.to_dict("records"),
            "models": table["model"].nunique()}  # fmt: skip


def _given(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _number(value: float | None, digits: int = 3, percent: bool = False, sign: bool = False) -> str:
    """Show a number; a dash where there is none; shares in percent."""
    if value is None or pd.isna(value):
        return "-"
    value = 100 * value if percent else value
    digits = 1 if percent else digits
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
