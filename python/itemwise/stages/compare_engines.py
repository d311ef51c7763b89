"""Compare the native calibration with that of the reference engine."""

from __future__ import annotations

from itemwise.cli.options import add
from itemwise.irt.agreement import compare_engines
from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record, write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "responses", "parameters")
    parser.add_argument("--fit", required=True, help="fit record of the native engine")
    parser.add_argument("--reference", required=True, help="parameters of the reference engine")
    parser.add_argument("--reference-fit", required=True, help="fit record of the reference engine")
    add(parser, "out")


def run(options) -> None:
    """Compare and write."""
    responses = read_responses(options.responses)
    native = read_table(options.parameters, "parameters")
    reference = read_table(options.reference, "parameters")
    record = compare_engines(responses, native, reference)
    for name, path in (("native", options.fit), ("reference", options.reference_fit)):
        fit = read_record(path)
        kept = (
            "engine",
            "version",
            "model",
            "prior",
            "prior_values",
            "converged",
            "max_gradient",
            "seconds",
        )
        record[name].update({key: fit[key] for key in kept})
        record[name]["points"] = fit["quadrature"]["points"]
    write_record(record, options.out)
