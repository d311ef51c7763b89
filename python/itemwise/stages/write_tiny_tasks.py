"""Write the tiny models' benchmarks: one harness task a topic of the made-up world."""

from __future__ import annotations

from pathlib import Path

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.tiny_models.tasks import write_tasks


def add_options(parser) -> None:
    """Declare the options."""
    add_section(parser, "tiny_models", only=["items"])
    add(parser, "seed")
    add(parser, "out", help="folder to write")


def run(options) -> None:
    """Write the tasks."""
    write_tasks(Path(options.out), options.items, options.seed)
