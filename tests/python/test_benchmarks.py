"""Proofs and benchmarks follow the code: each of their files can be imported."""

import subprocess
import sys

import pytest

from itemwise.paths import ROOT

MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
BARE = {"peer_fit"}
"""Runs in the environment of the peers."""


def test_files_of_benchmarks_find_what_they_import():
    pytest.importorskip("lm_eval", reason="pip install -e '.[eval]'")
    imports = "; ".join(f"import {name}" for name in MODULES if name not in BARE)
    done = subprocess.run(
        [sys.executable, "-c", imports], cwd=ROOT / "benchmarks", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
