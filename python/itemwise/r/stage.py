"""Run an R stage with the options of its Python twin."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

from itemwise.errors import UserError
from itemwise.r.worker import R_FOLDER


def run_r_stage(stage: str, options: argparse.Namespace, leave_out: tuple[str, ...] = ()) -> None:
    """Run `Rscript R/<stage>.R` with the same options; its exit status becomes ours.

    Raises
    ------
    UserError
        R or the script is missing.
    SystemExit
        The R stage failed; it has said why.
    """
    script = R_FOLDER / f"{stage}.R"
    if not script.exists():
        raise UserError(f"{script}: no such file; R engines need the clone of itemwise")
    if shutil.which("Rscript") is None:
        raise UserError("Rscript is not installed; run `make setup`, or use --engine native")
    command = ["Rscript", "--vanilla", str(script)]
    for name, value in vars(options).items():
        command += [] if name in leave_out else as_arguments(name, value)
    environment = {**os.environ, "ITEMWISE_PYTHON": sys.executable}
    status = subprocess.run(command, env=environment).returncode
    if status:
        raise SystemExit(status)


def as_arguments(name: str, value) -> list[str]:
    """Write one option as the command line has it."""
    flag = "--" + name.replace("_", "-")
    if name == "standard_errors":
        return [] if value else ["--no-standard-errors"]
    if value is None or value is False:
        return []
    return [flag] if value is True else [flag, str(value)]
