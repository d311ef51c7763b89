"""What the 360 page shows beside measures: training curves, and memorized sequences."""

from __future__ import annotations

import re

import pandas as pd

from itemwise.report.figures import data_url
from itemwise.report.profile_figures import Look, Panel, short, small_multiples
from itemwise.report.sequence_figures import sequence_maps
from itemwise.trajectories import training_logs
from itemwise.trajectories.axis import Axis
from itemwise.trajectories.sequences import METRIC

SHOWN = 4
"""Models with a figure of their own."""


def training_figure(
    tables: dict, looks: dict[str, Look], axis: Axis, span: tuple[float, float]
) -> str | None:
    """Return the figure of what the trainings logged, on the axis of the measures."""
    if tables["training_curves"] is None:
        return None
    curves = training_logs.placed(tables["training_curves"], axis)
    panels = [
        Panel(metric.replace("_", " "), curves[:0], part, None, False, None)
        for metric, part in curves.groupby("metric", sort=False)
    ]
    if not panels:
        return None
    reach = (min(span[0], curves["position"].min()), max(span[1], curves["position"].max()))
    return data_url(small_multiples(panels, looks, axis, reach))


def sequence_sections(tables: dict, placed: pd.DataFrame, label: str) -> list[dict]:
    """Return a figure for each model with scores of sequences.

    Parameters
    ----------
    tables : dict
        Of `trajectories.folder.read_folder`.
    placed : data frame
        Of `trajectories.gather.place`.
    label : str
        The axis in words.
    """
    histogram, correlation = tables["sequence_scores"], tables["sequence_correlations"]
    if histogram is None or correlation is None:
        return []
    made = []
    for (model, analysis), scores in histogram.groupby(["model", "analysis"], sort=False):
        mine = placed[(placed["model"] == model) & (placed["analysis"] == analysis)]
        places = mine.drop_duplicates("revision").sort_values("position")
        order = dict(zip(places["revision"], map(short, places["at"]), strict=True))
        classes = scores.assign(
            name=[f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in
                  zip(scores["score_from"], scores["score_to"], strict=True)],
            share=scores["n"] / scores.groupby("revision")["n"].transform("sum"),
        )  # fmt: skip
        both = correlation[(correlation["model"] == model) & (correlation["analysis"] == analysis)]
        figure = sequence_maps(
            _ordered(parts_of_data(mine), order),
            _ordered(classes.pivot(index="name", columns="revision", values="share"), order)
            .loc[classes["name"].drop_duplicates()],
            _ordered(_square(both), order, rows=True),
            label,
        )  # fmt: skip
        n = scores.groupby("revision")["n"].sum()
        made.append({"model": model, "analysis": analysis, "image": data_url(figure),
                     "n": int(n.max())})  # fmt: skip
    return made[:SHOWN]


def parts_of_data(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the share of tokens given back by chunk, by source where there is one chunk."""
    rows = measures[measures["metric"] == METRIC]
    for kind in ("chunk", "source"):
        part = rows[rows["group"].str.startswith(f"{kind} ")]
        if part["group"].nunique() > 1 or kind == "source":
            break
    part = part if len(part) else rows[rows["group"].str.startswith("chunk ")]
    wide = part.pivot(index="group", columns="revision", values="value")
    return wide.loc[sorted(wide.index, key=_natural)]


def _natural(name: str) -> list:
    """Return what sorts names with numbers as people do."""
    return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)]


def _square(both: pd.DataFrame) -> pd.DataFrame:
    """Return correlations as a matrix, checkpoint by checkpoint."""
    turned = both.rename(columns={"first": "second", "second": "first"})
    every = pd.concat([both, turned])
    return every.pivot(index="first", columns="second", values="pearson").astype(float)


def _ordered(table: pd.DataFrame, order: dict[str, str], rows: bool = False) -> pd.DataFrame:
    """Return the columns, and the rows, in the order of checkpoints and under their places."""
    known = [name for name in order if name in table]
    table = table.loc[known, known] if rows else table[known]
    table = table.rename(columns=order)
    return table.rename(index=order) if rows else table
