# What every phase shares: the validated configuration, names of files, code of stages.
import re
import shlex
import sys
from pathlib import Path

from itemwise.build import source_files
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
EVALUATED = [b for b in BENCHMARKS if CONFIG["benchmarks"][b]["sources"] == "evaluated"]
LMS = list(CONFIG["language_models"])
"""Names of the language models to evaluate, as files are called."""

REFERENCE = [
    name
    for name, benchmark in CONFIG["benchmarks"].items()
    if benchmark["irt"]["reference"] == "auto"
    and benchmark["irt"]["engine"] == "native"
    and r_has("mirt")
]
"""Benchmarks that the reference engine calibrates too."""

JOINT = [f"{RUN}/fit_joint_readout/joint.terms.parquet"] if len(BENCHMARKS) > 1 else []
"""Terms of the joint read-out, where there are benchmarks to join."""

SEARCH = BENCHMARKS if CONFIG["search"]["trials"] > 0 else []
"""Benchmarks whose settings are searched for."""

ADAPTIVE = BENCHMARKS if CONFIG["cat"]["rules"] else []
"""Benchmarks on which adaptive tests are simulated."""

FACTORS = len(BENCHMARKS) >= 3 and r_has("psych")
"""Whether factors are analysed: fewer than three variables identify none."""


wildcard_constraints:
    benchmark="|".join(BENCHMARKS),
    lm="|".join(map(re.escape, LMS)) or "none",


def setting(group, key=None):
    """Return a setting of the rule's benchmark as params function."""

    def look_up(wildcards):
        value = CONFIG["benchmarks"][wildcards.benchmark][group]
        return value if key is None else value[key]

    return look_up


def option(name, group, key=None):
    """Return a command-line option, or nothing where the setting is null."""
    get = setting(group, key)

    return lambda wildcards: option_text(name, get(wildcards))


def option_text(name, value):
    """Return a command-line option as text, nothing where there is no value."""
    return "" if value is None else f"--{name} {shlex.quote(str(value))}"


def flag(name, group, key):
    """Return a command-line flag where the setting is true."""
    get = setting(group, key)

    def write(wildcards):
        return f"--{name}" if get(wildcards) else ""

    return write


def language_model(wildcards):
    """Return which language model an evaluation loads, as options."""
    entry = CONFIG["language_models"][wildcards.lm]
    return " ".join(option_text(name, entry.get(name)) for name in ("lm", "revision", "subject"))


def evaluation_settings():
    """Return how all language models are evaluated, as options."""
    settings = CONFIG["evaluate"]
    single = ("include_path", "backend", "dtype", "device", "batch_size", "num_fewshot")
    parts = [option_text(name.replace("_", "-"), settings[name]) for name in single]
    if settings["lm_args"]:
        parts.append("--lm-args " + " ".join(map(shlex.quote, settings["lm_args"])))
    if settings["apply_chat_template"]:
        parts.append("--apply-chat-template")
    return " ".join(filter(None, parts))


def benchmark_of_tasks():
    """Return the option that says which benchmark each task belongs to."""
    pairs = [f"{t}={b}" for b in EVALUATED for t in CONFIG["benchmarks"][b]["tasks"]]
    return " ".join(["--benchmark-of", *map(shlex.quote, pairs)]) if pairs else ""


def option_list(name, values):
    """Return a command-line option with several values, nothing where there are none."""
    return f"--{name} {' '.join(map(shlex.quote, values))}" if values else ""


def growing(amount):
    """Return a resource that grows with each attempt: what was too little is not tried again."""

    def grow(wildcards, attempt):
        return amount * attempt

    return grow


def form_size(wildcards):
    """Return how large a short form may be: by threshold, else by budget."""
    selection = CONFIG["benchmarks"][wildcards.benchmark]["selection"]
    if selection["threshold"] is not None:
        return f"--threshold {selection['threshold']}"
    return f"--budget {selection['budget']}"


def names_option(name, benchmarks):
    """Return a command-line option that lists benchmarks, or nothing."""
    return f"--{name} {' '.join(benchmarks)}" if benchmarks else ""


def source_paths(wildcards):
    """Return the sources of a benchmark: its files, or its simulated population."""
    sources = CONFIG["benchmarks"][wildcards.benchmark]["sources"]
    if sources == "simulated":
        return [f"{RUN}/simulate_population/{wildcards.benchmark}.parquet"]
    if sources == "evaluated":
        return expand(f"{RUN}/evaluate_model/{{lm}}.parquet", lm=LMS)
    # The files of a folder one by one: Snakemake does not look into folders.
    folders = {path: source_files([path]) for path in sources if Path(path).is_dir()}
    return [file for path in sources for file in folders.get(path, [path])]


def item_metadata(wildcards):
    """Return the table of what is known of the items: that given, or the evaluated prompts."""
    given = CONFIG["benchmarks"][wildcards.benchmark]["item_metadata"]
    if given is None and wildcards.benchmark in EVALUATED:
        return f"{RUN}/evaluate_model/{LMS[0]}.documents.parquet"
    return given


def metadata_paths(wildcards):
    """Return the optional inputs of a benchmark that are given."""
    benchmark = CONFIG["benchmarks"][wildcards.benchmark]
    given = [benchmark["full_scores"], item_metadata(wildcards), CONFIG["subject_metadata"]]
    return [path for path in given if path is not None]


def fit_code(wildcards):
    """Return the code of the engine that calibrates a benchmark."""
    engine = CONFIG["benchmarks"][wildcards.benchmark]["irt"]["engine"]
    return stage_code("fit_irt") + (stage_code("fit_irt", "R") if engine == "mirt" else [])


def report_inputs(wildcards):
    """Return what the report shows of every benchmark."""
    stages = {
        "build_responses": ["parquet", "json"],
        "screen_items": ["parquet", "json"],
        "fit_irt": ["parquet", "json"],
        "score_subjects": ["parquet"],
        "select_items": ["parquet", "json"],
        "fit_readout": ["parquet", "json"],
        "draw_baseline": ["parquet", "json"],
    }
    files = [
        f"{RUN}/{stage}/{benchmark}.{suffix}"
        for stage, suffixes in stages.items()
        for suffix in suffixes
        for benchmark in BENCHMARKS
    ]
    files += [f"{RUN}/compare_engines/{benchmark}.json" for benchmark in REFERENCE]
    files += [f"{RUN}/fit_readout/{benchmark}.features.parquet" for benchmark in BENCHMARKS]
    if len(BENCHMARKS) > 1:
        files += [f"{RUN}/fit_joint_readout/joint.parquet"]
    files += [
        f"{RUN}/search_selection/{b}.{suffix}" for b in SEARCH for suffix in ("parquet", "json")
    ]
    files += [f"{RUN}/simulate_cat/{b}.study.parquet" for b in ADAPTIVE]
    if FACTORS:
        files += [f"{RUN}/analyze_factors/factors.{suffix}" for suffix in ("parquet", "json")]
    return files + [f"{RUN}/split_subjects/splits.parquet", f"{RUN}/split_subjects/splits.json"]
