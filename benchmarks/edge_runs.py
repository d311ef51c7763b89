"""Proof: complete runs on small and awkward simulated data end, and keep what they state."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
import pandas as pd
from common import markdown, write_evidence

from itemwise.bank.power import minimum_detectable_difference
from itemwise.cli.main import main
from itemwise.forms import MAIN_FORM
from itemwise.irt.simulation import simulate_responses
from itemwise.paths import ROOT
from itemwise.readout.accuracy import accuracy
from itemwise.readout.assessment import FittedForms, assess, assess_processes
from itemwise.readout.process_tables import PROCESS
from itemwise.responses.matrix import Responses, write_responses
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record

RUNS = 100
SECONDS = 720
"""No run starts after so many seconds; those before it count."""
ITEMS = 80
NEW = 1000
"""Models drawn anew for each run: coverage and power are theirs."""
PAIRS = 3000
"""Pairs of new models as far apart as stated, by run."""
SIZES = (60, 100, 150, 400)
BUDGETS = (20, 5, 10, 2)
RANDOM_FORMS = 3
READOUTS = (PROCESS, "form", "ability")
COLUMNS = ["died", *(f"coverage {readout}" for readout in READOUTS), "stated", "power"]
KINDS = ("one ability", "two abilities", "permuted scores")


@dataclass(frozen=True)
class Case:
    """One simulated run.

    Attributes
    ----------
    model : str
        Of the truth and of the calibration.
    kind : str
        One of `KINDS`.
    n_models, budget, seed : int
        Models of the run, items of its form, seed of all draws.
    """

    model: str
    kind: str
    n_models: int
    budget: int
    seed: int


def cases(n: int) -> list[Case]:
    """Return `n` runs: every model and kind in turn, of sizes and forms that change."""
    plans = cycle(product(("1PL", "2PL", "3PL"), KINDS))
    return [
        Case(*plan, SIZES[(number // 9 + number) % 4], BUDGETS[(number // 9 + number // 3) % 4],
             number)
        for number, plan in enumerate(islice(plans, n))
    ]  # fmt: skip


def edge_runs() -> None:
    """Run them all; count deaths, coverage, and how often stated differences are found."""
    began = time.monotonic()
    rows = []
    for case in cases(RUNS):
        if time.monotonic() - began > SECONDS:
            break
        rows.append(outcome(case))
        print(rows[-1], flush=True)
    write_evidence("edge_runs", "Runs at the edges", page(pd.DataFrame(rows)), "make prove")


def page(table: pd.DataFrame) -> str:
    """Return the evidence: one row a kind of run, then every death."""
    rows = []
    for name in ("model", "kind", "n_models", "budget"):
        for value, part in table.groupby(name, sort=False):
            rows.append({"runs": value if name in ("model", "kind") else f"{name} {value}",
                         **summary(part)})  # fmt: skip
    rows.append({"runs": "all", **summary(table)})
    head = (
        f"{len(table)} complete runs on simulated data, all that began within {SECONDS / 60:.0f} "
        f"minutes: build, split (a tenth tests, 5 folds), screen, calibrate, select, score, read "
        f"out, assess; {ITEMS} items, {RANDOM_FORMS} random forms. Two abilities: every other "
        f"item measures the second, uncorrelated. Then {NEW} models are drawn anew: coverage of "
        "their 90 % intervals, and how often two of them are told apart whose full scores differ "
        "by the smallest detectable difference that the run states (to half an item). `stated`: "
        "runs that state one, the others say that none is found with 80 % power. Brackets: 95 % "
        "intervals over runs, which vary since each learns from a few models.\n\n"
    )
    died = table.loc[table["died"] != "", ["seed", "died"]]
    text = head + markdown(pd.DataFrame(rows))
    return text if died.empty else f"{text}\n\nDied:\n\n{markdown(died)}"


def summary(part: pd.DataFrame) -> dict:
    """Return a row: deaths, coverage by read-out, how many state a difference, its power."""
    part = part.reindex(columns=COLUMNS)
    power = part["power"].dropna()
    return {
        "number": len(part),
        "died": int((part["died"] != "").sum()),
        **{f"coverage, {readout}": mean_of(part[f"coverage {readout}"]) for readout in READOUTS},
        "stated": int(part["stated"].notna().sum()),
        "its median": f"{part['stated'].median():.1f}" if part["stated"].notna().any() else "-",
        "power": mean_of(power),
    }


def mean_of(values: pd.Series) -> str:
    """Return a mean share with its 95 % interval."""
    values = values.dropna()
    if len(values) < 2:
        return f"{values.mean():.1%}" if len(values) else "-"
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = max(0, values.mean() - half), min(1, values.mean() + half)
    return f"{values.mean():.1%} ({low:.1%}-{high:.1%})"


def outcome(case: Case) -> dict:
    """Return what became of one run."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return {**vars(case), "died": "", **judged(case, Path(scratch))}
        except RunDiedError as error:
            return {**vars(case), "died": str(error)}


class RunDiedError(Exception):
    """A stage ended with an error."""


def simulate(case: Case) -> tuple[Responses, np.ndarray]:
    """Draw models of the run and new ones; return responses and full scores (points)."""
    rng = np.random.default_rng([case.seed, 19])
    n = case.n_models + NEW
    slopes = np.ones(ITEMS) if case.model == "1PL" else rng.lognormal(0.2, 0.4, ITEMS)
    truth = pd.DataFrame({"item": [f"i{i:03d}" for i in range(ITEMS)], "a": slopes})
    truth["d"] = -slopes * rng.normal(0, 1, ITEMS)
    truth["g"] = rng.beta(4, 16, ITEMS) if case.model == "3PL" else 0.0
    truth["u"] = 1.0
    halves = [np.arange(ITEMS) % 2 == half for half in (0, 1)]
    matrix = np.empty((n, ITEMS), np.int8)
    abilities = rng.standard_normal((2, n)) * 1.2
    for half, columns in enumerate(halves):
        theta = abilities[half if case.kind == "two abilities" else 0]
        drawn = simulate_responses(truth[columns], theta, [case.seed, half])
        matrix[:, columns] = drawn.matrix
    subjects = np.array([f"lab{i // 3:04d}/model{i:04d}" for i in range(n)], object)
    score = 100 * matrix.mean(axis=1)
    if case.kind == "permuted scores":
        score = rng.permutation(score)
    return Responses(subjects, truth["item"].to_numpy(object), matrix), score


def run_stages(case: Case, data: Responses, score: np.ndarray, folder: Path) -> dict[str, Path]:
    """Build, split, screen, calibrate, select, score, read out and assess; return the files."""
    names = ("responses", "items", "subjects", "full-scores", "splits", "cut", "test", "screened",
             "training", "parameters", "fold-parameters", "abilities", "selection", "folds",
             "fold-forms", "forms", "tested-forms", "train", "features", "terms", "linear",
             "predicted", "source", "scores", "process-train", "process-terms",
             "reference")  # fmt: skip
    file = {name: folder / f"{name}.parquet" for name in names}
    write_responses(data, file["source"])
    table = pd.DataFrame({"subject": data.subjects, "benchmark": "b", "full_score": score})
    write_table(table, file["scores"], "full_scores")

    def given(*options: str) -> list:
        return [part for name in options for part in (f"--{name}", file[name])]

    def record(name: str) -> Path:
        return folder / f"{name}.json"

    stage("build-responses", "--benchmark", "b", "--sources", file["source"],
          "--full-scores", file["scores"], "--out", file["responses"], "--out-items",
          file["items"], "--out-subjects", file["subjects"], "--out-full-scores",
          file["full-scores"], "--record", record("build"))  # fmt: skip
    stage("R/split_subjects.R", *given("subjects", "full-scores"), "--method", "random",
          "--test", 0.1, "--folds", 5, "--seed", case.seed, "--out", file["splits"],
          "--record", record("splits"))  # fmt: skip
    stage("cut-sets", *given("responses", "splits", "full-scores"), "--benchmarks", "b",
          "--out-training", file["cut"], "--out-test", file["test"])  # fmt: skip
    stage("R/screen_items.R", "--training", file["cut"], *given("items"), "--out",
          file["screened"], "--out-training", file["training"],
          "--record", record("screened"))  # fmt: skip
    stage("fit-irt", "--responses", file["training"], "--model", case.model, "--prior", "weak",
          "--out", file["parameters"], "--record", record("fit"))  # fmt: skip
    stage("fit-folds", *given("training", "parameters"), "--fit", record("fit"),
          "--out", file["fold-parameters"], "--record", record("folds"))  # fmt: skip
    stage("score-subjects", "--responses", file["training"], *given("parameters"),
          "--out", file["abilities"])  # fmt: skip
    stage("select-items", *given("parameters", "abilities", "training"),
          "--benchmark", "b", "--budget", case.budget, "--random-forms", RANDOM_FORMS,
          "--seed", case.seed, "--out", file["selection"], "--out-folds", file["folds"],
          "--record", record("selection"))  # fmt: skip
    stage("score-subjects", *given("training", "parameters", "fold-parameters", "selection"),
          "--fold-selection", file["folds"], "--out-folds", file["fold-forms"],
          "--out", file["forms"])  # fmt: skip
    stage("score-subjects", "--responses", file["test"], *given("parameters", "selection"),
          "--out", file["tested-forms"])  # fmt: skip
    stage("R/fit_readout.R", "--abilities", file["forms"],
          *given("selection", "training", "parameters"),
          "--selection-record", record("selection"), "--benchmark", "b", "--out", file["train"],
          "--out-features", file["features"], "--out-terms", file["terms"], "--out-linear",
          file["linear"], "--record", record("readout"))  # fmt: skip
    stage("fit-process", "--abilities", file["forms"],
          *given("selection", "training", "parameters"),
          "--fold-selection", file["folds"], "--fold-abilities", file["fold-forms"],
          "--benchmark", "b", "--out", file["process-train"], "--out-terms", file["process-terms"],
          "--out-reference", file["reference"])  # fmt: skip
    stage("assess-readout", "--benchmarks", "b", *given("test", "parameters", "terms", "linear"),
          *given("process-terms"), "--references", file["reference"],
          "--form-abilities", file["tested-forms"], "--selections", file["selection"],
          "--readout-records", record("readout"), "--out", file["predicted"],
          "--record", record("predicted"))  # fmt: skip
    return file


def stage(*command) -> None:
    """Run one stage, Python's in this process."""
    words = [str(word) for word in command]
    if words[0].endswith(".R"):
        done = subprocess.run(["Rscript", "--vanilla", *words], cwd=ROOT, capture_output=True,
                              text=True)  # fmt: skip
        status, said = done.returncode, done.stderr.strip()
    else:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            status = main(words)
        said = told.getvalue()
    if status:
        raise RunDiedError(f"{words[0]}: {said[-300:] or status}")


def judged(case: Case, folder: Path) -> dict:
    """Run one case; return coverage and power on the models drawn anew."""
    data, score = simulate(case)
    old = np.arange(len(score)) < case.n_models
    file = run_stages(case, data.take(subjects=old), score[old], folder)
    return new_models(file, data.take(subjects=~old), score[~old], case.seed)


def new_models(file: dict[str, Path], data: Responses, score: np.ndarray, seed: int) -> dict:
    """Predict models drawn anew; return coverage by read-out, and the power of the difference."""
    paths = {name: file["predicted"].with_name(f"new-{name}.parquet") for name in ("data", "forms")}
    write_responses(data, paths["data"])
    stage("score-subjects", "--responses", paths["data"], "--parameters", file["parameters"],
          "--selection", file["selection"], "--out", paths["forms"])  # fmt: skip
    made = FittedForms(
        "b", data,
        *(read_table(path, name) for path, name in (
            (file["parameters"], "parameters"), (paths["forms"], "abilities"),
            (file["selection"], "selection"), (file["terms"], "terms"),
            (file["linear"], "linear_predictors"), (file["process-terms"], "terms"),
            (file["reference"], "reference"))),
        pd.Series(score, index=data.subjects),
    )  # fmt: skip
    table = pd.concat([assess(made, made.features("test")), assess_processes(made, "test")])
    told = read_table(file["process-train"], "reconstructions")
    row = {}
    for readout in READOUTS:
        main_form = table[(table["form"] == MAIN_FORM) & (table["readout"] == readout)]
        row |= {f"{name} {readout}": value for name, value in accuracy(main_form).items()}
    own = told[told["form"] == MAIN_FORM]
    optimism = read_record(file["selection"].with_suffix(".json"))["optimism"]
    stated = minimum_detectable_difference(own, optimism=optimism)
    main_form = table[(table["form"] == MAIN_FORM) & (table["readout"] == PROCESS)]
    return row | {"stated": stated["difference"], "power": power(main_form, stated, seed)}


def power(table: pd.DataFrame, stated: dict, seed: int) -> float:
    """Return how often pairs of models that differ as stated are told apart."""
    if stated["difference"] is None:
        return np.nan
    full, predicted = (table[name].to_numpy() for name in ("full_score", "predicted"))
    first, second = np.random.default_rng(seed).integers(0, len(full), (2, 4_000_000))
    # Scores lie on the lattice of the items: the nearest differences, on both sides.
    near = np.abs(full[second] - full[first] - stated["difference"]) <= 50 / ITEMS
    first, second = first[near][:PAIRS], second[near][:PAIRS]
    if len(first) < 100:
        return np.nan
    return float(
        (predicted[second] - predicted[first] > 1.959964 * stated["standard_deviation"]).mean()
    )
