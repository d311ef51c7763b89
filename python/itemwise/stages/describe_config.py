"""Write every configuration key as Markdown."""

from __future__ import annotations

from itemwise.cli.options import add
from itemwise.tables.files import write_text
from itemwise.workflow.config_page import describe


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "out")


def run(options) -> None:
    """Write."""
    write_text(describe(), options.out)
