"""Measure checkpoints by the analyses of the suite, each checkpoint in a process of its own.

One checkpoint (--lm), a list (--checkpoints), or a training in progress (--watch). Weights
are loaded once for all analyses. Results are kept in the store one by one, so that a killed
run goes on, a new analysis costs only itself, and one that fails leaves the others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import yaml
from tqdm import tqdm

from itemwise.analyses import checkpoint_lists
from itemwise.analyses.checkpoint_names import read_folder
from itemwise.analyses.runner import profile, write_profile
from itemwise.analyses.settings import EVERYONE, check_places, overview, ready, settings_of
from itemwise.analyses.suite import load, pick
from itemwise.analyses.watch import Watch
from itemwise.cli.model_options import add_benchmarks
from itemwise.cli.options import key_values, whole_number
from itemwise.cli.section import add_section
from itemwise.errors import UserError, listed
from itemwise.harness.model import LanguageModel
from itemwise.harness.progress import Progress
from itemwise.tables.files import read_record, write_record
from itemwise.workflow.child_process import run_child
from itemwise.workflow.schema import SCHEDULED

PASSED_ON = ("backend", "dtype", "device", "batch_size", "settings", "suite", "bank", "rule",
             "include_path")  # fmt: skip
LISTS = ("lm_args", "analyses", "set", "benchmarks")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""What tells the hub's libraries to take what is in their cache, and to try nothing else."""


def add_options(parser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--lm", help="one checkpoint: folder or hub id")
    what.add_argument("--checkpoints", help="checkpoints table of list-checkpoints, or CSV")
    what.add_argument("--watch", help="folder of a training in progress")
    for name, text in (("name", "name of the model in the tables"), ("revision", "of the model")):
        parser.add_argument(f"--{name}", help=f"with --lm: {text}")
    for name in ("step", "tokens"):
        parser.add_argument(f"--{name}", type=float, help=f"with --lm: training {name}")
    add_section(parser, "profile", leave_out=SCHEDULED)
    parser.add_argument("--list-settings", action=ListSettings,
                        help="print the settings of all analyses and end")  # fmt: skip
    parser.add_argument("--suite", help="another suite table (default: the package's)")
    parser.add_argument("--settings", help="YAML file: settings by analysis")
    parser.add_argument("--set", nargs="+", default=[], metavar="ANALYSIS.SETTING=VALUE",
                        help="settings that override those of --settings; ANALYSIS is a row's "
                        "name, a module or all")  # fmt: skip
    add_benchmarks(parser)
    parser.add_argument("--include-path", help="folder with further task files of the harness")
    parser.add_argument("--store", required=True, help="folder that keeps results")
    parser.add_argument("--out", required=True,
                        help="folder: <model>/<revision>/<analysis>.parquet")  # fmt: skip
    parser.add_argument(
        "--keep-going", action="store_true", help="exit with 0 although something failed"
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=60,
        help="with --watch: seconds between two looks (default: 60)",
    )
    parser.add_argument("--until", type=whole_number(0),
                        help="with --watch: stop after the checkpoint of this step")  # fmt: skip
    parser.add_argument("--stop-file", help="with --watch: stop when this file is there")
    parser.add_argument(
        "--tokens-per-step", type=float, help="with --watch: training tokens of a step"
    )


class ListSettings(argparse.Action):
    """Print the settings of all analyses and end, as `--help` does."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser, *_):
        """Print and end."""
        print(overview(load()))
        parser.exit()


def run(options) -> None:
    """Measure one checkpoint, or start a process for each."""
    suite, settings = plan(options)
    if options.lm:
        one(options, suite, settings)
        return
    for row in suite.itertuples():  # once, rather than at every checkpoint
        ready(row.analysis, settings[row.name])
    if options.checkpoints:
        many(options, checkpoint_lists.from_file(options.checkpoints), suite)
    else:
        watch(options, suite)


def plan(options) -> tuple[pd.DataFrame, dict]:
    """Return the rows of the suite that are asked for, and their settings."""
    whole = load(options.suite)
    suite = pick(options.analyses, bool(options.bank), options.suite)
    settings = settings_of(whole, given_settings(options, whole), set(suite["name"]))
    check_places(settings)
    return suite, settings


def given_settings(options, whole: pd.DataFrame) -> dict[str, dict]:
    """Join the settings of file, options and bank."""
    given: dict[str, dict] = {}
    if options.settings:
        given = settings_file(options.settings, whole)
    for name, text in key_values(options.set, "--set").items():
        analysis, dot, key = name.partition(".")
        if not dot:
            raise UserError(f"--set {name}={text}: is not of the form ANALYSIS.SETTING=VALUE")
        given.setdefault(analysis, {})[key] = yaml.safe_load(text)
    if options.include_path:
        given.setdefault(EVERYONE, {})["include_path"] = options.include_path
    for key in ("bank", "rule", "benchmarks"):
        if getattr(options, key):
            given.setdefault("bank", {})[key] = getattr(options, key)
    return given


def settings_file(path: str, whole: pd.DataFrame) -> dict[str, dict]:
    """Read settings by analysis from YAML, of any rows of the suite."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({error}); check --settings") from error
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        raise UserError(f"{path}: is not of the form analysis: {{setting: value}}")
    try:
        settings_of(whole, given, asked=())
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return given


def one(options, suite: pd.DataFrame, settings: dict) -> None:
    """Measure one checkpoint in this process."""
    local = Path(options.lm).is_dir()
    description = LanguageModel(
        options.lm, None if local else options.revision, options.backend, options.dtype,
        options.device, options.batch_size, key_values(options.lm_args, "--lm-args"),
        options.trust_remote_code, options.recompute_prefixes,
    )  # fmt: skip
    checkpoint = {
        "model": options.name or LanguageModel(options.lm).subject,
        "revision": options.revision or "main",
        "step": options.step,
        "tokens": options.tokens,
    }
    label = "{model}@{revision}".format(**checkpoint)
    with Progress(len(suite), "row", label, every=0) as bar:

        def done(name: str) -> None:
            bar.know(f"{name} done")
            bar.update()

        made = profile(description, checkpoint, suite, settings, options.store, done)
    write_profile(made, folder_of(options, checkpoint))
    for name, message in made.failures.items():
        print(f"left out {label}, {name}: {message}", file=sys.stderr)
    if made.failures and not options.keep_going:
        raise UserError(
            f"{label}: {len(made.failures)} of {len(suite)} analyses failed "
            f"({listed(made.failures)}), as said above; fix what they name and run again: the "
            "others are kept"
        )


def folder_of(options, checkpoint: dict) -> Path:
    """Return where the tables of a checkpoint go."""
    names = (checkpoint["model"], checkpoint["revision"])
    return Path(options.out).joinpath(*map(checkpoint_lists.slug, names))


def many(options, table: pd.DataFrame, suite: pd.DataFrame) -> dict[str, dict]:
    """Measure checkpoints one after the other, each in a process of its own."""
    table = checkpoint_lists.join([table])
    failed, hub = {}, {}
    for row in tqdm(table.to_dict("records"), unit="checkpoint", disable=None):
        failures = start(options, row, suite, hub)
        if not hub and unreachable(options, row):
            hub = OFFLINE
            print("notice: the hub cannot be reached; the other checkpoints take what is in its "
                  "cache", file=sys.stderr)  # fmt: skip
        if failures:
            failed["{model}@{revision}".format(**row)] = failures
    report(options, len(table), len(suite), failed)
    return failed


def start(
    options, row: dict, suite: pd.DataFrame, hub: dict[str, str] | None = None
) -> dict[str, str]:
    """Run the command of one checkpoint and return what failed; `hub` goes to its environment."""
    record = folder_of(options, row) / "record.json"
    record.unlink(missing_ok=True)
    finished = run_child(command(options, row), hub, stdout=subprocess.DEVNULL)
    if not record.exists():  # killed, or out of memory: nothing says which analysis it was
        message = f"the process ended with status {finished.returncode} before its record"
        return dict.fromkeys(suite["name"], message)
    return read_record(record)["failures"]


def unreachable(options, row: dict) -> bool:
    """Return whether the hub could not be reached at a checkpoint."""
    record = folder_of(options, row) / "record.json"
    return record.exists() and read_record(record)["hub_unreachable"]


def command(options, row: dict) -> list[str]:
    """Return the command that measures one checkpoint."""
    location, dtype = row.get("location"), row.get("dtype")
    words = [sys.executable, "-m", "itemwise", "profile-checkpoints",
             "--lm", row["model"] if pd.isna(location) else location,
             "--name", row["model"], "--revision", row["revision"],
             "--store", options.store, "--out", options.out, "--keep-going"]  # fmt: skip
    for key in ("step", "tokens"):
        words += [] if pd.isna(row[key]) else [f"--{key}", repr(float(row[key]))]
    for key in PASSED_ON:
        value = dtype if key == "dtype" and not pd.isna(dtype) else getattr(options, key)
        words += [] if value is None else ["--" + key.replace("_", "-"), str(value)]
    for key in LISTS:
        values = getattr(options, key)
        words += ["--" + key.replace("_", "-"), *values] if values else []
    for key in ("trust_remote_code", "recompute_prefixes"):
        words += ["--" + key.replace("_", "-")] if getattr(options, key) else []
    return words


def report(options, n: int, analyses: int, failed: dict[str, dict]) -> None:
    """Write the record of all checkpoints; nothing measured at all is an error."""
    write_record({"checkpoints": n, "failures": failed}, Path(options.out) / "record.json")
    gaps = sum(len(failures) for failures in failed.values())
    print(f"{n} checkpoints, {n * analyses - gaps} of {n * analyses} analyses measured")
    alike: dict[tuple[str, str], list[str]] = {}
    for label, failures in failed.items():
        for name, message in failures.items():
            alike.setdefault((name, message), []).append(label)
    for (name, message), labels in alike.items():
        number = f"{len(labels)} checkpoints: " if len(labels) > 1 else ""
        print(f"gap: {number}{listed(labels, 3)}: {name}: {message}", file=sys.stderr)
    if gaps and gaps == n * analyses and not options.keep_going:
        raise UserError("no analysis of any checkpoint could be measured; see above")


def watch(options, suite: pd.DataFrame) -> None:
    """Measure checkpoints of a folder as they become complete."""
    folder = Path(options.watch)
    if not folder.is_dir():
        raise UserError(f"--watch {folder}: no such folder; give that of the checkpoints")
    looking, failed, n = Watch(folder), {}, 0
    name = LanguageModel(str(folder)).title
    while True:
        stopping = options.stop_file is not None and Path(options.stop_file).exists()
        last = None
        for path in looking.look():
            told = read_folder(path)
            last = told.step
            counted = last is not None and options.tokens_per_step is not None
            row = {"model": name, "revision": path.name, "step": last,
                   "tokens": last * options.tokens_per_step if counted else told.tokens,
                   "location": str(path.resolve()), "dtype": None}  # fmt: skip
            n += 1
            failures = start(options, row, suite)
            label = f"{name}@{path.name}"
            failed.pop(label, None)
            if failures:
                failed[label] = failures
            print(f"{label}: {len(suite) - len(failures)} of {len(suite)} analyses", flush=True)
            if options.until is not None and last is not None and last >= options.until:
                stopping = True
        if stopping:
            break
        time.sleep(options.interval)
    report(options, n, len(suite), failed)
