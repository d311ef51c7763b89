# What every phase shares: the validated configuration, lists of what there is, resources.
import re
import shlex
import shutil
import sys
from pathlib import Path

from itemwise.analyses.suite import pick
from itemwise.analyses.checkpoint_lists import from_entries, slug
from itemwise.workflow.config import OVERRIDABLE, resolve
from itemwise.workflow.config_paths import check_paths, source_listing
from itemwise.errors import UserError
from itemwise.paths import ROOT, from_here
from itemwise.workflow.doctor import tell_conda
from itemwise.workflow.schema import LOADING, READING, SCHEDULED, as_options, section_rules
from itemwise.workflow.stage_code import stage_code
from itemwise.r.worker import r_has
from itemwise.tables.results import file_of, names_of
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

BANK = f"{RUN}/bank"
CONFIG_FILE = f"{RUN}/config.yaml"
"""Every setting of the run, defaults included."""
TRAJECTORIES = f"{RUN}/build_trajectories/trajectories"
"""Folder of all tables of trajectories."""


def result(stage, name):
    """Return where a stage writes a result: `python/itemwise/tables/results.csv` says."""
    return f"{RUN}/{file_of(stage, name)}"


def results(stage, names=()):
    """Return where a stage writes its results, or some of them, by name."""
    return {name: result(stage, name) for name in names or names_of(stage)}


def of_each(stage, name):
    """Return a result of a stage for all benchmarks."""
    return expand(result(stage, name), benchmark=BENCHMARKS)


def of_each_run(stage, name):
    """Return a result of a stage for all training runs of tiny models."""
    return expand(result(stage, name), training_run=TINY_RUNS)


def log_of(stage, job="{benchmark}"):
    """Return the log of a stage's job."""
    return f"{RUN}/logs/{stage}/{job}.log"


def time_of(stage, job="{benchmark}"):
    """Return the file that says what a stage's job took."""
    return f"{RUN}/benchmarks/{stage}/{job}.tsv"


JOINT = {}
"""Results of joint read-outs as options of what reads them, where there are benchmarks to join."""
if len(BENCHMARKS) > 1:
    JOINT = {f"joint_{name}": result("fit_joint_process", name) for name in ("terms", "record")}
if len(BENCHMARKS) > 1 and CONFIG["joint"]["smooths"]:
    JOINT |= {
        f"joint_smooths_{name}": result("fit_joint_readout", name) for name in ("terms", "record")
    }

MEASURES = [
    result("profile_checkpoints", "measures").format(lm=lm, revision=revision, analysis=analysis)
    for lm, revision in CHECKPOINTS
    for analysis in ANALYSES
]
"""What the 360 suite measures: a table for every checkpoint and analysis."""

GAPS = [result("profile_checkpoints", "record").format(lm=lm, revision=r) for lm, r in CHECKPOINTS]
"""What failed at each checkpoint."""

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

TINY_RUNS = CONFIG["tiny_models"]["runs"]
"""Training runs of tiny models, by name."""

CALIBRATING = [name for name, run in TINY_RUNS.items() if not run["held_out"]]
"""Those that calibrate the items."""

HELD_OUT = [name for name in TINY_RUNS if name not in CALIBRATING]
"""Those that are followed by what the others calibrated."""

REFERENCE = [
    name
    for name, benchmark in CONFIG["benchmarks"].items()
    if benchmark["irt"]["reference"] == "auto"
    and benchmark["irt"]["engine"] == "native"
    and r_has("mirt")
]
"""Benchmarks that the reference engine calibrates too."""

SEARCH = BENCHMARKS if CONFIG["search"]["trials"] > 0 else []
"""Benchmarks whose settings are searched for."""

ADAPTIVE = BENCHMARKS if CONFIG["cat"]["rules"] else []
"""Benchmarks on which adaptive tests are simulated."""

PRESELECTED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["preselection"]["size"] is not None]
"""Benchmarks of whose items some are chosen before calibration."""

FACTORS = len(BENCHMARKS) >= 3 and r_has("psych")
"""Whether factors are analysed: fewer than three variables identify none."""


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
    training_run="|".join(map(re.escape, TINY_RUNS)) or "none",


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


def per_attempt(amount):
    """Return a resource that grows with each attempt: what was too little is not tried again."""

    def grow(wildcards, attempt):
        return amount * attempt

    return grow
