"""A fresh clone on a newcomer's machine: set-up, demo and tests, with what they took."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd
from common import markdown, write_evidence

from itemwise.paths import ROOT

NAME = "a new clone, né"
COMMANDS = ("make setup", "make demo", "make demo", "make test")
SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+?(?::\d+)?: (.*)$", re.MULTILINE)
SKIPPED_IN_R = re.compile(r"Reason: (.*)$", re.MULTILINE)


def fresh_clone() -> None:
    """Run both commands of the README in a clone of the last commit, as a newcomer does."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / NAME
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        show = ["git", "rev-parse", "--short", "HEAD"]
        head = subprocess.run(show, cwd=clone, check=True, capture_output=True, text=True).stdout
        runs = [run(command, clone) for command in COMMANDS]
        _, left = run("make --dry-run demo test", clone)
        if "envs/setup" in left:
            raise SystemExit(f"the second run of the commands would set up again:\n{left}")
    rows = pd.DataFrame({"command": COMMANDS, "minutes": [f"{took / 60:.1f}" for took, _ in runs]})
    tests = runs[3][1]
    parts = [
        f"A clone of commit {head.strip()} in a folder whose name has a blank and an accent; R "
        "with what Debian has (no mirt, catR or nanoparquet), no virtual environment on `PATH`, "
        "`LC_ALL=C`, CRAN not asked (`.ci/bare`). The second run of a command sets nothing up.",
        markdown(rows),
        f"{os.cpu_count()} cores; load over the last 1, 5 and 15 minutes at the end: "
        + ", ".join(f"{value:.1f}" for value in os.getloadavg()),
        "## What the demo said",
        f"```\n{runs[1][1].strip()}\n```",
        "## Tests that were skipped",
        markdown(skipped(tests)),
    ]
    write_evidence(
        "fresh_clone", "A fresh clone", "\n\n".join(parts), "python benchmarks/prove.py fresh_clone"
    )


def run(command: str, clone: Path) -> tuple[float, str]:
    """Run a command on the bare machine; return its seconds and what it printed."""
    began = time.monotonic()
    done = subprocess.run(
        [".ci/bare", *command.split()], cwd=clone, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command}: status {done.returncode}:\n{done.stdout[-5000:]}")
    return time.monotonic() - began, done.stdout


def skipped(printed: str) -> pd.DataFrame:
    """Count the skipped tests by their reason, as pytest and testthat tell them."""
    counts: dict[str, int] = {}
    for number, reason in SKIPPED.findall(printed):
        counts[reason] = counts.get(reason, 0) + int(number)
    for reason in SKIPPED_IN_R.findall(printed):
        counts[f"R: {reason}"] = counts.get(f"R: {reason}", 0) + 1
    rows = sorted(counts.items(), key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=["reason", "tests"])
