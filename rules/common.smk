# What every phase shares: the validated configuration, names of files, code of stages.
import sys
from pathlib import Path

from itemwise.config import resolve
from itemwise.errors import UserError
from itemwise.provenance import stage_code
from itemwise.r_worker import r_has
from snakemake.exceptions import WorkflowError

try:
    CONFIG = resolve(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{CONFIG['run']}"
BENCHMARKS = list(CONFIG["benchmarks"])

# Stages are commands of the environment that runs Snakemake; where a rule's own
# environment has the command too, that one comes first.
shell.prefix(f"export PATH=$PATH:{Path(sys.executable).parent}; ")


SIMULATED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["sources"] == "simulated"]
REFERENCE = [
    name
    for name, benchmark in CONFIG["benchmarks"].items()
    if benchmark["irt"]["reference"] == "auto"
    and benchmark["irt"]["engine"] == "native"
    and r_has("mirt")
]
"""Benchmarks that the reference engine calibrates too."""


wildcard_constraints:
    benchmark="|".join(BENCHMARKS),


def setting(group, key=None):
    """Return a setting of the rule's benchmark as params function."""

    def look_up(wildcards):
        value = CONFIG["benchmarks"][wildcards.benchmark][group]
        return value if key is None else value[key]

    return look_up


def option(name, group, key=None):
    """Return a command-line option, or nothing where the setting is null."""
    get = setting(group, key)

    def write(wildcards):
        value = get(wildcards)
        return "" if value is None else f"--{name} {value!r}"

    return write


def flag(name, group, key):
    """Return a command-line flag where the setting is true."""
    get = setting(group, key)

    def write(wildcards):
        return f"--{name}" if get(wildcards) else ""

    return write


def form_size(wildcards):
    """Return how large a short form may be: by threshold, else by budget."""
    selection = CONFIG["benchmarks"][wildcards.benchmark]["selection"]
    if selection["threshold"] is not None:
        return f"--threshold {selection['threshold']}"
    return f"--budget {selection['budget']}"


def names_option(name, benchmarks):
    """Return a command-line option that lists benchmarks, or nothing."""
    return f"--{name} {' '.join(benchmarks)}" if benchmarks else ""
