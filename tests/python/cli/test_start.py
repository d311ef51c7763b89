"""Stages start fast: none imports before it works what only others, or only some runs, need."""

import subprocess
import sys

import pytest

from itemwise.cli.main import STAGES

HEAVY = ["build-trajectories", "recover-parameters", "summarize-run", "write-profile",
         "write-report"]  # fmt: skip
"""Stages that draw figures or find change points, by packages that import much themselves."""

WITHOUT_NUMBERS = ["describe-config", "doctor", "init", "list-gaps", "unlock-run",
                   "write-tiny-tasks"]  # fmt: skip
PLAIN_TABLES = ["build-responses", "check-budget", "convert-table", "cut-sets", "import-samples",
                "list-checkpoints", "scrape-leaderboard"]  # fmt: skip


def imported(stages: list[str]) -> set[str]:
    """Return the modules that are there once the command and some stages are imported."""
    names = [f"itemwise.stages.{stage.replace('-', '_')}" for stage in stages]
    lines = [f"import {name}" for name in ["itemwise.cli.main", *names, "sys"]]
    code = "\n".join([*lines, "print(*sys.modules)"])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("stages", "without"),
    [
        ([], ["numpy", "pandas", "scipy", "pyarrow"]),
        (WITHOUT_NUMBERS, ["pandas", "pyarrow", "scipy"]),
        (PLAIN_TABLES, ["matplotlib", "scipy", "torch"]),
        (
            [stage for stage in STAGES if stage not in HEAVY],
            ["lm_eval", "matplotlib", "scipy.optimize", "scipy.stats", "snakemake", "torch",
             "transformers"],
        ),
    ],
    ids=["command", "without numbers", "plain tables", "all but the heavy"],
)  # fmt: skip
def test_stages_import_nothing_heavy_before_they_work(stages, without):
    there = imported(stages)
    assert not there & set(without)
