"""Write one self-contained HTML report of a run."""

from __future__ import annotations

from pathlib import Path

from itemwise.cli.options import add
from itemwise.report.page import render
from itemwise.tables.files import write_text
from itemwise.workflow.resolved import read_resolved


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--results", required=True, help="folder of the run: results/<run>")
    parser.add_argument("--config", help="resolved configuration (default: that of the run)")
    parser.add_argument(
        "--reference", nargs="*", default=[], help="benchmarks that mirt calibrated too"
    )
    add(parser, "threads", "out")


def run(options) -> None:
    """Render and write."""
    run_folder, out = Path(options.results), Path(options.out)
    config = read_resolved(options.config or run_folder / "config.yaml")
    beside = None if out.parent == run_folder else out.parent
    write_text(render(run_folder, config, options.reference, beside, options.threads), options.out)
