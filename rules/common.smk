# What every phase shares: the validated configuration, lists of what there is, resources.
import re
import shlex
import shutil
import sys
from pathlib import Path

from itemwise.analyses.suite import pick
from itemwise.analyses.checkpoint_lists import from_entries, slug
from itemwise.workflow.config import resolve
from itemwise.workflow.config_paths import check_paths, source_listing
from itemwise.errors import UserError
from itemwise.paths import ROOT, from_here
from itemwise.workflow.installation import tell_conda
from itemwise.workflow.stage_code import stage_code
from itemwise.r.worker import r_has
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

try:
    CONFIG = resolve(config)
    check_paths(CONFIG)
    SOURCES = source_listing(CONFIG)
except UserError as error:
    raise WorkflowError(str(error)) from None

PROFILE = CONFIG["profile"]
"""Settings of the 360 suite."""

try:
    CHECKPOINTS = {
        (slug(row["model"]), slug(row["revision"])): row
        for row in from_entries(PROFILE["checkpoints"]).to_dict("records")
    }
    ANALYSES = pick(PROFILE["analyses"], bool(PROFILE["bank"]))["name"].tolist()
except UserError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{CONFIG['run']}"
logger.info("", extra={"itemwise_results": RUN})  # for our logger; empty ones are not printed
BENCHMARKS = list(CONFIG["benchmarks"])

# Stages are commands of the environment that runs Snakemake; where a rule's own
# environment has the command too, that one comes first. R converts tables by this Python
# where it has no parquet package.
shell.prefix(
    f'export PATH="$PATH":{shlex.quote(str(Path(sys.executable).parent))}'
    f" ITEMWISE_PYTHON={shlex.quote(sys.executable)}; "
)

tell_conda()

R_STAGES = shlex.quote(from_here(ROOT / "R")).replace("{", "{{").replace("}", "}}")
"""The folder of the R stages, as shell lines have it."""


SIMULATED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["sources"] == "simulated"]
EVALUATED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["sources"] == "evaluated"]
COLLECTED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["sources"] == "collected"]
LMS = list(CONFIG["language_models"])
"""Names of the language models to evaluate, as files are called."""

ZOO = {name: run for name, run in CONFIG["zoo"]["runs"].items() if not run["held_out"]}
"""Training runs of tiny models that calibrate the items."""

HELD_OUT = [name for name in CONFIG["zoo"]["runs"] if name not in ZOO]
"""Training runs that are followed by what the others calibrated."""

SUITE = f"{RUN}/write_suite/tasks"
"""The zoo's harness tasks."""

REFERENCE = [
    name
    for name, benchmark in CONFIG["benchmarks"].items()
    if benchmark["irt"]["reference"] == "auto"
    and benchmark["irt"]["engine"] == "native"
    and r_has("mirt")
]
"""Benchmarks that the reference engine calibrates too."""

JOINT = [
    f"{RUN}/fit_joint_readout/joint.{suffix}"
    for suffix in ("terms.parquet", "json")
    if len(BENCHMARKS) > 1
]
"""Terms and record of the joint read-out, where there are benchmarks to join."""

SEARCH = BENCHMARKS if CONFIG["search"]["trials"] > 0 else []
"""Benchmarks whose settings are searched for."""

ADAPTIVE = BENCHMARKS if CONFIG["cat"]["rules"] else []
"""Benchmarks on which adaptive tests are simulated."""

THINNED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["thinning"]["items"] is not None]
"""Benchmarks whose items are thinned before calibration."""

FACTORS = len(BENCHMARKS) >= 3 and r_has("psych")
"""Whether factors are analysed: fewer than three variables identify none."""


PROFILED = [
    f"{RUN}/profile_checkpoints/{lm}/{revision}/{file}"
    for lm, revision in CHECKPOINTS
    for file in [*(f"{name}.parquet" for name in ANALYSES), "record.json"]
]
"""What the 360 suite gives: a table of measures for every checkpoint and analysis, and records."""


def cores_each():
    """Return the cores of a job that works for one benchmark.

    On one machine benchmarks share its cores, so that all can run at once; a cluster's nodes have
    others than the machine that submits.
    """
    if not workflow.local_exec or workflow.remote_exec:
        return 2
    return max(1, min(8, workflow.cores // max(1, len(BENCHMARKS))))


LITTLE_SPACE = 10_000_000
"""Bytes; below it a failure is likely to be for want of space."""


wildcard_constraints:
    benchmark="|".join(BENCHMARKS) or "none",
    lm="|".join(map(re.escape, LMS)) or "none",
    training_run="|".join(map(re.escape, CONFIG["zoo"]["runs"])) or "none",


def space_left():
    """Return a warning where results have little space left: then logs may be empty."""
    folder = next(path for path in [Path(RUN), *Path(RUN).parents] if path.exists())
    free = shutil.disk_usage(folder).free
    if free > LITTLE_SPACE:
        return ""
    return (
        f"{folder}: {free / 1e6:.1f} MB left on its disk. A full disk takes no message either: "
        "if a log is empty, free space and run the same command again."
    )


def growing(amount):
    """Return a resource that grows with each attempt: what was too little is not tried again."""

    def grow(wildcards, attempt):
        return amount * attempt

    return grow
