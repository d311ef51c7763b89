"""What is installed, what it is for, and how to get what is missing.

Nothing heavy is imported: versions come from package metadata, R is asked once, and GPUs
are asked through `nvidia-smi`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from itemwise.paths import INSTALLED, ROOT, from_here

PIP = ".venv/bin/pip install -c constraints.txt -e '.{extra}'"
EXTRAS = {
    "core": "calibrate, select, score models: all Python stages of the workflow",
    "eval": "evaluate language models through lm-evaluation-harness (evaluate-model, adapt-model)",
    "vllm": "another backend of the harness, on GPUs",
    "r": "call R from Python code; the workflow's R stages do without",
    "slurm": "run the workflow on a Slurm cluster (--profile profiles/slurm)",
    "docs": "build the documentation site (make site)",
    "dev": "tests and style checks (make test, make lint)",
}
"""What each group of Python packages is for; the groups are those of pyproject.toml."""

IN_THE_CLONE = {"docs", "dev"}
"""Groups that serve nothing where the package is installed without its clone."""

R_PACKAGES = {
    "mgcv": (True, "read-outs: full scores from a short form", "r-cran-mgcv"),
    "optparse": (True, "options of the R stages", "r-cran-optparse"),
    "jsonlite": (True, "records of the R stages", "r-cran-jsonlite"),
    "yaml": (True, "options of the R stages, from config/schema.yaml", "r-cran-yaml"),
    "nanoparquet": (False, "R reads tables itself, faster than through the Python package", None),
    "mirt": (False, "reference engine of calibration, item fit (check_fit)", None),
    "catR": (False, "reference engine of adaptive testing", None),
    "psych": (False, "factor analysis (analyze_factors)", "r-cran-psych"),
    "GPArotation": (False, "oblique rotation for psych", "r-cran-gparotation"),
    "testthat": (False, "tests of the R library (make test-r)", "r-cran-testthat"),
    "roxygen2": (False, "pages of the R functions (make docs)", "r-cran-roxygen2"),
    "lintr": (False, "style checks of R (make lint)", "r-cran-lintr"),
}
"""R packages: whether the workflow needs them, what for, and Debian's package."""

TOOLS = {
    "sbatch": ("Slurm: submit jobs (--profile profiles/slurm)", "on the login node of a cluster"),
    "sacct": ("Slurm: ask what became of jobs", "on the login node of a cluster"),
    "apptainer": ("run in the container of envs/itemwise.def", "https://apptainer.org"),
    "conda": ("environments of envs/ (--sdm conda)", "https://conda-forge.org/download"),
    "make": ("make demo, make test", "apt-get install make"),
}
"""Programs: what for, and where from."""

FREE_SPACE = 5
"""GiB below which disk space is warned of."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes
    ----------
    group : str
        Heading under which it is shown.
    name : str
    state : {"ok", "other", "missing", "absent"}
        `other`: another version than the tested one, or less than is advised; `missing`:
        the workflow cannot do without; `absent`: optional, and not there.
    found : str
        Version, size or place; empty where there is none.
    purpose, remedy : str
        What it is for, and the command that gets it; the remedy is empty where none is needed.
    """

    group: str
    name: str
    state: str
    found: str = ""
    purpose: str = ""
    remedy: str = ""


def examine() -> list[Finding]:
    """Look for everything, in the order in which it is shown."""
    return [*python_packages(), *r_packages(), *gpus(), *tools(), *places()]


def is_ready(findings: Sequence[Finding]) -> bool:
    """Return whether nothing is missing that the workflow needs."""
    return all(finding.state != "missing" for finding in findings)


def as_records(findings: Sequence[Finding]) -> list[dict]:
    """Return the findings as dictionaries, for JSON."""
    return [asdict(finding) for finding in findings]


# ---- Python ------------------------------------------------------------------


def python_packages(root: Path = ROOT) -> list[Finding]:
    """Look for Python and the packages of every extra of `pyproject.toml`."""
    running = ".".join(map(str, sys.version_info[:3]))
    found = [Finding("Python", "python", "ok", f"{running} ({sys.executable})")]
    pins = pinned_versions(root / "constraints.txt")
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    remarks = dict(re.findall(r'^\s*"([\w-]+)[^"]*",?\s*#\s*(.+)$', text, re.MULTILINE))
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    for extra, requirements in groups.items():
        if INSTALLED and extra in IN_THE_CLONE:
            continue
        remedy = _remedy(extra, requirements)
        group = f"Python packages, {extra}: {EXTRAS.get(extra, 'see pyproject.toml')}"
        for requirement in requirements:
            name = re.match(r"[\w.-]+", requirement)[0]
            found.append(
                _python_package(group, name, pins, remarks.get(name, ""), remedy, extra == "core")
            )
    return found


def _remedy(extra: str, requirements: list[str]) -> str:
    """Return the command that installs a group."""
    if INSTALLED:
        pip = [sys.executable, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt")]
        return shlex.join([*pip, *requirements])
    return PIP.format(extra="" if extra == "core" else f"[{extra}]")


def tell_conda() -> None:
    """Say in `ITEMWISE_REQUIREMENT` what `envs/*.post-deploy.sh` install: clone, or version."""
    installed = f"itemwise=={version('itemwise')}" if INSTALLED else str(ROOT)
    os.environ["ITEMWISE_REQUIREMENT"] = installed


def _python_package(group, name, pins, purpose, remedy, needed) -> Finding:
    """Look for one package and compare it with the tested version."""
    try:
        there = version(name)
    except PackageNotFoundError:
        return Finding(group, name, "missing" if needed else "absent", "", purpose, remedy)
    pin = pins.get(_canonical(name))
    # `2.13.0+cu130` is a build of 2.13.0.
    if pin is None or there.split("+")[0] == pin:
        return Finding(group, name, "ok", there, purpose)
    return Finding(group, name, "other", f"{there}, tested with {pin}", purpose, remedy)


def pinned_versions(path: Path) -> dict[str, str]:
    """Return the version of each package in a constraints file, by canonical name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    plain = [line.split("#")[0].strip() for line in lines]
    pairs = [line.split("==") for line in plain if "==" in line]
    return {_canonical(name): pin for name, pin in pairs}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# ---- R -----------------------------------------------------------------------

ASK_R = (
    "cat(as.character(getRversion()), '\\n'); for (p in commandArgs(TRUE)) cat(p, "
    "if (nzchar(system.file(package = p))) as.character(packageVersion(p)), '\\n')"
)


def r_packages() -> list[Finding]:
    """Ask R once for its version and its packages."""
    group = "R: split, screen and read-out stages; reference engines"
    script = from_here(ROOT / "envs" / "setup-r.sh")
    remedy = f"{script} (as root on Debian), or https://cran.r-project.org"
    printed = _output(["Rscript", "--vanilla", "-e", ASK_R, *R_PACKAGES], seconds=30)
    if printed is None:
        return [Finding(group, "Rscript", "missing", "", "runs the R stages", remedy)]
    words = [line.split() for line in printed.splitlines()]
    found = [Finding(group, "R", "ok", words[0][0])]
    versions = {name: there[0] if there else "" for name, *there in words[1:]}
    for name, (needed, purpose, debian) in R_PACKAGES.items():
        there = versions.get(name, "")
        state = "ok" if there else "missing" if needed else "absent"
        get = f"apt-get install {debian}" if debian else _from_cran(name)
        found.append(Finding(group, name, state, there, purpose, "" if there else get))
    return found


def _from_cran(package: str) -> str:
    return f"""Rscript -e 'install.packages("{package}", repos = "https://cloud.r-project.org")'"""


# ---- Machine -----------------------------------------------------------------


def gpus() -> list[Finding]:
    """Ask the driver for the GPUs, and say which build of torch there is."""
    group = "GPU: evaluates language models faster; nothing needs one"
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    printed = _output(query)
    if not printed:
        return [Finding(group, "GPU", "absent", "none found by nvidia-smi")]
    found = []
    for number, line in enumerate(printed.splitlines()):
        name, total, free = (part.strip() for part in line.split(","))
        found.append(Finding(group, f"GPU {number}", "ok", f"{name}, {total}, {free} free"))
    try:
        build = version("torch")
    except PackageNotFoundError:
        return found
    if build.endswith("+cpu"):
        remedy = "install a CUDA build: https://pytorch.org/get-started/locally"
        found.append(Finding(group, "torch", "other", build, "cannot use the GPU", remedy))
    return found


def tools() -> list[Finding]:
    """Look for programs of clusters and containers."""
    group = "Programs: clusters, containers, environments"
    found = []
    for name, (purpose, source) in TOOLS.items():
        path = shutil.which(name)
        state = "ok" if path else "absent"
        found.append(Finding(group, name, state, path or "", purpose, "" if path else source))
    return found


def places() -> list[Finding]:
    """Look at the workflow, the command on the path, real data and disk space."""
    group = "Places"
    there = (ROOT / "R" / "fit_readout.R").exists() and (ROOT / "Snakefile").exists()
    command = shutil.which("itemwise") or ""
    data = os.environ.get("ITEMWISE_DATA", "")
    has_data = bool(data) and (Path(data) / "leaderboard").is_dir()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return [
        Finding(group, "workflow", "ok" if there else "missing", str(ROOT),
                "Snakefile, rules and R stages",
                "" if there else "install the package anew: files of it were removed"),
        Finding(group, "itemwise", "ok" if command else "absent", command,
                "on the path, R reads tables through it where nanoparquet is missing",
                "" if command else f"source {from_here(Path(sys.prefix))}/bin/activate"),
        Finding(group, "ITEMWISE_DATA", "ok" if has_data else "other" if data else "absent", data,
                "folder of real leaderboard data, for tests and proofs only",
                "" if has_data else "export ITEMWISE_DATA=folder (with leaderboard/ in it)"),
        Finding(group, "free space", "ok" if free >= FREE_SPACE else "other", f"{free:.1f} GiB",
                "set-up takes 2.2 GiB, more where torch is built for GPUs",
                "" if free >= FREE_SPACE else "make room, or work on another disk"),
    ]  # fmt: skip


def _output(command: list[str], seconds: float = 10) -> str | None:
    """Return what a command prints; None where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout if finished.returncode == 0 else None
