"""Write the data contract as Markdown."""

from __future__ import annotations

from itemwise.contract_page import contract_page
from itemwise.files import write_text
from itemwise.stages.options import add


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "out")


def run(options) -> None:
    """Write."""
    write_text(contract_page(), options.out)
