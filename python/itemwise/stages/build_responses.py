"""Join item-wise results to one response matrix a benchmark.

Sources are wide tables (subject, one column an item) or long ones (subject, item,
response; benchmark, metric and filter where there are several), as parquet or CSV; or
metabench's archive (arc.csv with source, item, correct; arc_prompts.csv with item, prompt).
"""

from __future__ import annotations

import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.errors import UserError, listed
from itemwise.responses.apart import check_items_shared
from itemwise.responses.build import (
    build_responses,
    describe_items,
    describe_subjects,
    first_of_each,
    given_scores,
    lowest_subjects,
    mean_scores,
)
from itemwise.responses.item_facts import item_facts
from itemwise.responses.matrix import Responses, write_responses
from itemwise.responses.names import warn_of_look_alikes
from itemwise.responses.sources import SourceOptions
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record
from itemwise.workflow.schema import READING


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "benchmark", "out")
    parser.add_argument("--sources", nargs="+", required=True, help="files or folders to read")
    add_section(parser, "benchmarks", only=[*READING, "item_metadata"])
    parser.add_argument("--subject-metadata", nargs="+", help="tables with a column 'subject'")
    parser.add_argument("--out-items", required=True, help="items table to write")
    parser.add_argument("--out-subjects", required=True, help="subjects table to write")
    parser.add_argument("--out-full-scores", required=True, help="full_scores table to write")
    add(parser, "record")


def run(options) -> None:
    """Build, describe and write."""
    source_options = SourceOptions(
        options.benchmark,
        options.metric,
        options.filter,
        options.binarize,
        tuple(map(str.strip, options.select)),
    )
    with tqdm(unit=" rows", unit_scale=True, disable=None, file=sys.stderr) as bar:
        responses, dropped = build_responses(options.sources, source_options, bar.update)
    items = describe_items(responses.items, options.benchmark, options.item_metadata)
    known, runs = item_facts(options.sources, source_options)
    new = [column for column in known if column == "item" or column not in items]
    items = items.merge(known[new], on="item", how="left")
    responses, items, scores, left_out = narrowed(options, responses, items)
    for what, names in {**asdict(dropped), **left_out}.items():
        if names:
            print(
                f"dropped {len(names)} {what.replace('_', ' ')}: {listed(names)}", file=sys.stderr
            )
    say_who_has_no_score(options, responses, scores)
    alike = {
        what: warn_of_look_alikes(names, what, f"benchmark '{options.benchmark}'")
        for what, names in (("subjects", responses.subjects), ("items", responses.items))
    }
    subjects = describe_subjects(responses.subjects, options.subject_metadata)
    write_table(subjects, options.out_subjects, "subjects")
    write_table(items, options.out_items, "items")
    write_table(scores, options.out_full_scores, "full_scores")
    if options.record:
        record = _record(options, responses, scores)
        record |= {"dropped": asdict(dropped), "left_out": left_out, "look_alikes": alike}
        write_record({**record, **runs}, options.record)
    write_responses(responses, options.out)


def narrowed(options, responses: Responses, items: pd.DataFrame) -> tuple:
    """Leave out what was asked to: repeated items, incomplete and lowest subjects.

    Returns
    -------
    responses : Responses
    items, scores : data frame
        Tables `items` and `full_scores` of what is left.
    left_out : dict
        Names by reason.
    """
    left_out = {}
    if options.distinct:
        first = first_of_each(items, options.distinct, f"benchmark '{options.benchmark}'")
        left_out["repeated_items"] = items.loc[~first, "item"].tolist()
        responses, items = responses.take(items=first), items[first].reset_index(drop=True)
    if options.incomplete == "drop" or not options.full_scores:
        check_items_shared(responses, items, options.coverage)
    if options.incomplete == "drop":
        enough = responses.administered.mean(axis=1) >= options.coverage
        left_out["incomplete_subjects"] = responses.subjects[~enough].tolist()
        responses = responses.take(subjects=enough)
    scores = full_scores(options, responses)
    if options.lowest:
        lowest = lowest_subjects(scores, options.lowest)
        left_out["lowest_subjects"] = lowest.tolist()
        responses = responses.take(subjects=~np.isin(responses.subjects, lowest))
        scores = scores[~scores["subject"].isin(lowest)].reset_index(drop=True)
    if len(responses.subjects) < 2 or scores.empty:
        raise UserError(
            f"benchmark '{options.benchmark}': {len(responses.subjects)} subjects are left of "
            f"those with responses, {len(scores)} of them with a full score; lower config key "
            "'coverage' or 'lowest', or set 'incomplete: keep'"
        )
    return responses, items, scores, left_out


def full_scores(options, responses: Responses) -> pd.DataFrame:
    """Return the full scores given, else the mean of the responses."""
    if options.full_scores:
        return given_scores(options.full_scores, responses, options.benchmark, options.select)
    scores = mean_scores(responses, options.benchmark, options.coverage)
    if scores.empty:
        raise UserError(
            f"benchmark '{options.benchmark}': no subject answered "
            f"{options.coverage:.0%} of the items, so none has a full score; lower config "
            "key 'coverage' or give 'full_scores'"
        )
    return scores


def say_who_has_no_score(options, responses: Responses, scores: pd.DataFrame) -> None:
    """Print how many subjects have no full score, why, and what that means."""
    without = responses.subjects[~np.isin(responses.subjects, scores["subject"].to_numpy(object))]
    if not len(without):
        return
    reason = (
        f"{options.full_scores} has no row of theirs"
        if options.full_scores
        else f"they answered less than {options.coverage:.0%} of the items (config key 'coverage')"
    )
    print(
        f"{len(without)} of {len(responses.subjects)} subjects have no full score, since {reason}: "
        f"{listed(without)}",
        file=sys.stderr,
    )


def _record(options, responses: Responses, scores: pd.DataFrame) -> dict:
    """Return what went in."""
    return {
        "benchmark": options.benchmark,
        "sources": options.sources,
        "select": options.select,
        "binarize": options.binarize,
        "full_scores": options.full_scores or "mean of the responses",
        "coverage": options.coverage,
        "distinct": options.distinct,
        "lowest": options.lowest,
        "n_subjects": len(responses.subjects),
        "n_items": len(responses.items),
        "n_responses": int(responses.administered.sum()),
        "n_complete": int(responses.administered.all(axis=1).sum()),
        "n_full_scores": len(scores),
    }
