"""Import a folder of lm-evaluation-harness sample logs as one long table.

Of several runs of the same model and task the later one counts, item by item. What was
passed over is listed in the record.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

from itemwise.errors import listed
from itemwise.files import write_record
from itemwise.harness.samples import import_samples
from itemwise.stages.options import add
from itemwise.stages.settings import key_values
from itemwise.tables import write_table


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
    add(parser, "record")


def run(options) -> None:
    """Read and write."""
    found = import_samples(
        options.samples,
        options.subject,
        key_values(options.benchmark_of, "--benchmark-of"),
        lambda files: tqdm(files, unit="log", disable=None),
    )
    for message in found.skipped[:5]:
        print(f"skipped {message}", file=sys.stderr)
    if found.contradicting:
        print(
            f"{len(found.contradicting)} items answered differently by two runs, the later "
            f"counts: {listed(found.contradicting)}",
            file=sys.stderr,
        )
    counts = found.table.groupby(["subject", "benchmark", "task", "filter", "metric"])["response"]
    if options.record:
        write_record(
            {
                "samples": options.samples,
                "rows": len(found.table),
                "superseded_rows": found.superseded,
                "contradicting": found.contradicting,
                "skipped": found.skipped,
                "counts": [
                    {**dict(zip(("subject", "benchmark", "task", "filter", "metric"), key,
                                strict=True)), "items": int(n)}
                    for key, n in counts.size().items()
                ],
            },
            options.record,
        )  # fmt: skip
    write_table(found.table, options.out, "evaluations")
