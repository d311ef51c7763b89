"""Join item-wise results to one response matrix a benchmark.

Sources are wide tables (subject, one column an item) or long ones (subject, item,
response; benchmark, metric and filter where there are several), as parquet or CSV.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from itemwise.build import (
    Reading,
    build_responses,
    describe_items,
    describe_subjects,
    given_scores,
    mean_scores,
)
from itemwise.errors import UserError, listed
from itemwise.evaluations import facts
from itemwise.files import write_record
from itemwise.responses import write_responses
from itemwise.stages.options import add
from itemwise.tables import write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "benchmark", "out")
    parser.add_argument("--sources", nargs="+", required=True, help="files or folders to read")
    parser.add_argument("--metric", help="metric to keep from long tables")
    parser.add_argument("--filter", help="harness filter to keep from long tables")
    parser.add_argument("--binarize", type=float, help="graded responses are right from here on")
    parser.add_argument("--full-scores", help="full_scores table (default: mean of the responses)")
    parser.add_argument(
        "--coverage",
        type=float,
        default=0.95,
        help="share of the items that a subject must have answered to get its mean as full "
        "score (default: 0.95)",
    )
    parser.add_argument("--item-metadata", help="parquet table with a column 'item'")
    parser.add_argument(
        "--subject-metadata", nargs="+", help="parquet tables with a column 'subject'"
    )
    parser.add_argument("--out-items", required=True, help="items table to write")
    parser.add_argument("--out-subjects", required=True, help="subjects table to write")
    parser.add_argument("--out-full-scores", required=True, help="full_scores table to write")
    add(parser, "record")


def run(options) -> None:
    """Build, describe and write."""
    reading = Reading(options.benchmark, options.metric, options.filter, options.binarize)
    responses, dropped = build_responses(options.sources, reading)
    for what, names in asdict(dropped).items():
        if names:
            print(
                f"dropped {len(names)} {what.replace('_', ' ')}: {listed(names)}", file=sys.stderr
            )
    if options.full_scores:
        scores = given_scores(options.full_scores, responses, options.benchmark)
    else:
        scores = mean_scores(responses, options.benchmark, options.coverage)
        if scores.empty:
            raise UserError(
                f"benchmark '{options.benchmark}': no subject answered "
                f"{options.coverage:.0%} of the items, so none has a full score; lower config "
                "key 'coverage' or give 'full_scores'"
            )
    subjects = describe_subjects(responses.subjects, options.subject_metadata)
    items = describe_items(responses.items, options.benchmark, options.item_metadata)
    known, runs = facts(options.sources, reading)
    new = [column for column in known if column == "item" or column not in items]
    items = items.merge(known[new], on="item", how="left")
    write_table(subjects, options.out_subjects, "subjects")
    write_table(items, options.out_items, "items")
    write_table(scores, options.out_full_scores, "full_scores")
    if options.record:
        write_record({**_record(options, responses, scores, dropped), **runs}, options.record)
    write_responses(responses, options.out)


def _record(options, responses, scores, dropped) -> dict:
    """Return what went in and what was left out."""
    return {
        "benchmark": options.benchmark,
        "sources": options.sources,
        "binarize": options.binarize,
        "full_scores": options.full_scores or "mean of the responses",
        "n_subjects": len(responses.subjects),
        "n_items": len(responses.items),
        "n_responses": int(responses.administered.sum()),
        "n_full_scores": len(scores),
        "dropped": asdict(dropped),
    }
