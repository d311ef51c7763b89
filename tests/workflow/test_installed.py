"""A wheel in an environment of its own, far from the clone."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd
import pytest
from banks import build, export
from logs import row, write_log

from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import write_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """Build the wheel from a copy, since a build leaves files behind."""
    folder = tmp_path_factory.mktemp("build")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (root / name).is_file() and name.split("/")[0] not in ("tests", "docs", "benchmarks"):
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / "clone" / name, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), "."]
    built = subprocess.run(command, cwd=folder / "clone", capture_output=True, text=True)
    if "No matching distribution found for setuptools" in built.stderr:
        pytest.skip("package index: setuptools cannot be fetched to build a wheel")
    assert built.returncode == 0, built.stderr
    return next(folder.glob("itemwise-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return how to run a command of the wheel; what it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--no-deps", "--quiet", wheel], check=True)
    own = next((folder / "env").glob("lib/python3*/site-packages"))
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PYTHONUTF8": "1", "ITEMWISE_PYTHON": "", "ITEMWISE_ROOT": ""}

    def run(*command, where: Path = folder) -> subprocess.CompletedProcess:
        return subprocess.run(
            [python, "-m", *map(str, command)],
            cwd=where,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def test_the_doctor_finds_what_the_wheel_brought(installed):
    printed = installed("itemwise", "doctor").stdout
    assert re.search(r"ok +workflow +\S+/site-packages/itemwise/_project ", printed), printed
    assert "Distil a benchmark: " in printed


def test_it_describes_its_configuration(installed, root, tmp_path):
    page = tmp_path / "keys.md"
    finished = installed("itemwise", "describe-config", "--out", page)
    assert finished.returncode == 0, finished.stdout
    assert page.read_bytes() == (root / "config" / "README.md").read_bytes()


def test_it_imports_samples(installed, tmp_path):
    rows = [row(number, acc=1.0) for number in range(3)]
    write_log(tmp_path / "logs" / "org__model", "arc", "2026-01-01T00-00-00", rows)
    table = tmp_path / "results.parquet"
    finished = installed(
        "itemwise", "import-samples", "--samples", tmp_path / "logs", "--out", table
    )
    assert finished.returncode == 0, finished.stdout
    assert table.exists()


def test_it_scores_a_model(installed, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")
    build(tmp_path, "sums", 1)
    assert export(tmp_path, tmp_path / "bank", ["sums"]) == 0
    known = read_responses(tmp_path / "sums.responses.parquet")
    answers = pd.DataFrame({"item": known.items, "response": known.matrix[0]})
    answers = answers.assign(subject="org/model", benchmark="sums")
    write_table(answers, tmp_path / "answers.parquet", "evaluations")
    finished = installed(
        "itemwise", "score-model", "--bank", tmp_path / "bank",
        "--results", tmp_path / "answers.parquet", "--html", tmp_path / "scores.html",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout
    assert "<html" in (tmp_path / "scores.html").read_text(encoding="utf-8")


def test_a_project_runs(installed, tmp_path):
    started = installed("itemwise", "init", tmp_path / "mine")
    assert started.returncode == 0, started.stdout
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")
    target = "results/mine/screen_items/example.parquet"
    run = installed("snakemake", "--cores", "2", target, where=tmp_path / "mine")
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "mine" / target).exists()
