"""Train one tiny language model of the made-up world, with checkpoints.

Checkpoints are transformers models, `step-N` in --out-checkpoints. A killed training goes
on at its last checkpoint; a finished one is kept.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from itemwise.cli.options import add, whole_number
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record
from itemwise.zoo.train import TrainingRun, train

DEFAULTS = TrainingRun("default", (1,))


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--name", required=True, help="name of the run")
    parser.add_argument(
        "--steps", nargs="+", type=whole_number(1), required=True, help="steps to save at"
    )
    for name, kind, text in (
        ("width", whole_number(1), "size of the hidden state, a multiple of 16"),
        ("layers", whole_number(1), "layers"),
        ("learning-rate", float, "highest learning rate"),
        ("lines", whole_number(1), "lines of the world's training text"),
        ("share", float, "share of the lines that the run sees"),
    ):
        default = getattr(DEFAULTS, name.replace("-", "_"))
        text = f"{text} (default: {default})"
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    parser.add_argument(
        "--left-out", nargs="*", default=[], help="topics that the text lacks (default: none)"
    )
    parser.add_argument(
        "--world-seed",
        type=whole_number(0),
        default=1,
        help="seed of the world, the same for all runs of a zoo (default: 1)",
    )
    add(parser, "seed")
    parser.add_argument("--out-checkpoints", required=True, help="folder of the checkpoints")
    add(parser, "out", help="subjects table to write: one row a checkpoint")
    add(parser, "record")


def run(options) -> None:
    """Train and describe."""
    made = TrainingRun(
        options.name, tuple(options.steps), options.width, options.layers,
        options.learning_rate, options.lines, options.share, tuple(options.left_out), options.seed,
    )  # fmt: skip
    from transformers.utils import logging

    logging.disable_progress_bar()  # one for every checkpoint, into the log
    start = time.perf_counter()
    with tqdm(total=made.checkpoints[-1], unit="step", desc=made.name, disable=None) as bar:
        subjects = train(made, Path(options.out_checkpoints), options.world_seed, bar.update)
    if options.record:
        record = {**asdict(made), "world_seed": options.world_seed}
        write_record({**record, "seconds": time.perf_counter() - start}, options.record)
    write_table(subjects, options.out, "subjects")
