"""A copy of the clone to run Snakemake in, so that tests may edit and kill what they like."""

import copy
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import snakemake_forks

from itemwise.workflow.stage_code import stage_code

COPIED = ["Snakefile", "rules", "R", "config", "envs", "profiles", "python", "workflow"]
TINY = "tests/config/tiny.yaml"
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


class Project:
    """A clone in a folder of its own; its commands run its own code.

    As on a bare machine, the path has a blank and an accent, and the locale is C.
    """

    def __init__(self, root: Path, folder: Path):
        self.folder = folder = folder / "a clone, né"
        folder.mkdir()
        self.printed = ""  # by its first run, where a fixture made one
        for name in COPIED:
            take = shutil.copytree if (root / name).is_dir() else shutil.copy2
            take(root / name, folder / name)
        (folder / TINY).parent.mkdir(parents=True)
        shutil.copy2(root / TINY, folder / TINY)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "LANG"},
            "LC_ALL": "C",
            "PYTHONPATH": str(folder / "python"),
            "ITEMWISE_ROOT": "",
            "XDG_CACHE_HOME": str(folder / "cache"),  # Snakemake keeps copies of sources there
        }

    def command(self, *options: str) -> list[str]:
        files = [] if "--configfile" in options else ["--configfile", TINY]
        return [*SNAKEMAKE, "--cores", "2", *files, *options]

    def run(
        self,
        command: list[str],
        timeout: float = 300,
        folder: Path | None = None,
        own_process: bool = False,
    ) -> subprocess.CompletedProcess:
        """Run a command, by default in the project; what it printed is in `stdout`."""
        folder = folder or self.folder
        if command[:3] == SNAKEMAKE and not own_process:
            return snakemake_forks.snakemake(command[3:], folder, self.environment)
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def snakemake(self, *options: str) -> subprocess.CompletedProcess:
        return self.run(self.command(*options))

    def planned(self, *options: str) -> dict[str, int]:
        """Return how often each rule would run."""
        finished = self.snakemake("--dry-run", *options)
        assert finished.returncode == 0, finished.stdout
        return job_counts(finished.stdout)

    def start(self) -> subprocess.Popen:
        """Start a run and return when some of its stages are done and others are not."""
        process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        give_up = time.monotonic() + 120
        while not (self.folder / "results/tiny/logs/screen_items/sums.log").exists():
            assert process.poll() is None, "the run ended before it could be interrupted"
            assert time.monotonic() < give_up
            time.sleep(0.02)
        return process

    def tables(self, folder: Path | None = None) -> dict[str, object]:
        """Return every table of the tiny run by its path; by default of that in the project."""
        results = (folder or self.folder) / "results" / "tiny"
        return {
            str(path.relative_to(results)): pq.read_table(path)
            for path in sorted(results.rglob("*.parquet"))
        }


def copy_of(project: Project, folder: Path) -> Project:
    """Return a copy of a project and its results, free to be changed."""
    made = copy.copy(project)
    made.folder = folder
    shutil.copytree(project.folder, folder)
    own = {"PYTHONPATH": str(folder / "python"), "XDG_CACHE_HOME": str(folder / "cache")}
    made.environment = {**project.environment, **own}
    return made


def phases(printed: str) -> list[str]:
    """Return the rules of which a run printed a line, in their order."""
    return re.findall(r"^(\w+) {2,}.* {2}(?:\d+ s|< 1 s|\d+:[\d:]+)$", printed, re.MULTILINE)


def job_counts(printed: str) -> dict[str, int]:
    """Read the table of jobs that Snakemake prints."""
    counts, lines = {}, iter(printed.splitlines())
    for line in lines:
        if line.split() == ["job", "count"]:
            next(lines)
            for row in lines:
                if not row.strip():
                    break
                name, count = row.split()
                counts[name] = int(count)
            break
    counts.pop("total", None)
    return counts


def shell_jobs(printed: str) -> list[tuple[set[str], str, list[str]]]:
    """Return of each job in a plan, printed with its commands: inputs, command, its code."""
    jobs = re.findall(r"^    input: (.*?)\n.*?^Shell command: (.*?)$", printed, re.M | re.S)
    found = []
    for inputs, command in jobs:
        if command == "None":  # rule all
            continue
        stage = re.match(r"itemwise ([\w-]+) |Rscript --vanilla R/(\w+)\.R ", command)
        code = stage_code((stage[1] or stage[2]).replace("-", "_"))
        if "--engine mirt" in command:
            code = [*code, *stage_code("fit_irt", "R")]
        found.append((set(inputs.split(", ")), command, code))
    return found
