"""Write the zoo's benchmark suite: one harness task a topic of the made-up world."""

from __future__ import annotations

from pathlib import Path

from itemwise.cli.options import add, whole_number
from itemwise.zoo.tasks import write_suite


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--n-items", type=whole_number(1), default=120, help="items of each topic (default: 120)"
    )
    add(parser, "seed")
    add(parser, "out", help="folder to write")


def run(options) -> None:
    """Write the tasks."""
    write_suite(Path(options.out), options.n_items, options.seed)
