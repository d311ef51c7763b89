"""Import a folder of lm-evaluation-harness sample logs as one long table.

Of several runs of the same model and task the later one counts, item by item. What was
passed over is listed in the record. Prints how many models and items each benchmark has.
"""

from __future__ import annotations

from tqdm import tqdm

from itemwise.cli.options import add, key_values
from itemwise.cli.terminal import warn
from itemwise.harness.import_messages import summary, warnings
from itemwise.harness.samples import Imported, import_samples
from itemwise.tables.contract import check_parquet_name, write_table
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--samples", nargs="+", required=True, help="logs, or folders of logs")
    parser.add_argument("--subject", help="name of the model (default: its folder's)")
    parser.add_argument(
        "--benchmark-of",
        nargs="+",
        default=[],
        metavar="TASK=BENCHMARK",
        help="benchmark of a task (default: metabench's own, else the task's name)",
    )
    add(parser, "out", help="evaluations table to write")
    parser.add_argument(
        "--out-items", help="items table to write: question, choices and right answer of each item"
    )
    add(parser, "record")


def run(options) -> None:
    """Read, write, and say what came in."""
    for path in filter(None, (options.out, options.out_items)):
        check_parquet_name(path)
    found = import_samples(
        options.samples,
        options.subject,
        key_values(options.benchmark_of, "--benchmark-of"),
        lambda files: tqdm(files, unit="log", disable=None),
    )
    warn(warnings(found))
    if options.record:
        write_record(record(options, found), options.record)
    if options.out_items:
        write_table(found.items, options.out_items, "items")
    write_table(found.table, options.out, "evaluations")
    print("\n".join(summary(found.table)))


def record(options, found: Imported) -> dict:
    """Return what was counted and what was passed over."""
    key = ["subject", "benchmark", "task", "filter", "metric"]
    counts = found.table.groupby(key)["item"].size().rename("items")
    return {
        "samples": options.samples,
        "rows": len(found.table),
        "superseded_rows": found.superseded,
        "repeated": found.repeated,
        "skipped": [*map(str, found.skipped)],
        "counts": counts.reset_index().to_dict("records"),
    }
