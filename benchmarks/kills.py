"""Kill the pipeline at random moments; the finished run must be the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import markdown, write_evidence

from itemwise.paths import ROOT

N_KILLS = 20
UNLOCK = [sys.executable, "-m", "itemwise", "unlock-run"]
COPIED = ("Snakefile", "rules", "R", "config", "envs", "profiles", "python")
CONFIG = """\
run: kills
simulate: {subjects: 200}
benchmarks:
  one: {sources: simulated, items: 60}
  two: {sources: simulated, items: 60, guessing: 0.2}
irt: {reference: never}
selection: {budget: 20, random_forms: 3, draws: 100}
"""


def kills() -> None:
    """Run undisturbed, then with 20 SIGKILLs and SIGTERMs, and compare every table."""
    with tempfile.TemporaryDirectory() as folder:
        clean, disturbed = Path(folder, "clean"), Path(folder, "disturbed")
        for place in (clean, disturbed):
            copy_project(place)
        began = time.monotonic()
        start_run(clean).wait()
        seconds = time.monotonic() - began
        counts = kill_at_random(disturbed, N_KILLS, seconds)
        assert start_run(disturbed).wait() == 0
        different, compared = compare_tables(clean, disturbed)
    table = pd.DataFrame([counts | {"tables compared": compared, "different": len(different)}])
    text = f"{N_KILLS} interruptions at random moments of a run of {seconds:.0f} s.\n\n"
    write_evidence("kills", "Interrupted runs", text + markdown(table), "make prove")
    if different:
        raise SystemExit(f"differ after the kills: {different}")


def kill_at_random(place: Path, n_kills: int, seconds: float) -> dict[str, int]:
    """Start a run that takes `seconds` again and again, and kill it; count what happened."""
    rng = np.random.default_rng(1)
    counts = {"SIGKILL": 0, "SIGTERM": 0, "unlocked": 0, "finished early": 0}
    for number in range(n_kills):
        name = "SIGKILL" if number % 2 == 0 else "SIGTERM"
        run = start_run(place)
        time.sleep(rng.uniform(0.5, seconds * 0.6))
        if run.poll() is None:
            # The whole group: Snakemake and the stage that it is running.
            os.killpg(run.pid, getattr(signal, name))
            counts[name] += 1
        else:
            counts["finished early"] += 1
            shutil.rmtree(place / "results")
        run.wait()
        if any((place / ".snakemake" / "locks").glob("*")):
            subprocess.run(UNLOCK, cwd=place, env=own_code(place), check=True)
            counts["unlocked"] += 1
    return counts


def copy_project(place: Path) -> None:
    """Copy what a run needs, and the configuration of a small run, `kills.yaml`."""
    place.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, place / name)
    (place / "kills.yaml").write_text(CONFIG, encoding="utf-8")


def own_code(place: Path) -> dict[str, str]:
    """Return an environment in which a copy of the project runs its own code."""
    return {**os.environ, "PYTHONPATH": str(place / "python"), "ITEMWISE_ROOT": ""}


def run_of(configfile: str = "kills.yaml") -> list[str]:
    """Return the command of a run."""
    return [sys.executable, "-m", "snakemake", "--configfile", configfile]


def start_run(place: Path, configfile: str = "kills.yaml") -> subprocess.Popen:
    """Start the pipeline in a process group of its own."""
    return subprocess.Popen(
        [*run_of(configfile), "--cores", "2"],
        cwd=place,
        env=own_code(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def compare_tables(one: Path, other: Path) -> tuple[list[str], int]:
    """Return the tables that differ, measured times apart, and how many were compared."""
    different = []
    tables = sorted((one / "results").rglob("*.parquet"))
    for path in tables:
        name = path.relative_to(one)
        if not (other / name).exists() or not _untimed(path).equals(_untimed(other / name)):
            different.append(str(name))
    return different, len(tables)


def _untimed(path: Path) -> pd.DataFrame:
    """Read a table without how long things took."""
    return pd.read_parquet(path).drop(columns="seconds", errors="ignore")
