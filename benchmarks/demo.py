"""The demo: what it takes, and how well a tenth of the items tells the whole story."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from common import EVIDENCE, markdown, write_evidence

from itemwise.paths import ROOT
from itemwise.report.content import load_benchmark, summary
from itemwise.report.held_out import figure, held_out_errors, read_runs
from itemwise.tables.contract import read_table
from itemwise.workflow.run_summary import by_phase, read_jobs, time_at_work

RUN = ROOT / "results" / "demo"
BENCHMARKS = ("knowledge", "grammar", "sequences", "numbers")
HELD_OUT = ("held-out", "held-out-small")
WINDOW = (1100, 3300)
SIMULATED = ROOT / "results" / "simulated"


def demo() -> None:
    """Run the demo as `make demo` does, and tell what came out."""
    cores = str(os.cpu_count())
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--quiet", "all"]
    subprocess.run(command, cwd=ROOT, check=True)
    for name, table in read_runs(RUN, list(HELD_OUT)).items():
        drawn = figure(table)
        drawn.savefig(EVIDENCE / f"demo_{name}.png", dpi=110)
        plt.close(drawn)
    parts = [
        "Tiny language models of a made-up world, trained on the spot: these numbers tell how the "
        "pipeline works on real training runs, nothing of large language models.",
        "## What went in", went_in(),
        "## Test models: runs that took no part in anything", markdown(test_rows()),
        "RMSE and MAE in points; standard errors (SE) of the RMSE clustered by training run.",
        "## Held-out training runs, measured at each checkpoint", markdown(held_out_rows()),
        *[f"![scores of {name} against training tokens](demo_{name}.png)" for name in HELD_OUT],
        "Two runs: their shares and standard errors are rough.",
        "## Adaptive tests simulated on the test models", markdown(study_rows()),
        "## What it took", took(),
    ]  # fmt: skip
    if photograph(RUN / "report.html", EVIDENCE / "demo_report.png", WINDOW):
        parts.append("## The report\n\n![top of the report](demo_report.png)")
    write_evidence("demo", "The demo", "\n\n".join(parts), "python benchmarks/prove.py demo")


def report_page() -> None:
    """Take the picture of the report that the tutorials show, from the simulated demo."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count()), "--quiet", "all",
               "--configfile", "config/simulated.yaml"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    photograph(SIMULATED / "report.html", EVIDENCE / "report_page.png", (1100, 1480))


def went_in() -> str:
    """Describe the models and how far their scores spread."""
    scores = pd.concat(
        read_table(RUN / f"build_responses/{b}.full-scores.parquet", "full_scores")
        for b in BENCHMARKS
    )
    subjects = read_table(RUN / "build_responses/knowledge.subjects.parquet", "subjects")
    wide = scores.pivot(index="subject", columns="benchmark", values="full_score")
    spread = pd.DataFrame({"SD": wide.std(), "least": wide.min(), "largest": wide.max()})
    spread.loc["mean of all"] = [f(wide.mean(axis=1)) for f in (pd.Series.std, min, max)]
    table = spread.map("{:.1f}".format).rename_axis("score, points").reset_index()
    largest = subjects["parameters"].max()
    return (
        f"{len(subjects)} checkpoints of {subjects['group'].nunique()} training runs calibrate, "
        f"with {subjects['parameters'].min():,.0f} to {largest:,.0f} weights and up to "
        f"{subjects['tokens'].max():,.0f} training tokens.\n\n{markdown(table)}"
    )


def test_rows() -> pd.DataFrame:
    """Return the errors on test models."""
    rows = []
    for name in BENCHMARKS:
        row = summary(load_benchmark(RUN, name, simulated=False, reference=False))
        rows.append(
            {
                "benchmark": name, "items": row["items"], "after screening": row["kept"],
                "selected": row["selected"],
                "test checkpoints (runs)": f"{row['test_subjects']} ({row['clusters']})",
                "RMSE (SE)": f"{row['rmse']:.2f} ({row['se']:.2f})", "MAE": f"{row['mae']:.2f}",
                "covered by 90 % intervals": f"{100 * row['coverage']:.0f} %",
                "random forms, RMSE, median (5-95 %)": f"{row['random']['median']:.2f} "
                f"({row['random']['low']:.2f}-{row['random']['high']:.2f})",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def held_out_rows() -> pd.DataFrame:
    """Return the errors on held-out runs."""
    return pd.DataFrame(
        {
            "benchmark": row["benchmark"], "measure": row["measure"],
            "items asked, mean": f"{row['n_items']:.1f} of {row['n_full']}",
            "checkpoints": row["n"], "RMSE (SE)": f"{row['rmse']:.2f} ({row['se']:.2f})",
            "MAE": f"{row['mae']:.2f}", "covered": f"{100 * row['coverage']:.0f} %",
            "mean width of intervals": f"{row['width']:.1f}",
        }
        for row in held_out_errors(RUN)
    )  # fmt: skip


def study_rows() -> pd.DataFrame:
    """Return the errors of each rule at the end of its tests."""
    rows = []
    for name in BENCHMARKS:
        study = read_table(RUN / f"simulate_cat/{name}.study.parquet", "cat_study")
        for rule, part in study.groupby("rule", sort=False):
            last = part.iloc[-1]
            rows.append(
                {
                    "benchmark": name, "rule": rule, "items, mean": f"{last['mean_length']:.1f}",
                    "RMSE": f"{last['rmse']:.2f}",
                    "covered by 90 % intervals": f"{100 * last['coverage']:.0f} %",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def took() -> str:
    """Return what each phase took."""
    jobs = read_jobs(RUN)
    phases = by_phase(jobs)
    phases.loc["all"] = phases.sum()
    phases.loc["all", ["longest", "memory"]] = phases[["longest", "memory"]].iloc[:-1].max()
    table = pd.DataFrame(
        {
            "phase": phases.index,
            "jobs": phases["jobs"].astype(int),
            "seconds, summed": phases["busy"].map("{:.0f}".format),
            "of one CPU": phases["cpu"].map("{:.0f}".format),
            "longest job": phases["longest"].map("{:.0f}".format),
            "memory, MB": phases["memory"].map("{:.0f}".format),
        }
    )
    return (
        f"{markdown(table)}\n\nAt least one job was at work for {time_at_work(jobs) / 60:.1f} "
        f"minutes, between {clock(jobs['start'].min())} and {clock(jobs['end'].max())}; results of "
        "an earlier, interrupted or changed run are kept where they still hold. Seconds of one "
        "CPU are what the jobs themselves computed, as sampled: where they are far below the "
        "seconds, other programs had the processor."
    )


def clock(seconds: float) -> str:
    """Return a time of day."""
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M} UTC"


def photograph(page: Path, image: Path, size: tuple[int, int]) -> bool:
    """Take a picture of a page's top, of a width and height in pixels, if Chromium is there."""
    window = f"--window-size={size[0]},{size[1]}"
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("demo: no Chromium, so no picture of the report")
        return False
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--hide-scrollbars", window,
             f"--user-data-dir={profile}", f"--screenshot={image}", page.resolve().as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    return True
