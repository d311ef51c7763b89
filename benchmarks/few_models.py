"""Proofs of intervals where few models calibrate: read-outs and adaptive tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from choices import s
from common import data_folder, markdown, write_evidence
from pipeline import assess, options, read_scored, score_forms, stage
from scipy.linalg import block_diag
from scipy.stats import binomtest
from uncertainty import leaderboard_bank

from itemwise import irt
from itemwise.bank.folder import read_bank
from itemwise.forms import random_forms
from itemwise.irt.cross_calibration import calibrate_folds
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses, read_responses
from itemwise.responses.sets import cut, write_test, write_training
from itemwise.tables.contract import read_table, write_table

REPLICATIONS = 25
TESTED = 400
POOL, FORM = 200, 40
ADAPTIVE = {"arc_secondary": "arc", "gsm8k_secondary": "gsm8k"}
"""Matrix and benchmark of the adaptive tests of few real models."""
DRAWS = 8
RULE = "pool:items=pool,min_length=24,max_length=24"


def calibration_error() -> None:
    """Cover with few calibration subjects, with and without the items' uncertainty."""
    rows = []
    for n_subjects in (100, 200):
        for crossed in (False, True):
            table = simulated(n_subjects, crossed)
            for readout in ("form", "ability"):
                row = {"calibration models": n_subjects, "read-out": readout}
                row["theta of training models"] = "cross-fitted" if crossed else "their own items"
                for held in (False, True):
                    part = table[(table["readout"] == readout) & (table["held"] == held)]
                    name = "with" if held else "without"
                    row |= coverage(part, name)
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
        "right on all. Items are calibrated, and the read-out is fitted, on the same few models, "
        "whose abilities come from these items, or from items calibrated without their fold; "
        f"{TESTED} others are predicted, {REPLICATIONS} replications; 90 % intervals, with and "
        "without the part that the items' uncertainty adds. In brackets 95 % intervals of the "
        "share, as if models were independent.\n\n" + markdown(pd.DataFrame(rows))
        + "\n\nOn the leaderboard:\n\n" + "\n".join(real)
    )  # fmt: skip
    write_evidence("calibration_error", "Intervals hold the uncertainty of item parameters", text,
                   "make prove")  # fmt: skip


def coverage(table: pd.DataFrame, name: str) -> dict:
    """Return coverage and width of the intervals of a table."""
    inside = table["full_score"].between(table["lower"], table["upper"])
    ends = binomtest(int(inside.sum()), len(inside)).proportion_ci()
    return {
        f"coverage {name}": f"{inside.mean():.1%} ({ends.low:.1%}-{ends.high:.1%})",
        f"width {name}": f"{(table['upper'] - table['lower']).mean():.2f}",
    }


def simulated(n_subjects: int, crossed: bool) -> pd.DataFrame:
    """Calibrate on few models and predict others, with and without the items' uncertainty.

    Every replication is a form with items and models of its own, so that one call of each
    stage does for all.
    """
    made = [replication(n_subjects, number) for number in range(REPLICATIONS)]
    names = ("training", "test", "parameters", "fold-parameters")
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
        splits = pd.concat([one[2] for one in made])
        scores = pd.concat([one[1] for one in made])
        write_sets(Responses(subjects, items, matrix), splits, scores, files)
        for place, name in enumerate(names[2:], start=3):
            table = pd.concat([one[place] for one in made], ignore_index=True)
            write_table(table, files[name], name.replace("-", "_"))
        selection = pd.concat([one[-1] for one in made], ignore_index=True)
        scored = score_forms(files, folder, selection, crossed)
        made = read_scored(scored, "b", folder, None, *formulas)
        held = read_table(made["out"], "reconstructions").assign(held=True)
        abilities = read_table(made["tested-forms"], "abilities")
        caused, whole = (abilities[c].pow(2).mean() for c in ("se_calibration", "se"))
        write_table(abilities.drop(columns="se_calibration"), made["tested-forms"], "abilities")
        assess({"b": made}, made["out"])
        bare = read_table(made["out"], "reconstructions").assign(held=False)
    return pd.concat([held, bare]).assign(share=caused / (caused + whole))


def write_sets(
    responses: Responses, splits: pd.DataFrame, scores: pd.DataFrame, files: dict[str, Path]
) -> None:
    """Cut subjects by splits, and write the training and the test table."""
    training, test = cut(responses, splits, scores.set_index("subject")["full_score"])
    write_training(training, files["training"])
    write_test(test, files["test"])


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
    folds, _ = calibrate_folds(
        data.take(subjects=training), splits.set_index("subject")["fold"], parameters, "2PL", "none"
    )
    form = pd.DataFrame({"item": chosen, "rank": np.arange(1, FORM + 1)})
    form = form.assign(benchmark="b", form=f"r{number:02d}", information=np.nan)
    form["theta_at_maximum"] = np.nan
    known, crossed = (t[t["item"].isin(chosen)] for t in (parameters, folds))
    return data.select_items(chosen, "responses"), scores, splits, known, crossed, form


def adaptive_few() -> None:
    """Cover by adaptive tests whose bank few real models calibrated."""
    rows = []
    for matrix, benchmark in ADAPTIVE.items():
        for n_subjects in (80, 300):
            drawn = [few(matrix, benchmark, n_subjects, number) for number in range(DRAWS)]
            for crossed in (False, True):
                table = pd.concat(part[crossed] for part in drawn)
                row = {"benchmark": benchmark, "calibration models": n_subjects}
                row["training models tested by"] = (
                    "items of the other folds" if crossed else "their own items"
                )
                row["RMSE"] = f"{np.sqrt((table['error'] ** 2).mean()):.2f}"
                shares = [
                    (t["error"].abs() <= t["half_width"]).mean()
                    for t in (p[crossed] for p in drawn)
                ]
                row["coverage"] = (
                    f"{np.mean(shares):.1%} (SE {np.std(shares, ddof=1) / np.sqrt(DRAWS):.1%})"
                )
                row["width"] = f"{2 * table['half_width'].mean():.2f}"
                rows.append(row)
    text = (
        f"Real models drawn at random, {DRAWS} times, calibrate the items of a metabench form, fit "
        f"the read-out and correct the scores of the rule `{RULE}`; {TESTED} others are tested. "
        "Full scores: those of the whole benchmark. 90 % intervals; SE: over the draws.\n\n"
        + markdown(pd.DataFrame(rows))
    )  # fmt: skip
    write_evidence("adaptive_few", "Adaptive tests calibrated by few models", text, "make prove")


def few(matrix: str, benchmark: str, n_subjects: int, number: int) -> list[pd.DataFrame]:
    """Test models by a bank of few; return errors and half-widths, in-sample and crossed."""
    rng = np.random.default_rng([n_subjects, number])
    scores = read_table(data_folder() / "leaderboard/full-scores.parquet", "full_scores")
    scores = scores[scores["benchmark"] == benchmark]
    responses = read_responses(data_folder() / f"leaderboard/{matrix}.responses.parquet")
    responses = responses.select_subjects(scores["subject"].to_numpy(object))
    drawn = rng.permutation(len(responses.subjects))[: n_subjects + TESTED]
    responses = responses.take(subjects=drawn)
    training = np.arange(len(drawn)) < n_subjects
    splits = pd.DataFrame({"subject": responses.subjects})
    splits["set"] = np.where(training, "train", "test")
    splits["fold"] = np.where(training, np.arange(len(drawn)) % 10 + 1, np.nan)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names = ("training", "test", "parameters", "fold-parameters", "traces")
        files = {name: folder / f"{name}.parquet" for name in names}
        write_sets(responses, splits, scores, files)
        record = folder / "fit.json"
        given = ("--responses", files["training"])
        stage("itemwise", "fit-irt", *given, "--out", files["parameters"], "--record", record)
        stage(
            *("itemwise", "fit-folds", *options(files, "training", "parameters")),
            *("--fit", record, "--out", files["fold-parameters"]),
        )
        items = read_table(files["parameters"], "parameters")[["item"]]
        form = items.assign(benchmark=benchmark, form="A", rank=np.arange(1, len(items) + 1))
        form = form.assign(information=np.nan, theta_at_maximum=np.nan)
        formula = ["--formula", f"full_score ~ {s('theta', 10)}"]
        formula += ["--form-formula", f"full_score ~ {s('theta', 10)}"]
        tested = []
        for crossed in (False, True):
            scored = score_forms(files, folder, form, crossed)
            made = read_scored(scored, benchmark, folder, None, *formula)
            stage(
                *("itemwise", "simulate-cat", "--benchmark", benchmark, "--rules", RULE),
                *options(made, "training", "test", "parameters", "terms"),
                *(options(made, "fold-parameters") if crossed else ()),
                *("--out", files["traces"]),
            )
            last = read_table(files["traces"], "cat_traces").groupby("subject").last()
            true = scores.set_index("subject")["full_score"].loc[last.index]
            tested.append(last.assign(error=last["predicted"] - true, draw=number))
    return tested
