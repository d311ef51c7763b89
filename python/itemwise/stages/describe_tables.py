"""Write the data contract as Markdown."""

from __future__ import annotations

from itemwise.cli.options import add
from itemwise.tables.files import write_text
from itemwise.tables.page import contract_page


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "out")


def run(options) -> None:
    """Write."""
    write_text(contract_page(), options.out)
