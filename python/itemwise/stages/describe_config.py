"""Write every configuration key as Markdown."""

from __future__ import annotations

from itemwise.config import describe
from itemwise.files import write_text
from itemwise.stages.options import add


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "out")


def run(options) -> None:
    """Write."""
    write_text(describe(), options.out)
