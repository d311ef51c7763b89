"""The distillation's stages as a study calls them, on real leaderboard data.

Everything goes through the commands, as a user runs them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import data_folder

from itemwise.paths import ROOT
from itemwise.readout.process_tables import JOINT_SMOOTHS
from itemwise.responses.matrix import read_responses
from itemwise.responses.sets import cut, write_test, write_training
from itemwise.stages.cut_sets import benchmark_scores
from itemwise.tables.contract import read_table, write_table

CONFIG = "tests/config/leaderboard.yaml"
SPLITS = {"organization": "leaderboard", "random": "leaderboard-random"}
"""Run of each kind of split."""
BENCHMARKS = ("arc", "gsm8k")


def stage(*command) -> None:
    """Run a stage: an R script, or an itemwise command."""
    command = [str(part) for part in command]
    first = ["Rscript", "--vanilla"] if command[0].endswith(".R") else [sys.executable, "-m"]
    done = subprocess.run(first + command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])}: {done.stderr.strip()}")


def calibrated(split: str, benchmark: str) -> dict[str, Path]:
    """Build, split, screen, calibrate and score; return the files."""
    data_folder()  # the configuration names it
    run = SPLITS[split]
    results = ROOT / "results" / run
    targets = [
        f"results/{run}/{name}/{b}.parquet"
        for name in ("score_subjects", "fit_folds")
        for b in BENCHMARKS
    ]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as changed:
        changed.write(f"run: {run}\nsplit: {{method: {split}, test: 0.1, folds: 9}}\n")
        changed.flush()
        command += ["--configfile", CONFIG, changed.name, "--", *targets]
        subprocess.run(command, cwd=ROOT, check=True)
    return {
        "responses": results / f"build_responses/{benchmark}.parquet",
        "full-scores": results / f"build_responses/{benchmark}.full-scores.parquet",
        "splits": results / "split_subjects/splits.parquet",
        "whole": results / f"cut_sets/{benchmark}.parquet",  # with screened-out items
        "training": results / f"training/{benchmark}.parquet",
        "test": results / f"test/{benchmark}.parquet",
        "parameters": results / f"fit_irt/{benchmark}.parquet",
        "fold-parameters": results / f"fit_folds/{benchmark}.parquet",
        "abilities": results / f"score_subjects/{benchmark}.parquet",
    }


def cut_again(files: dict[str, Path], benchmark: str, splits: pd.DataFrame) -> None:
    """Write the training and test table of the subjects of a splits table."""
    responses = read_responses(files["responses"])
    responses = responses.select_subjects(splits["subject"].to_numpy(object))
    training, test = cut(responses, splits, benchmark_scores(files["full-scores"], benchmark))
    write_training(training, files["training"])
    write_test(test, files["test"])


def options(files: dict[str, Path], *names: str) -> list[str]:
    """Return command-line options that name files."""
    return [part for name in names for part in (f"--{name}", str(files[name]))]


def select(files: dict, benchmark: str, folder: Path, method: str, size: int, *more) -> Path:
    """Run select_items, without random forms where `more` asks for none."""
    drawn = "--random-forms" in more
    out = folder / f"{method}-{size}.parquet"
    tables = options(files, "parameters", "abilities", "training")
    stage(
        *("itemwise", "select-items", *tables, "--benchmark", benchmark, "--method", method),
        *("--budget", size, "--out", out, "--record", out.with_suffix(".json"), *more),
        *("--out-folds", folds_of(out)),
        *(() if drawn else ("--random-forms", 1)),
    )
    if not drawn:
        table = read_table(out, "selection")
        write_table(table[table["form"] != "random1"], out, "selection")
    return out


def folds_of(selection: Path) -> Path:
    """Return where `select` puts the forms of a selection, or of its record, without each fold."""
    return selection.with_suffix(".folds.parquet")


def read_out(
    files: dict,
    benchmark: str,
    folder: Path,
    selection: pd.DataFrame,
    record: Path | None = None,
    *more,
) -> dict:
    """Score forms and read them out; return the files. `record` is that of the selection.

    `train` and `process-train` hold the cross-fitted training models, `out` and `tested` are
    what assess_readout says of the test models.
    """
    scored = score_forms(files, folder, selection)
    return read_scored(scored, benchmark, folder, record, *more)


def score_forms(files: dict, folder: Path, selection: pd.DataFrame, crossed: bool = True) -> dict:
    """Score forms; return the files, with those of selection and forms.

    `crossed`: training models by items that were calibrated without them.
    """
    names = ("selection", "forms", "tested-forms")
    made = {**files, **{name: folder / f"{name}.parquet" for name in names}}
    write_table(selection, made["selection"], "selection")
    training = ("--responses", files["training"])
    if crossed:
        training = options(files, "training", "fold-parameters")
    for given, out in ((training, "forms"), (("--responses", files["test"]), "tested-forms")):
        stage(
            *("itemwise", "score-subjects", *given, *options(files, "parameters")),
            *("--selection", made["selection"], "--threads", 2, "--out", made[out]),
        )
    return made


def read_scored(
    scored: dict, benchmark: str, folder: Path, record: Path | None = None, *more
) -> dict:
    """Fit the read-outs of scored forms and judge them; return the files.

    The process only where `scored` does not hold it yet.
    """
    made = {**scored, **fit_smooths(scored, benchmark, folder, record, *more)}
    if "reference" not in made:
        made |= fit_process(scored, benchmark, folder, record)
    made |= {name: folder / f"{name}.parquet" for name in ("out", "tested")}
    assess({benchmark: made}, made["out"], "--out-features", made["tested"])
    return made


def fit_smooths(
    scored: dict, benchmark: str, folder: Path, record: Path | None = None, *more
) -> dict[str, Path]:
    """Fit the smooths of scored forms; return the files they lie in."""
    made = {name: folder / f"{name}.parquet" for name in ("train", "features", "terms", "linear")}
    made["record"] = folder / "record.json"
    stage(
        *("R/fit_readout.R", "--abilities", scored["forms"], "--benchmark", benchmark),
        *options(scored, "selection", "training", "parameters"),
        *("--threads", 2, "--out", made["train"]),
        *("--out-features", made["features"], "--out-terms", made["terms"]),
        *("--out-linear", made["linear"], "--record", made["record"]),
        *(() if record is None else ("--selection-record", record)),
        *more,
    )
    return made


def fit_process(
    scored: dict, benchmark: str, folder: Path, record: Path | None = None
) -> dict[str, Path]:
    """Fit the Gaussian process of every scored form; return the files it writes."""
    names = ("process-train", "process-terms", "reference", "fold-forms", "again")
    made = {name: folder / f"{name}.parquet" for name in names}
    folds = ()
    if record is not None:
        folds = ("--fold-selection", folds_of(record))
        stage(
            "itemwise",
            "score-subjects",
            *options(scored, "training", "fold-parameters", "parameters", "selection"),
            *(*folds, "--out-folds", made["fold-forms"], "--out", made["again"]),
        )
        folds = (*folds, "--fold-abilities", made["fold-forms"])
    stage(
        *("itemwise", "fit-process", "--abilities", scored["forms"], "--benchmark", benchmark),
        *options(scored, "training", "parameters", "selection"),
        *("--out", made["process-train"], "--out-terms", made["process-terms"]),
        *("--out-reference", made["reference"], *folds),
    )
    return made


def assess(made: dict[str, dict], out: Path, *more) -> None:
    """Predict the test models of benchmarks that were read out."""
    parts = list(made.values())

    def each(name: str) -> list:
        return [part[name] for part in parts]

    stage(
        *("itemwise", "assess-readout", "--benchmarks", *made, "--test", *each("test")),
        *("--parameters", *each("parameters"), "--form-abilities", *each("tested-forms")),
        *("--selections", *each("selection")),
        *("--terms", *each("terms"), "--linear", *each("linear")),
        *("--process-terms", *each("process-terms"), "--references", *each("reference")),
        *("--readout-records", *each("record"), "--out", out),
        *more,
    )


def read_jointly(made: dict[str, dict], folder: Path, form: str = "A") -> pd.DataFrame:
    """Fit R's joint smooths and judge them; return their reconstructions of test models."""
    parts = list(made.values())
    paths = {name: folder / f"joint-{form}.{name}" for name in ("parquet", "terms", "json", "out")}
    features = []
    for benchmark, part in made.items():
        table = read_table(part["features"], "features")
        features.append(folder / f"{benchmark}-{form}.features.parquet")
        write_table(table[table["form"] == form], features[-1], "features")
    stage(
        *("R/fit_joint_readout.R", "--form", form, "--features", ",".join(map(str, features))),
        *("--selections", ",".join(str(part["selection"]) for part in parts)),
        *("--out", paths["parquet"], "--out-terms", paths["terms"], "--record", paths["json"]),
    )
    terms = ("--joint-smooths-terms", paths["terms"], "--joint-smooths-record", paths["json"])
    assess(made, paths["out"], *terms, "--form", form)
    table = read_table(paths["out"], "reconstructions")
    return table[table["readout"] == JOINT_SMOOTHS]


def without_part(files, benchmark, size, splits, groups, group, folder: Path) -> tuple[dict, Path]:
    """Calibrate, score and select without one part; return the files and the selection."""
    left_out = splits.copy()
    left_out["set"] = np.where(groups == group, "test", "train")
    others = sorted(set(groups) - {group})
    left_out["fold"] = groups.map({g: place for place, g in enumerate(others, start=1)})
    names = ("training", "test", "parameters", "fold-parameters", "abilities")
    fold = {**files, **{name: folder / f"{name}.parquet" for name in names}}
    record = folder / "fit.json"
    cut_again(fold, benchmark, left_out)
    stage(
        *("itemwise", "fit-irt", "--responses", fold["training"]),
        *("--threads", 2, "--out", fold["parameters"], "--record", record),
    )
    stage(
        *("itemwise", "fit-folds", *options(fold, "training", "parameters")),
        *("--fit", record, "--threads", 2, "--out", fold["fold-parameters"]),
    )
    stage(
        *("itemwise", "score-subjects", "--responses", fold["training"]),
        *options(fold, "parameters"),
        *("--threads", 2, "--out", fold["abilities"]),
    )
    return fold, select(fold, benchmark, folder, "reconstruction", size)
