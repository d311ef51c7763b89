"""Write one self-contained HTML report of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from itemwise.cli.options import add
from itemwise.report.page import NOT_COMPARED, render
from itemwise.report.published import parse_published
from itemwise.tables.files import write_text


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--results", required=True, help="folder of the run: results/<run>")
    parser.add_argument("--benchmarks", nargs="+", required=True, help="benchmarks to show")
    parser.add_argument("--simulated", nargs="*", default=[], help="those with a known truth")
    parser.add_argument("--reference", nargs="*", default=[], help="those that mirt calibrated too")
    parser.add_argument(
        "--published", default="[]", help="numbers of others to show beside ours, JSON: a list of "
        "{benchmark, readout, source, n_items, n_test, rmse, mae, spearman, random_rmse, differs} "
        "(default: [])",
    )  # fmt: skip
    parser.add_argument("--zoo", nargs="*", default=[], help="training runs of tiny models")
    parser.add_argument("--followed", nargs="*", default=[], help="held-out training runs")
    parser.add_argument(
        "--rule", action="append", default=[], help="rule of the simulated adaptive tests, to be "
        "explained as given to simulate-cat; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--not-compared", nargs="*", default=[], type=_reason, metavar="BENCHMARK=REASON",
        help="why mirt did not calibrate it: never (so configured) or missing (not installed)",
    )  # fmt: skip
    add(parser, "out")


def run(options) -> None:
    """Render and write."""
    run_folder, out = Path(options.results), Path(options.out)
    page = render(
        run_folder,
        options.benchmarks,
        options.simulated,
        options.reference,
        parse_published(options.published, options.benchmarks),
        options.zoo,
        options.followed,
        options.rule,
        dict(options.not_compared),
        None if out.parent == run_folder else out.parent,
    )
    write_text(page, options.out)


def _reason(text: str) -> tuple[str, str]:
    """Read a benchmark and why it was not compared."""
    name, _, reason = text.rpartition("=")
    if not name or reason not in NOT_COMPARED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not BENCHMARK=REASON with one of the reasons {', '.join(NOT_COMPARED)}"
        )
    return name, reason
