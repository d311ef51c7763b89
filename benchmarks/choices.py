"""Proofs of choices on real leaderboard data: read-out formulas, and the search over settings."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import EVIDENCE, markdown, write_evidence
from pipeline import (
    calibrated,
    fit_process,
    options,
    read_jointly,
    read_out,
    read_scored,
    score_forms,
    select,
    stage,
    without_part,
)
from scipy.optimize import nnls

from itemwise.adaptive.study import items_to_reach, study
from itemwise.irt.model import fill_expected
from itemwise.paths import ROOT
from itemwise.readout.accuracy import accuracy, rmse
from itemwise.readout.gam import predict_full_scores
from itemwise.readout.process_tables import PROCESS
from itemwise.report.figures import search as search_figure
from itemwise.responses.matrix import read_responses
from itemwise.stages.cut_sets import benchmark_scores
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

BENCHMARKS = {"arc": 100, "gsm8k": 200}
"""Items of the form."""


def s(name: str, k: int) -> str:
    """Write a smooth."""
    return f"s({name}, bs = 'cr', k = {k})"


FORMULAS = {
    "ability": s("theta", 40),
    "sub-score": s("sub_score", 20),
    "linear predictor": "linear",
    "smooth of the linear predictor": s("linear", 20),
    "... and of theta": f"{s('linear', 20)} + {s('theta', 20)}",
    "... and of the sub-score (default)": " + ".join(
        [s("linear", 20), s("theta", 20), s("sub_score", 10)]
    ),
    "... and of the standard error": " + ".join(
        [s("linear", 20), s("theta", 20), s("sub_score", 10), s("se", 10)]
    ),
    "surface of linear predictor and theta": "te(linear, theta, k = 8)",
}
"""Right-hand sides of the form read-out that are compared."""


DEFAULT = "... and of the sub-score (default)"
STACKED = ("ability", "sub-score", "smooth of the linear predictor", DEFAULT)
"""Read-outs that stacking weighs."""


def readout_choices() -> None:
    """Compare read-outs by nested cross-validation on training models."""
    errors = {benchmark: {} for benchmark in BENCHMARKS}
    files = {benchmark: calibrated("organization", benchmark) for benchmark in BENCHMARKS}
    splits = read_table(files["arc"]["splits"], "splits")
    splits = splits[splits["set"] == "train"].reset_index(drop=True)
    groups = splits["fold"].astype(int)
    for group in sorted(set(groups)):
        with tempfile.TemporaryDirectory() as scratch:
            read = {}
            for benchmark, size in BENCHMARKS.items():
                folder = Path(scratch) / benchmark
                folder.mkdir()
                fold, path = without_part(
                    files[benchmark], benchmark, size, splits, groups, group, folder
                )
                scored = score_forms(fold, folder, read_table(path, "selection"))
                read[benchmark], found = all_formulas(scored, benchmark, folder)
                for name, table in found.items():
                    errors[benchmark].setdefault(name, []).append(table)
            joint = read_jointly(read, Path(scratch))
            for benchmark in BENCHMARKS:
                mine = joint[joint["benchmark"] == benchmark]
                errors[benchmark].setdefault("joint with the other benchmark", []).append(mine)
    rows = {}
    for benchmark, size in BENCHMARKS.items():
        tables = {
            n: pd.concat(parts).set_index("subject") for n, parts in errors[benchmark].items()
        }
        for name, table in tables.items():
            row = rows.setdefault(name, {"read-out": name})
            # The joint read-out knows fewer models; the default is judged by the same.
            default = tables[DEFAULT].loc[table.index]
            z = z_of_difference(table, default)
            row[f"{benchmark}, {size} items"] = f"{accuracy(table)['rmse']:.3f}"
            row[f"{benchmark}: default on the same models"] = f"{accuracy(default)['rmse']:.3f}"
            row[f"{benchmark}: z against the default"] = f"{z:+.1f}"
    text = (
        "RMSE in points over training models, each predicted once: calibration, selection and "
        "read-out without its fold (organizations whole); test models take no part. z: mean "
        "difference of squared errors over its standard error, as if models were independent. "
        f"Stacking: non-negative weights of {', '.join(STACKED)}, from their out-of-fold "
        "predictions. Joint: with the features of the other benchmark, models that have both.\n\n"
        + markdown(pd.DataFrame(rows.values()))
    )
    write_evidence("readout_choices", "Read-outs by nested cross-validation", text, "make prove")


def all_formulas(scored: dict, benchmark: str, folder: Path) -> tuple[dict, dict]:
    """Read one fold out by every formula, by stacking and by the process.

    Returns the files of the default, and each read-out's reconstructions of the fold.
    """
    scored |= fit_process(scored, benchmark, folder)  # once: it has no formula
    train, found, files = {}, {}, {}
    for number, (name, terms) in enumerate(FORMULAS.items()):
        place = folder / str(number)
        place.mkdir()
        made = read_scored(
            scored, benchmark, place, None, "--form-formula", f"full_score ~ {terms}"
        )
        for what, tables in (("train", train), ("out", found)):
            table = read_table(made[what], "reconstructions")
            tables[name] = table[table["readout"] == "form"].reset_index(drop=True)
        files[name] = made
    table = read_table(files[DEFAULT]["out"], "reconstructions")
    found[PROCESS] = table[table["readout"] == PROCESS].reset_index(drop=True)
    seen = np.column_stack([train[name]["predicted"] for name in STACKED])
    weights = nnls(seen, train[DEFAULT]["full_score"].to_numpy())[0]
    weights /= weights.sum()
    together = np.column_stack([found[name]["predicted"] for name in STACKED]) @ weights
    found["stacking"] = found[DEFAULT].assign(predicted=together)
    return files[DEFAULT], found


def z_of_difference(table: pd.DataFrame, default: pd.DataFrame) -> float:
    """Return the mean difference of squared errors over its standard error."""
    squares = [(t["predicted"] - t["full_score"]) ** 2 for t in (table, default)]
    gap = (squares[0] - squares[1]).to_numpy()
    return float(gap.mean() / (gap.std() / np.sqrt(len(gap)))) if gap.any() else 0.0


def cat_choices() -> None:
    """Compare rules of adaptive tests by nested cross-validation on training models."""
    text = [
        "Rules of the default configuration, by which its own was chosen. Training models, each "
        "tested once: calibration, selection, read-out and correction of scores without its fold "
        "(organizations whole); test models take no part."
    ]
    for benchmark, size in BENCHMARKS.items():
        files = calibrated("organization", benchmark)
        splits = read_table(files["splits"], "splits")
        splits = splits[splits["set"] == "train"].reset_index(drop=True)
        groups = splits["fold"].astype(int)
        traces = []
        for group in sorted(set(groups)):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                fold, path = without_part(files, benchmark, size, splits, groups, group, folder)
                scored = score_forms(fold, folder, read_table(path, "selection"))
                record = path.with_suffix(".json")
                made = read_scored(scored, benchmark, folder, record)
                stage(
                    *("itemwise", "simulate-cat", "--benchmark", benchmark),
                    *options(made, "training", "test", "parameters", "selection", "terms"),
                    *options(made, "fold-parameters"),
                    *("--selection-record", record, "--out", folder / "traces.parquet"),
                )
                traces.append(read_table(folder / "traces.parquet", "cat_traces"))
        scores = benchmark_scores(files["full-scores"], benchmark)
        table = study(pd.concat(traces, ignore_index=True), scores)
        text += [f"## {benchmark}, form of {size} items", markdown(rule_rows(table))]
    write_evidence("cat_choices", "Rules of adaptive tests by nested cross-validation",
                   "\n\n".join(text), "make prove")  # fmt: skip


def rule_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of each rule at some lengths."""
    rows = []
    for rule, part in table.groupby("rule", sort=False):
        at = part.set_index("n_items")
        shown = [n for n in (10, 20, 40, 80) if n in at.index]
        row = {"rule": rule, "models": at["n_subjects"].iloc[0]}
        row |= {f"RMSE, {n}": f"{at['rmse'][n]:.2f}" for n in shown}
        row |= {f"median error, {n}": f"{at['median_error'][n]:.2f}" for n in shown}
        row["items to median 1.5"] = items_to_reach(part, "median_error", 1.5) or "not reached"
        rows.append(row)
    return pd.DataFrame(rows)


def settings_search() -> None:
    """Search on one benchmark: time, outcome, and the native read-out beside mgcv's."""
    text = [
        "50 trials over 1PL to 4PL, MAP and EAP, and four selectors; five inner folds, one outer "
        "fold; training models only."
    ]
    for benchmark, size in BENCHMARKS.items():
        files = calibrated("organization", benchmark)
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "trials.parquet"
            command = [sys.executable, "-m", "itemwise", "search-selection"]
            command += options(files, "training")
            command += [
                "--benchmark",
                benchmark,
                "--budget",
                str(size),
                "--trials",
                "50",
                "--threads",
                "2",
            ]
            command += ["--out", str(out), "--record", str(out.with_suffix(".json"))]
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=ROOT)
            seconds = time.perf_counter() - start
            trials, record = read_table(out, "trials"), read_record(out.with_suffix(".json"))
        figure = EVIDENCE / f"settings_search_{benchmark}.png"
        drawn = search_figure(trials)
        drawn.savefig(figure, dpi=130)
        plt.close(drawn)
        text += [f"## {benchmark}, {size} items: {seconds / 60:.1f} minutes"]
        text += [markdown(best_of_each(trials, record)), agreement(files, benchmark, size)]
        text += [f"![{benchmark}]({figure.name})"]
    write_evidence("settings_search", "The search over settings", "\n\n".join(text), "make prove")


def best_of_each(trials: pd.DataFrame, record: dict) -> pd.DataFrame:
    """Return the best trial of each selector, and the winner's error on the outer fold."""
    wide = trials.pivot(index=["trial", "value"], columns="parameter", values="setting")
    wide = wide.reset_index().sort_values("value")
    rows = [
        {
            "selector": method,
            "trials": len(part),
            "best model": part["model"].iloc[0],
            "scoring": part["scoring"].iloc[0],
            "RMSE, inner folds": f"{part['value'].iloc[0]:.3f}",
            "RMSE, outer fold": "-",
        }
        for method, part in wide.groupby("method", sort=False)
    ]
    rows[0]["RMSE, outer fold"] = f"{record['folds'][0]['outer_rmse']:.3f}"
    return pd.DataFrame(rows)


def agreement(files: dict, benchmark: str, size: int) -> str:
    """Read one form out natively and by mgcv; say how far the predictions are apart."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = select(files, benchmark, folder, "reconstruction", size)
        selection = read_table(path, "selection")
        made = read_out(files, benchmark, folder, selection)
        table = read_table(made["out"], "reconstructions")
        parts = [read_table(made[name], "features") for name in ("features", "tested")]
        features = pd.concat(parts).set_index("subject")
    mgcv = table[(table["set"] == "test") & (table["readout"] == "form")].set_index("subject")
    responses = read_responses(files["responses"]).select_subjects(features.index)
    parameters = read_table(files["parameters"], "parameters").set_index("item", drop=False)
    form = parameters.loc[selection["item"]]
    theta = features["theta"].loc[responses.subjects].to_numpy()
    chosen = responses.select_items(form["item"].tolist(), "responses")
    x = fill_expected(chosen.matrix, form, theta)
    scores = read_table(files["full-scores"], "full_scores")
    scores = scores[scores["benchmark"] == benchmark].set_index("subject")["full_score"]
    splits = read_table(files["splits"], "splits").set_index("subject").loc[responses.subjects]
    train = (splits["set"] == "train").to_numpy() & np.isin(responses.subjects, scores.index)
    test = np.isin(responses.subjects, mgcv.index)
    native = predict_full_scores(
        (x[train], theta[train]),
        scores.loc[responses.subjects[train]].to_numpy(),
        splits["fold"].to_numpy()[train],
        (x[test], theta[test]),
    )
    mgcv = mgcv.loc[responses.subjects[test]]
    apart = rmse(native, mgcv["predicted"])
    return (
        f"Native read-out beside mgcv's, same form, {test.sum()} test models: RMSE "
        f"{rmse(native, mgcv['full_score']):.3f} and "
        f"{rmse(mgcv['predicted'], mgcv['full_score']):.3f}; the predictions are {apart:.3f} "
        "points apart (root mean square)."
    )
