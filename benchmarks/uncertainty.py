"""Proofs of what is around the read-outs: the random baseline, the bank."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from common import data_folder, markdown, write_evidence
from pipeline import BENCHMARKS, CONFIG, calibrated, options, stage

from itemwise.bank.folder import read_bank
from itemwise.paths import ROOT
from itemwise.readout.process_tables import PROCESS
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

FORM_SIZES = {"arc": 100, "gsm8k": 200}
DRAWS = 10_000


def random_baseline() -> None:
    """Draw the 10,000 random subsets of metabench's baseline, and take the time."""
    rows = []
    for benchmark in BENCHMARKS:
        files = calibrated("organization", benchmark)
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "baseline.parquet"
            start = time.perf_counter()
            stage(
                *("itemwise", "draw-baseline", "--training", files["whole"]),
                *options(files, "test"),
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
            "training RMSE, cross-fitted": f"{about['accuracy'][PROCESS]['train']['rmse']:.2f}",
            "test RMSE": f"{about['accuracy'][PROCESS]['test']['rmse']:.2f}",
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
