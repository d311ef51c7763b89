"""Proofs of what is around the read-outs: item uncertainty, the random baseline, the bank."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from choices import s
from common import data_folder, markdown, write_evidence
from distil import BENCHMARKS, CONFIG, assess, calibrated, options, read_scored, score_forms, stage
from scipy.linalg import block_diag
from scipy.stats import binomtest

from itemwise import irt
from itemwise.bank import read_bank
from itemwise.config import ROOT
from itemwise.files import read_record
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.responses import Responses, write_responses
from itemwise.selection import random_forms
from itemwise.tables import read_table, write_table

REPLICATIONS = 25
TESTED = 400
POOL, FORM = 200, 40
FORM_SIZES = {"arc": 100, "gsm8k": 200}
DRAWS = 10_000


def calibration_error() -> None:
    """Cover with few calibration subjects, with and without the items' uncertainty."""
    rows = []
    for n_subjects in (100, 200):
        table = simulated(n_subjects)
        for readout in ("form", "ability"):
            row = {"calibration models": n_subjects, "read-out": readout}
            for held in (False, True):
                part = table[(table["readout"] == readout) & (table["held"] == held)]
                inside = part["full_score"].between(part["lower"], part["upper"])
                ends = binomtest(int(inside.sum()), len(inside)).proportion_ci()
                name = "with" if held else "without"
                row[f"coverage {name}"] = f"{inside.mean():.1%} ({ends.low:.1%}-{ends.high:.1%})"
                row[f"width {name}"] = f"{(part['upper'] - part['lower']).mean():.2f}"
            row["share of the variance of theta"] = f"{table['share'].mean():.1%}"
            rows.append(row)
    card = read_bank(leaderboard_bank()).card["benchmarks"]
    real = [
        f"- {name}, {about['n_subjects']} calibration models: "
        f"{about['calibration_error']:.3%} of the variance of theta from the short form"
        for name, about in card.items()
    ]
    text = (
        f"Simulated 2PL, {POOL} items of which {FORM} at random are the form; full score: percent "
        "right on all. Items are calibrated, and the read-out is fitted, on the same few models; "
        f"{TESTED} others are predicted, {REPLICATIONS} replications; 90 % intervals, with and "
        "without the part that the items' uncertainty adds. In brackets 95 % intervals of the "
        "share, as if models were independent.\n\n" + markdown(pd.DataFrame(rows))
        + "\n\nOn the leaderboard:\n\n" + "\n".join(real)
    )  # fmt: skip
    write_evidence("calibration_error", "Intervals hold the uncertainty of item parameters", text,
                   "make prove")  # fmt: skip


def simulated(n_subjects: int) -> pd.DataFrame:
    """Calibrate on few models and predict others, with and without the items' uncertainty.

    Every replication is a form with items and models of its own, so that one call of each
    stage does for all.
    """
    made = [replication(n_subjects, number) for number in range(REPLICATIONS)]
    names = ("responses", "full-scores", "splits", "parameters", "selection")
    formulas = ["--formula", f"full_score ~ {s('theta', 10)}"]
    formulas += ["--form-formula", f"full_score ~ {s('linear', 10)} + {s('theta', 10)}"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {name: folder / f"{name}.parquet" for name in names}
        blocks = [data for data, *_ in made]
        matrix = block_diag(*(data.matrix + 1 for data in blocks)).astype(np.int8) - 1
        subjects, items = (
            np.concatenate([getattr(data, name) for data in blocks])
            for name in ("subjects", "items")
        )
        write_responses(Responses(subjects, items, matrix), files["responses"])
        for place, name in enumerate(names[1:-1], start=1):
            table = pd.concat([one[place] for one in made], ignore_index=True)
            write_table(table, files[name], name.replace("-", "_"))
        selection = pd.concat([one[-1] for one in made], ignore_index=True)
        scored = score_forms(files, folder, selection)
        made = read_scored(scored, "b", folder, None, *formulas)
        held = read_table(made["out"], "reconstructions").assign(held=True)
        abilities = read_table(made["forms"], "abilities")
        caused, whole = (abilities[c].pow(2).mean() for c in ("se_calibration", "se"))
        write_table(abilities.drop(columns="se_calibration"), made["forms"], "abilities")
        assess({"b": made}, made["out"])
        bare = read_table(made["out"], "reconstructions").assign(held=False)
    return pd.concat([held, bare]).assign(share=caused / (caused + whole))


def replication(n_subjects: int, number: int) -> tuple:
    """Simulate and calibrate; return responses to the form, and the tables that go with it."""
    rng = np.random.default_rng([n_subjects, number])
    truth = draw_parameters(Design(n_subjects, POOL, "2PL", "none", 0.0), rng)
    truth["item"] = f"r{number:02d}." + truth["item"]
    theta = rng.standard_normal(n_subjects + TESTED)
    data = simulate_responses(truth, theta, [n_subjects, number], 0.0)
    subjects = np.array([f"r{number:02d}/{name}" for name in data.subjects], object)
    data = Responses(subjects, data.items, data.matrix)
    training = np.arange(len(subjects)) < n_subjects
    parameters, _ = irt.fit(data.take(subjects=training), "2PL", standard_errors=True)
    chosen = parameters["item"].to_numpy(object)
    chosen = chosen[random_forms(len(chosen), FORM, 1, number)[0]]
    table = pd.DataFrame({"subject": subjects})
    scores = table.assign(benchmark="b", full_score=100 * data.matrix.mean(axis=1))
    fold = np.where(training, np.arange(len(subjects)) % 5 + 1, np.nan)
    splits = table.assign(set=np.where(training, "train", "test"), fold=fold)
    form = pd.DataFrame({"item": chosen, "rank": np.arange(1, FORM + 1)})
    form = form.assign(benchmark="b", form=f"r{number:02d}", information=np.nan)
    form["theta_at_maximum"] = np.nan
    known = parameters[parameters["item"].isin(chosen)]
    return data.select_items(chosen, "responses"), scores, splits, known, form


def random_baseline() -> None:
    """Draw the 10,000 random subsets of metabench's baseline, and take the time."""
    rows = []
    for benchmark in BENCHMARKS:
        files = calibrated("organization", benchmark)
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "baseline.parquet"
            start = time.perf_counter()
            stage(
                *("itemwise", "draw-baseline"),
                *options(files, "responses", "full-scores", "splits"),
                *("--benchmark", benchmark, "--sizes", FORM_SIZES[benchmark], "--draws", DRAWS),
                *("--out", out, "--record", out.with_suffix(".json")),
            )
            seconds = time.perf_counter() - start
            rmse = read_table(out, "baseline")["rmse"]
            record = read_record(out.with_suffix(".json"))
        rows.append(
            {
                "benchmark": benchmark, "items": FORM_SIZES[benchmark], "draws": len(rmse),
                "training models": record["n_training"], "test models": record["n_test"],
                "seconds, all": f"{seconds:.1f}", "of them drawing": f"{record['seconds']:.1f}",
                "RMSE, median (5-95 %)": f"{rmse.median():.2f} "
                f"({rmse.quantile(0.05):.2f}-{rmse.quantile(0.95):.2f})",
            }
        )  # fmt: skip
    text = (
        "Random subsets of all items, each read out by one penalised spline of the sub-score; the "
        "whole command, and the drawing and fitting alone.\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("random_baseline", "10,000 random subsets", text, "make prove")


def bank() -> None:
    """Keep what the bank of ARC and GSM8K holds."""
    folder = leaderboard_bank()
    held = read_bank(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")
    rows = [
        {"file": str(path.relative_to(folder)), "kB": f"{path.stat().st_size / 1000:.1f}"}
        for path in files
    ]
    forms = [
        {
            "benchmark": name, "calibrated items": len(held.pool_items(name)),
            "form A": len(held.form_items(name)),
            "training RMSE, cross-fitted": f"{about['accuracy']['form']['train']['rmse']:.2f}",
            "test RMSE": f"{about['accuracy']['form']['test']['rmse']:.2f}",
        }
        for name, about in held.card["benchmarks"].items()
    ]  # fmt: skip
    total = sum(path.stat().st_size for path in files)
    card = (
        (folder / "README.md").read_text(encoding="utf-8").replace("# Item bank", "**Item bank**")
    )
    record = {key: value for key, value in held.card.items() if key != "sha256"}
    text = (
        f"`results/leaderboard/bank`, {total / 1000:.0f} kB in {len(files)} files; checksums of "
        f"all are in `bank.json`.\n\n{markdown(pd.DataFrame(forms))}\n\n"
        f"{markdown(pd.DataFrame(rows))}\n\n## The card for people\n\n{card}\n"
        f"## The card for programs, without checksums\n\n```json\n{json.dumps(record, indent=1)}"
        "\n```"
    )
    write_evidence("bank", "The bank of ARC and GSM8K", text, "make prove")


def leaderboard_bank() -> Path:
    """Return the bank of the pipeline proof, exported first where it is not there."""
    data_folder()  # the configuration names it
    folder = ROOT / "results/leaderboard/bank"
    if not (folder / "bank.json").exists():
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
        command += ["--configfile", CONFIG, "--", "results/leaderboard/bank"]
        subprocess.run(command, cwd=ROOT, check=True)
    return folder
