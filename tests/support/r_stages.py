"""Stages in R, as tests ask them."""

import re
import shutil
import subprocess
from functools import cache

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
