"""Run an R stage with the options of its Python twin."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from itemwise.errors import UserError
from itemwise.r.worker import R_FOLDER
from itemwise.responses.matrix import read_responses, write_responses


def run_r_stage(stage: str, options: argparse.Namespace, leave_out: tuple[str, ...] = ()) -> None:
    """Run `Rscript R/<stage>.R` with the same options; its exit status becomes ours.

    Raises
    ------
    UserError
        R is missing.
    SystemExit
        The R stage failed; it has said why.
    """
    script = R_FOLDER / f"{stage}.R"
    if shutil.which("Rscript") is None:
        raise UserError(
            "Rscript is not installed; `itemwise doctor` says how to get it, or use --engine native"
        )
    environment = {**os.environ, "ITEMWISE_PYTHON": sys.executable}
    with TemporaryDirectory(prefix="itemwise-") as folder:
        given = {**vars(options), **_responses_for_r(options, Path(folder))}
        command = ["Rscript", "--vanilla", str(script)]
        for name, value in given.items():
            command += [] if name in leave_out else as_arguments(name, value)
        status = subprocess.run(command, env=environment).returncode
    if status:
        raise SystemExit(status)


def _responses_for_r(options: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Return the option that hands responses over as parquet, where they are given as CSV."""
    path = getattr(options, "responses", None)
    if path is None or Path(path).suffix != ".csv":
        return {}
    table = folder / f"{Path(path).stem}.parquet"
    write_responses(read_responses(path), table)
    return {"responses": str(table)}


def as_arguments(name: str, value) -> list[str]:
    """Write one option as the command line has it."""
    flag = "--" + name.replace("_", "-")
    if name == "standard_errors":
        return [] if value else ["--no-standard-errors"]
    if value is None or value is False:
        return []
    return [flag] if value is True else [flag, str(value)]
