"""R, as tests ask it."""

import re
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest

from itemwise.paths import ROOT


@cache
def options_of_r(stage: str) -> set[str]:
    """Return the options that `R/<stage>.R --help` lists; skip where R is missing."""
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")
    command = ["Rscript", "--vanilla", ROOT / "R" / f"{stage}.R", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\t(?:-h, )?(--[a-z][a-z0-9-]*)", printed, re.MULTILINE))


def numbers_from_mgcv(code: str, folder) -> np.ndarray:
    """Return the numbers that R code prints; skip where R or mgcv is missing."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    command = ["Rscript", "--vanilla", "-e", code]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "there is no package called" in finished.stderr:
        pytest.skip("R package mgcv is not installed")
    return np.array(finished.stdout.split(), dtype=float)
