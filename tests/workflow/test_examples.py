"""The examples of the command line run on the tables of a run, as they stand."""

import re
import subprocess
import sys

import pytest
from test_run import RESULTS

from itemwise.cli.examples import EXAMPLES

pytestmark = pytest.mark.slow

NOT_RUN = {
    "scrape-leaderboard": "asks the hub; run in tests/python/collect against a local one",
    "evaluate-model": "loads a language model",
    "evaluate-run": "loads language models",
    "train-tiny-models": "trains a language model; run in tests/python/tiny_models",
    "mix-checkpoints": "fetches a language model; run in tests/python/tiny_models",
    "follow-run": "needs a followed run; run in the demo",
    "list-checkpoints": "looks for a run of one's own; run in tests/python/analyses",
    "profile-checkpoints": "loads language models; run in tests/python/analyses",
    "list-gaps": "needs profiled checkpoints; run in tests/workflow/test_profile.py",
    "build-trajectories": "needs profiled checkpoints; run in tests/workflow/test_profile.py",
    "write-profile": "needs profiled checkpoints; run in tests/workflow/test_profile.py",
    "adapt-checkpoints": "loads language models",
    "list-documents": "reads data sets of the hub",
    "import-samples": "run in docs/tutorial-own-benchmark.md",
    "score-model": "run in docs/tutorial-score-model.md",
    "adapt-model": "run in docs/tutorial-run.md",
    "compare-models": "run in docs/tutorial-score-model.md",
    "compare-engines": "needs a calibration by mirt",
    "fit-joint-process": "needs two benchmarks; run in tests/python/bank",
    "doctor": "run in tests/python/workflow/test_doctor.py",
}

IN_ONE_PROCESS = """
import shlex, sys
from itemwise.cli.main import main

for line in sys.stdin:
    if main(shlex.split(line)[1:]):
        sys.exit(line)
"""


def test_examples_run(finished_run, tmp_path):
    """With the tiny run in place of `results/mine` and its benchmark in place of `arc`."""
    lines = []
    for name in EXAMPLES.keys() - NOT_RUN.keys():
        text = EXAMPLES[name].replace("\\\n", " ").replace("results/mine", RESULTS)
        text = re.sub(r"\barc\b", "sums", text)
        lines += [line for line in text.splitlines() if line and line[0] != "#"]
    assert len(lines) >= 16
    lines.sort(key=lambda line: "--in parameters.csv" in line)  # which another one writes
    (tmp_path / "results").symlink_to(finished_run.folder / "results")
    finished = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS],
        input="\n".join(lines),
        cwd=tmp_path,
        env=finished_run.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    made = ("parameters.csv", "selection.parquet", "traces.parquet", "recovery.png", "report.html")
    for name in (*made, "bank/bank.json"):
        assert (tmp_path / name).stat().st_size > 0
