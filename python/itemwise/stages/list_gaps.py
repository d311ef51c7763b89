"""List what failed at which checkpoint, from the records of profile-checkpoints."""

from __future__ import annotations

from itemwise.cli.options import add
from itemwise.tables.files import read_record, write_record


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--records", nargs="+", required=True, help="records of checkpoints")
    add(parser, "out", help="JSON record to write")


def run(options) -> None:
    """Gather, print and write."""
    failures = {}
    for path in options.records:
        record = read_record(path)
        if record["failures"]:
            failures["{model}@{revision}".format(**record)] = record["failures"]
    for label, analyses in failures.items():
        for name, message in analyses.items():
            print(f"gap: {label}, {name}: {message}")
    write_record({"checkpoints": len(options.records), "failures": failures}, options.out)
