"""Write the 360 page of training runs: one self-contained HTML file.

Reads the folder that build-trajectories wrote; the page links to its tables.
"""

from __future__ import annotations

from pathlib import Path

from itemwise.analyses.suite import load
from itemwise.cli.options import add
from itemwise.report.profile import render
from itemwise.tables.files import write_text
from itemwise.trajectories.folder import read_folder


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--trajectories", required=True, help="folder of build-trajectories")
    parser.add_argument("--suite", help="suite table (default: the package's)")
    parser.add_argument(
        "--title", default="Training runs", help="of the page (default: Training runs)"
    )
    add(parser, "out")


def run(options) -> None:
    """Render and write."""
    folder, out = Path(options.trajectories), Path(options.out)
    tables, record = read_folder(folder)
    page = render(tables, record, load(options.suite), options.title, folder, out)
    write_text(page, out)
