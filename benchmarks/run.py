"""Speed and memory of calibration, side by side with the peers, in one run.

Every fit runs alone in a process of its own; log-likelihoods are evaluated by one
function for all engines, on mirt's 61 points.

    python benchmarks/run.py            # all
    python benchmarks/run.py real       # or: real, scale
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import EVIDENCE, data_folder, markdown, write_evidence
from tqdm import tqdm

from itemwise.irt.agreement import log_likelihood_of
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.report.figures import STYLE
from itemwise.responses.matrix import read_responses, write_responses
from itemwise.tables.files import atomic_path

HERE = Path(__file__).parent
BENCH_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
TIME_LIMIT = 1800

ENGINES = {
    "itemwise": [sys.executable, HERE / "native_fit.py", "{data}", "{model}", "1"],
    "itemwise, 2 threads": [sys.executable, HERE / "native_fit.py", "{data}", "{model}", "2"],
    "mirt (R)": ["Rscript", "--vanilla", HERE / "mirt_fit.R", "{data}", "{model}"],
    "mirt (PyPI)": [BENCH_PYTHON, HERE / "peer_fit.py", "mirt", "{data}", "{model}"],
    "girth (PyPI)": [BENCH_PYTHON, HERE / "peer_fit.py", "girth", "{data}", "{model}"],
}
REAL = [
    ("gsm8k_secondary", "2PL", list(ENGINES)),
    ("arc_primary", "3PL", ["itemwise", "mirt (R)", "mirt (PyPI)"]),
    ("arc_primary", "4PL", ["itemwise", "mirt (R)", "mirt (PyPI)"]),
]
SIZES = [(500, 50), (1000, 100), (2000, 100), (1000, 200), (2000, 200), (5000, 200)]
LARGE = [(5000, 1000), (5000, 5000), (10000, 1000)]
"""Sizes that the native engine alone is asked for."""


def fit(engine: str, data: Path, model: str) -> dict:
    """Run one engine on one file; returns what it printed and the log-likelihood."""
    command = [str(part).format(data=data, model=model) for part in ENGINES[engine]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return {"seconds": np.nan, "peak_mib": np.nan, "failed": f"over {TIME_LIMIT} s"}
    if done.returncode:
        return {"seconds": np.nan, "peak_mib": np.nan, "failed": done.stderr.strip()[-200:]}
    result = json.loads(done.stdout.strip().splitlines()[-1])
    responses = read_responses(data)
    parameters = pd.DataFrame({"item": responses.items} | {name: result[name] for name in "adgu"})
    result["log_likelihood"] = log_likelihood_of(responses, parameters, 61)
    return result


def compare(label: str, data: Path, model: str, engines: list[str], bar: tqdm) -> pd.DataFrame:
    """Fit one data set with several engines; times are also given relative to ours."""
    rows = []
    for engine in engines:
        result = fit(engine, data, model)
        bar.update()
        rows.append({"data": label, "model": model, "engine": engine} | result)
    table = pd.DataFrame(rows)
    table["relative"] = table["seconds"] / table["seconds"].iloc[0]
    return table


def shown(table: pd.DataFrame) -> str:
    """Return the comparison as Markdown."""
    lines = pd.DataFrame(
        {
            "data": table["data"],
            "model": table["model"],
            "engine": table["engine"],
            "seconds": table["seconds"].map("{:.2f}".format),
            "times ours": table["relative"].map("{:.1f}".format),
            "peak MiB": table["peak_mib"].map("{:.0f}".format),
            "log-likelihood": table["log_likelihood"].map("{:.2f}".format),
            "calls itself converged": table["converged"].map({True: "yes", False: "no"}).fillna(""),
            "note": table["failed"].fillna("") if "failed" in table else "",
        }
    )
    return markdown(lines)


def real() -> None:
    """Compare the engines on real matrices."""
    folder = data_folder() / "leaderboard"
    tables = []
    with tqdm(total=sum(len(engines) for _, _, engines in REAL), desc="real") as bar:
        for name, model, engines in REAL:
            data = folder / f"{name}.responses.parquet"
            size = "x".join(map(str, read_responses(data).matrix.shape))
            tables.append(compare(f"{name} ({size})", data, model, engines, bar))
    text = (
        "Unpenalised fits on 61 points, one after the other. "
        "Seconds are those of the fit alone (no start-up, no reading), peak memory is the "
        "whole process's. Log-likelihoods by one function on 61 points.\n\n"
        + shown(pd.concat(tables))
    )
    write_evidence("speed_real", "Calibration of real matrices", text, "make bench")


def scale() -> None:
    """Measure how cost grows with subjects and items."""
    peers = ["itemwise", "mirt (R)", "mirt (PyPI)"]
    tables = []
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=len(SIZES) * len(peers) + len(LARGE), desc="scale") as bar,
    ):
        for number, (n_subjects, n_items) in enumerate(SIZES + LARGE):
            rng = np.random.default_rng([1, number])
            truth = draw_parameters(Design(n_subjects, n_items, "2PL", "none", 0.0), rng)
            data = simulate_responses(truth, rng.standard_normal(n_subjects), [2, number])
            path = Path(folder) / f"{n_subjects}x{n_items}.parquet"
            write_responses(data, path)
            engines = peers if (n_subjects, n_items) in SIZES else peers[:1]
            table = compare(path.stem, path, "2PL", engines, bar)
            tables.append(table.assign(subjects=n_subjects, items=n_items))
    table = pd.concat(tables)
    with atomic_path(EVIDENCE / "speed_scale.png") as temporary:
        cost_figure(table).savefig(temporary, format="png", dpi=160)
    text = (
        "Simulated 2PL data, 61 points, one thread each.\n\n"
        + shown(table)
        + "\n\n![Cost against size](speed_scale.png)"
    )
    write_evidence("speed_scale", "How cost grows with size", text, "make bench")


def cost_figure(table: pd.DataFrame):
    """Draw seconds and memory against the number of responses."""
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 2, figsize=(9.4, 3.8))
        for axes, (column, title) in zip(
            row, (("seconds", "Time (s)"), ("peak_mib", "Peak memory (MiB)")), strict=True
        ):
            for engine, part in table.groupby("engine", sort=False):
                part = part.assign(cells=part["subjects"] * part["items"]).sort_values("cells")
                axes.plot(part["cells"], part[column], "o-", ms=4, lw=1.4, label=engine)
            axes.set(title=title, xlabel="responses (subjects x items)", xscale="log", yscale="log")
        row[0].legend()
    return figure


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["real", "scale"]
    for name in chosen:
        {"real": real, "scale": scale}[name]()
