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
from distil import calibrated, options, read_out, select, without_part

from itemwise.config import ROOT
from itemwise.files import read_record
from itemwise.native_readout import predict_full_scores
from itemwise.readout import accuracy, rmse
from itemwise.report.figures import search as search_figure
from itemwise.responses import read_responses
from itemwise.selectors import fill_expected
from itemwise.tables import read_table

BENCHMARKS = {"arc": 100, "gsm8k": 200}
"""Items of the form."""


def s(name: str, k: int) -> str:
    """Write a smooth."""
    return f"s({name}, bs = 'cr', k = {k})"


FORMULAS = {
    "ability": s("theta", 20),
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


def readout_choices() -> None:
    """Compare read-outs by nested cross-validation on training models."""
    rows = {name: {"read-out": name} for name in FORMULAS}
    for benchmark, size in BENCHMARKS.items():
        errors = {name: [] for name in FORMULAS}
        files = calibrated("organization", benchmark)
        splits = read_table(files["splits"], "splits")
        splits = splits[splits["set"] == "train"].reset_index(drop=True)
        groups = splits["fold"].astype(int)
        for group in sorted(set(groups)):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                fold, path = without_part(files, benchmark, size, splits, groups, group, folder)
                selection = read_table(path, "selection")
                for name, terms in FORMULAS.items():
                    more = ("--form-formula", f"full_score ~ {terms}")
                    made = read_out(fold, benchmark, folder, selection, None, *more)
                    table = read_table(made["out"], "reconstructions")
                    test = table[(table["set"] == "test") & (table["readout"] == "form")]
                    errors[name].append(test)
        default = pd.concat(errors["... and of the sub-score (default)"])
        squares = ((default["predicted"] - default["full_score"]) ** 2).to_numpy()
        for name, parts in errors.items():
            table = pd.concat(parts)
            other = ((table["predicted"] - table["full_score"]) ** 2).to_numpy() - squares
            z = other.mean() / (other.std() / np.sqrt(len(other))) if other.any() else 0.0
            rows[name][f"{benchmark}, {size} items"] = f"{accuracy(table)['rmse']:.3f}"
            rows[name][f"{benchmark}: z against the default"] = f"{z:+.1f}"
    text = (
        "RMSE in points over training models, each predicted once: calibration, selection and "
        "read-out without its fold (organizations whole); test models take no part. z: mean "
        "difference of squared errors over its standard error, as if models were independent.\n\n"
        + markdown(pd.DataFrame(rows.values()))
    )
    write_evidence("readout_choices", "Read-outs by nested cross-validation", text, "make prove")


def settings_search() -> None:
    """Search on one benchmark: time, outcome, and the native read-out beside mgcv's."""
    text = [
        "50 trials over 1PL to 4PL, MAP and EAP, and four selectors; five inner folds, one outer "
        "fold; training models only."
    ]
    for benchmark, size in BENCHMARKS.items():
        files = calibrated("organization", benchmark)
        items = ROOT / f"results/leaderboard/screen_items/{benchmark}.parquet"
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "trials.parquet"
            command = [sys.executable, "-m", "itemwise", "search-selection", "--items", str(items)]
            command += options(files, "responses", "splits", "full-scores")
            command += ["--benchmark", benchmark, "--budget", str(size), "--threads", "2"]
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
        features = read_table(made["features"], "features").set_index("subject")
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
