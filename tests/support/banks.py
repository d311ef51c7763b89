"""Banks of small benchmarks, made by the stages."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd

from itemwise.cli.main import main
from itemwise.irt.population import simulate_population
from itemwise.paths import ROOT
from itemwise.responses.item_facts import RUN_CONDITIONS
from itemwise.responses.matrix import write_responses
from itemwise.responses.sets import cut, write_test, write_training
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record


def build(folder, name: str, number: int, responses=None, known=None, size: int = 12) -> None:
    """Calibrate, select and read out one benchmark of 200 subjects; simulated by default."""
    if responses is None:
        responses = simulate_population(name, number, 200, 30, 0.0, 0.01, 1).responses

    def path(what: str):
        return folder / f"{name}.{what}"

    items = pd.DataFrame({"benchmark": name, "item": responses.items})
    if known is not None:
        items = items.merge(known, on="item")
    write_table(items, path("items.parquet"), "items")
    made = {"metric": None, "filter": None, **{what: [] for what in RUN_CONDITIONS}}
    write_record(made, path("build.json"))
    share = np.where(responses.administered, responses.matrix, np.nan)
    splits = pd.DataFrame({"subject": responses.subjects})
    splits["set"] = np.where(np.arange(200) < 150, "train", "test")
    splits["fold"] = np.where(np.arange(200) < 150, np.arange(200) % 5 + 1, np.nan)
    scores = pd.Series(100 * np.nanmean(share, axis=1), responses.subjects)
    training, test = cut(responses, splits, scores)
    write_responses(responses, path("responses.parquet"))
    write_training(training, path("training.parquet"))
    write_test(test, path("test.parquet"))
    known = ["--responses", path("training.parquet")]
    stage("fit-irt", folder, name, more=known, out="parameters", record="fit.json")
    stage("score-subjects", folder, name, "parameters", more=known, out="abilities")
    tables = ("training", "parameters", "abilities")
    options = ["--benchmark", name, "--budget", size]
    options += ["--method", "reconstruction", "--random-forms", 1]
    options += ["--out-folds", path("folds.parquet")]
    stage("select-items", folder, name, *tables, more=options, out="selection")
    for table, out in (("training", "forms"), ("test", "tested")):
        known = ["--responses", path(f"{table}.parquet")]
        if table == "training":
            known += ["--fold-selection", path("folds.parquet")]
            known += ["--out-folds", path("fold-forms.parquet")]
        stage("score-subjects", folder, name, "parameters", "selection", more=known, out=out)
    more = ["--benchmark", name, "--abilities", path("forms.parquet")]
    more += ["--out-terms", path("process-terms.parquet")]
    more += ["--out-reference", path("reference.parquet")]
    more += ["--fold-selection", path("folds.parquet")]
    more += ["--fold-abilities", path("fold-forms.parquet")]
    tables = ("training", "parameters", "selection")
    stage("fit-process", folder, name, *tables, more=more, out="process")
    command = ["Rscript", "--vanilla", ROOT / "R" / "fit_readout.R", "--benchmark", name]
    command += ["--abilities", path("forms.parquet")]
    for table in ("selection", "training", "parameters"):
        command += [f"--{table}", path(f"{table}.parquet")]
    for table in ("features", "terms", "linear"):
        command += [f"--out-{table}", path(f"{table}.parquet")]
    command += ["--form-formula", FORMULAS["form"], "--formula", FORMULAS["ability"]]
    command += ["--out", path("readout.parquet"), "--record", path("readout.json")]
    subprocess.run([str(part) for part in command], check=True)


def stage(name, folder, benchmark, *tables, more=(), out, record=None) -> None:
    words = [name, *more, "--out", folder / f"{benchmark}.{out}.parquet"]
    for table in tables:
        words += [f"--{table}", folder / f"{benchmark}.{table}.parquet"]
    words += ["--record", folder / f"{benchmark}.{record}"] if record else []
    assert main([str(word) for word in words]) == 0


FORMULAS = {
    "form": "full_score ~ s(linear, k = 6) + te(theta, se, k = 3)",
    "ability": "full_score ~ s(theta, k = 8) + se",
}


def join(made, names) -> None:
    """Fit the joint process."""
    files = {"training": "training", "parameters": "parameters", "abilities": "forms",
             "selections": "selection", "fold-selections": "folds",
             "fold-abilities": "fold-forms"}  # fmt: skip
    words = ["fit-joint-process", "--benchmarks", *names]
    for option, file in files.items():
        words += [f"--{option}", *(made / f"{name}.{file}.parquet" for name in names)]
    words += ["--out", made / "joint.parquet", "--out-terms", made / "joint.terms.parquet"]
    assert main([str(word) for word in [*words, "--record", made / "joint.json"]]) == 0


def joint_options(made, names) -> list[str]:
    """Return where the joint process lies, as options, where there are several benchmarks."""
    if len(names) < 2:
        return []
    if not (made / "joint.json").exists():
        join(made, names)
    terms, record = (str(made / name) for name in ("joint.terms.parquet", "joint.json"))
    return ["--joint-terms", terms, "--joint-record", record]


def assess(made, names) -> None:
    """Predict the test subjects."""
    files = {"test": "test", "parameters": "parameters", "form-abilities": "tested",
             "selections": "selection", "terms": "terms", "linear": "linear",
             "process-terms": "process-terms", "references": "reference"}  # fmt: skip
    words = ["assess-readout", "--benchmarks", *names, "--readout-records"]
    words += [made / f"{name}.readout.json" for name in names]
    for option, file in files.items():
        words += [f"--{option}", *(made / f"{name}.{file}.parquet" for name in names)]
    words += [*joint_options(made, names), "--out", made / "test.parquet"]
    words += ["--out-features", made / "test.features.parquet", "--record", made / "test.json"]
    assert main([str(word) for word in words]) == 0


def export(made, out, names=("one", "two"), more=(), **changed) -> int:
    """Write a bank of the tables of `build`; `changed` are other files for an option."""
    if not (made / "test.parquet").exists():
        assess(made, names)
    files = {
        "items": "items.parquet", "builds": "build.json", "form-abilities": "forms.parquet",
        "parameters": "parameters.parquet", "fits": "fit.json",
        "selections": "selection.parquet", "terms": "terms.parquet", "linear": "linear.parquet",
        "reconstructions": "readout.parquet", "readout-records": "readout.json",
        "process-terms": "process-terms.parquet", "references": "reference.parquet",
        "process-reconstructions": "process.parquet",
    }  # fmt: skip
    words = ["export-bank", "--benchmarks", *names]
    words += ["--assessment", str(made / "test.parquet"), "--out", str(out)]
    words += ["--source", "made up", "--licence", "none", *more]
    if "joint-terms" not in changed:
        words += joint_options(made, names)
    for option, file in files.items():
        paths = [str(made / f"{name}.{file}") for name in names]
        words += [f"--{option}", *changed.pop(option, paths)]
    for option, paths in changed.items():
        words += [f"--{option}", *paths]
    return main(words)
