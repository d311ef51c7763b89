"""What a newcomer meets: a fresh clone, its set-up, demos and tests, and how long they take."""

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

TARGETS = ("setup", "lint", "test-r", "test-python", "demo-simulated", "demo")
TOLD = {
    "test-r": r"\[ FAIL .*\]",
    "test-python": r"^\d+ passed.*$|^=+ (.*passed.*) =+$",
    "demo": r"^.*RMSE.*$",
    "demo-simulated": r"^.*RMSE.*$",
}
"""What of a target's output is worth keeping."""


def fresh_clone() -> None:
    """Run the make targets in a new clone with a new environment, one after the other."""
    variables = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "itemwise"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=place, check=True, capture_output=True,
            text=True,
        ).stdout.strip()  # fmt: skip
        for target in TARGETS:
            began = time.monotonic()
            done = subprocess.run(
                ["make", target], cwd=place, env=variables, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            minutes = (time.monotonic() - began) / 60
            print(f"make {target}: status {done.returncode}, {minutes:.1f} min", flush=True)
            if done.returncode != 0:
                raise SystemExit(done.stdout[-6000:])
            rows.append({"command": f"`make {target}`", "minutes": f"{minutes:.1f}"})
            rows[-1]["says"] = "; ".join(said(target, done.stdout))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    text = (
        f"Commit {head}, cloned and set up anew; R and its packages were on the machine. "
        f"{os.cpu_count()} cores, load over the last 1, 5 and 15 minutes at the end: {load}.\n\n"
        + markdown(pd.DataFrame(rows))
    )
    write_evidence("fresh_clone", "A fresh clone", text, "make prove")


def said(target: str, printed: str) -> list[str]:
    """Return the lines worth keeping."""
    if target not in TOLD:
        return []
    found = re.finditer(TOLD[target], printed, re.MULTILINE)
    return [match[0].strip("= ").replace("|", "/") for match in found][-4:]
