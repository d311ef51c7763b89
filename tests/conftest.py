"""What tests of every kind share: where the clone and the real data are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before NumPy is imported: threads of BLAS would fight over the cores of the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# R stages that tests start by hand convert tables by the Python that runs the tests.
os.environ.setdefault("ITEMWISE_PYTHON", sys.executable)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the clone."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip."""
    folder = Path(os.environ.get("ITEMWISE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "leaderboard").is_dir():
        pytest.skip("real data: set ITEMWISE_DATA to the folder that holds leaderboard/")
    return folder.resolve()


@pytest.fixture(scope="session")
def rscript():
    """Return a function that runs R code given as text, or skip where R is missing."""
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")

    def run(code: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["Rscript", "--vanilla", "-e", code],
            cwd=ROOT,
            env={**os.environ, "ITEMWISE_ROOT": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
