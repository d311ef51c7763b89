"""Train tiny language models of the made-up world, with checkpoints: one or many runs.

A run is a JSON object: its name, and what makes it differ. In the folder --out it gets
checkpoints, transformers models `NAME/step-N`, a table of them, `NAME.parquet`, and a
record, `NAME.json`. A killed training goes on at its last checkpoint; a finished one is
kept. Each run has a process of its own.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path

import pandas as pd

from itemwise.cli.options import add, whole_number
from itemwise.cli.section import add_section
from itemwise.errors import UserError, did_you_mean
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record
from itemwise.tiny_models.train import TrainingRun, prepare, train
from itemwise.workflow.forks import Failure, raise_failures, run_forked

DEFAULTS = TrainingRun("default", (1,))
SHARED = {"checkpoints", "lines"}
"""Settings that are options of their own, the same for all runs."""
SETTINGS = {field.name: getattr(DEFAULTS, field.name) for field in fields(TrainingRun)
            if field.name not in SHARED}  # fmt: skip
"""What a run of --runs may set, and the defaults."""


def add_options(parser) -> None:
    """Declare the options."""
    settings = ", ".join(f"{key} ({json.dumps(value)})" for key, value in SETTINGS.items()
                         if key != "name")  # fmt: skip
    parser.add_argument(
        "--runs", nargs="+", required=True, metavar="JSON",
        help=f"runs to train: objects with a name, and with (defaults) {settings}",
    )  # fmt: skip
    add_section(parser, "tiny_models", only=["lines", "checkpoints"])
    parser.add_argument(
        "--world-seed",
        type=whole_number(0),
        default=1,
        help="seed of the world, the same for all runs (default: 1)",
    )
    add(parser, "threads", help="runs side by side (default: 1); the result does not depend on it")
    add(parser, "out", help="folder to write to")


def run(options) -> None:
    """Train, the longest runs first, and describe."""
    made = [run_of(text, options) for text in options.runs]
    names = [one.name for one in made]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"--runs: '{twice[0]}' is named twice; give every run a name of its own")
    prepare(made, options.world_seed)
    made.sort(key=lambda one: (-one.layers, -one.width))
    tasks = {one.name: partial(timed, one, options) for one in made}
    failures = {}
    for name, ended in run_forked(tasks, options.threads):
        if isinstance(ended, Failure):
            failures[name] = ended
            said = f"failed: {ended.message}"
        else:
            subjects, record = ended
            write_table(subjects, f"{options.out}/{name}.parquet", "subjects")
            write_record(record, f"{options.out}/{name}.json")
            said = f"{options.checkpoints[-1]} steps, {record['seconds']:.1f} s"
        names.remove(name)
        print(f"{name}: {said}; {len(names)} of {len(made)} runs to go", flush=True)
    raise_failures(failures, "train-tiny-models", "run")


def run_of(text: str, options) -> TrainingRun:
    """Return a run of --runs.

    Raises
    ------
    UserError
        It is no object with a name, or a key is unknown.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--runs: {text}: is not JSON ({error.msg})") from error
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise UserError(f'--runs: {text}: is not an object with a name, as {{"name": "small"}}')
    for key in given:
        if key not in SETTINGS:
            raise UserError(
                f"--runs: run '{given['name']}': '{key}' is no setting of a run"
                f"{did_you_mean(key, SETTINGS)}"
            )
    given["left_out"] = tuple(given.get("left_out", ()))
    return TrainingRun(checkpoints=tuple(options.checkpoints), lines=options.lines, **given)


def timed(one: TrainingRun, options) -> tuple[pd.DataFrame, dict]:
    """Train a run; return the table of its checkpoints and its record."""
    start = time.perf_counter()
    subjects = train(one, Path(options.out) / one.name, options.world_seed)
    record = {**asdict(one), "world_seed": options.world_seed}
    return subjects, {**record, "seconds": time.perf_counter() - start}
