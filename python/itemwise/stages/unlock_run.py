"""Remove the lock that a killed Snakemake process left behind.

Refuses while a process that may own it lives, or a Slurm job that such a process left in
the queue: the lock is what keeps two runs from writing the same files.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from itemwise.errors import UserError, listed
from itemwise.paths import ROOT


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--folder", default=".", help="folder with .snakemake (default: ., this one)"
    )


def run(options) -> None:
    """Unlock, unless the owner lives."""
    folder = Path(options.folder).resolve()
    locks = list((folder / ".snakemake" / "locks").glob("*"))
    if not locks:
        print(f"{folder}: not locked")
        return
    jobs = _slurm_jobs(folder)
    if jobs:
        raise UserError(
            f"{folder}: Slurm jobs still at work here: {listed(jobs)}; wait, or cancel them "
            f"(scancel {' '.join(jobs)}), then unlock"
        )
    users = {lock.stat().st_uid for lock in locks}
    owners = [process for process in _snakemake_processes() if _may_own(process, folder, users)]
    if owners:
        raise UserError(
            f"{folder}: Snakemake process {owners[0].pid} is still at work here; stop it "
            f"(kill {owners[0].pid}) or wait for it, then unlock"
        )
    _unlock(folder)


def _unlock(folder: Path) -> None:
    """Let Snakemake remove its lock."""
    command = [sys.executable, "-m", "snakemake", "--unlock", "--cores", "1"]
    if not (folder / "Snakefile").exists():  # it was started by `--snakefile`
        command += ["--snakefile", str(ROOT / "Snakefile")]
    subprocess.run(command, cwd=folder, check=True)


def _snakemake_processes() -> list[psutil.Process]:
    """Return the Snakemake processes on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        # The program itself, or `python snakemake` / `python -m snakemake`.
        names = [Path(word).name for word in words[:3]]
        if "snakemake" in names and "--unlock" not in words:
            found.append(process)
    return found


def _may_own(process: psutil.Process, folder: Path, users: set[int]) -> bool:
    """Return whether the process works in `folder`, whose locks are files of `users`.

    Where it works is hidden of other people's processes: those of a user of the locks may.
    """
    try:
        return Path(process.cwd()) == folder
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return process.uids().effective in users


def _slurm_jobs(folder: Path) -> list[str]:
    """Return the numbers of queued and running Slurm jobs whose folder this is."""
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--noheader", "--format=%i %Z"]
    queue = subprocess.run(command, capture_output=True, text=True)
    if queue.returncode != 0:
        said = queue.stderr.strip().splitlines()
        logging.getLogger(__name__).warning(
            "squeue does not answer (%s): jobs in the queue were not looked for",
            said[-1] if said else f"exit status {queue.returncode}",
        )
    rows = [line.split(maxsplit=1) for line in queue.stdout.splitlines()]
    return [number for number, place in rows if Path(place).resolve() == folder]
