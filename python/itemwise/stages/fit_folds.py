"""Calibrate the items without each fold of the training models.

Read-outs and adaptive tests learn from abilities of training models; by items that the same
models calibrated these would be better than those of new models. The scales are linked to that
of --parameters, the calibration with everybody.
"""

from __future__ import annotations

import logging

from tqdm import tqdm

from itemwise.cli.options import add
from itemwise.errors import listed
from itemwise.irt.cross_calibration import calibrate_folds
from itemwise.irt.prior import Moments
from itemwise.responses.sets import read_training
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record, write_record

LOG = logging.getLogger(__name__)


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training", "parameters")
    parser.add_argument(
        "--fit",
        required=True,
        help="JSON record of fit-irt: model, prior and grid that are repeated",
    )
    add(parser, "threads", "out", "record")


def run(options) -> None:
    """Calibrate and write."""
    training = read_training(options.training)
    whole = read_record(options.fit)
    with tqdm(total=training.folds.nunique(), unit="fold", desc="fit_folds", disable=None) as bar:
        table, records = calibrate_folds(
            training.responses,
            training.folds,
            read_table(options.parameters, "parameters"),
            progress=bar.update,
            model=whole["model"],
            prior=whole["prior"],
            moments=Moments.from_record(whole.get("prior_values")),
            points=whole["quadrature"]["points"],
            threads=options.threads,
        )
    unfinished = [record["fold"] for record in records if not record["converged"]]
    if unfinished:
        LOG.warning("not converged without fold %s: taken as they are", listed(unfinished))
    if options.record:
        write_record({"folds": records}, options.record)
    write_table(table, options.out, "fold_parameters")
