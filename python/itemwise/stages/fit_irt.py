"""Calibrate the items of one benchmark.

P(x = 1) = g + (u - g) / (1 + exp(-(a theta + d))), theta ~ N(0, 1), by marginal maximum
likelihood. A fit that has not converged writes nothing unless it is allowed to.
"""

from __future__ import annotations

import logging
import sys

from itemwise.cli.options import add, whole_number
from itemwise.cli.progress import fit_progress
from itemwise.cli.section import add_section
from itemwise.errors import UserError, listed
from itemwise.irt.calibration import CONSTANT_ITEMS, fit
from itemwise.r.stage import run_r_stage
from itemwise.responses.booklets import warn_of_weak_ties
from itemwise.responses.inputs import answered_responses
from itemwise.tables.contract import write_table
from itemwise.tables.files import read_record, write_record

LOG = logging.getLogger(__name__)
FEWEST_MODELS = 20


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "responses")
    add_section(parser, "irt", leave_out=["reference"])
    parser.add_argument(
        "--constant-items",
        choices=CONSTANT_ITEMS,
        help="items that all subjects answered alike, which only a prior gives an estimate "
        "(default: keep with the estimated prior, else drop, with a notice)",
    )
    parser.add_argument(
        "--max-iterations",
        type=whole_number(1),
        default=1000,
        help="of the ascent from each start (default: 1000)",
    )
    parser.add_argument(
        "--no-standard-errors",
        dest="standard_errors",
        action="store_false",
        help="leave se_a, se_d, se_g and se_u out",
    )
    add(parser, "seed", "threads", "out", "record")


def run(options) -> None:
    """Calibrate and write."""
    responses = answered_responses(options.responses)
    _warn_of_few(len(responses.subjects), options.responses)
    ties = {"weak_ties": warn_of_weak_ties(responses, options.responses)}
    if options.engine == "mirt":
        run_r_stage("fit_irt", options, leave_out=("engine",))
        if options.record:
            write_record({**read_record(options.record), **ties}, options.record)
        return
    with fit_progress() as progress:
        table, record = fit(
            responses,
            model=options.model,
            prior=options.prior,
            engine="native",
            quadrature=options.quadrature,
            standard_errors=options.standard_errors,
            constant_items=options.constant_items,
            threads=options.threads,
            max_iterations=options.max_iterations,
            seed=options.seed,
            progress=progress,
        )
    dropped = record["constant_items_dropped"]
    if dropped:
        print(f"dropped {len(dropped)} constant items: {listed(dropped)}", file=sys.stderr)
    if not record["converged"] and not options.allow_unconverged:
        raise UserError(
            f"{options.responses}: the {record['model']} fit has not converged "
            f"(largest gradient {record['max_gradient']:.3g} after {record['n_iterations']} "
            "iterations); raise --max-iterations, choose --prior estimated or a smaller model, or "
            "accept it with config key 'irt.allow_unconverged'"
        )
    if options.record:
        write_record({**record, **ties}, options.record)
    write_table(table, options.out, "parameters")


def _warn_of_few(n_subjects: int, source: str) -> None:
    """Say how many models are missing, where too few calibrate."""
    if n_subjects < FEWEST_MODELS:
        LOG.warning(
            "%s: %d models calibrate, %d fewer than the %d with which parameters and their errors "
            "were checked against known truth; slopes then hardly differ from the items' mean",
            source,
            n_subjects,
            FEWEST_MODELS - n_subjects,
            FEWEST_MODELS,
        )
