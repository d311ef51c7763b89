"""Parameter recovery from known truth, over designs.

For every combination of the settings, data sets are drawn and fitted; the table holds
bias, RMSE and the coverage of 95 % intervals of item parameters and abilities. The
record holds the simulation-based calibration of the ability posteriors.
"""

from __future__ import annotations

from tqdm import tqdm

from itemwise.files import atomic_path, write_record
from itemwise.irt.calibration import ENGINES
from itemwise.irt.model import MODELS
from itemwise.irt.prior import PRIORS
from itemwise.irt.recovery import designs, posterior_ranks, recover, uniformity
from itemwise.report.recovery_figure import recovery_figure
from itemwise.stages.options import add, whole_number
from itemwise.tables import write_table


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--subjects", type=whole_number(20), nargs="+", default=[500, 2000])
    parser.add_argument("--items", type=whole_number(3), nargs="+", default=[30])
    parser.add_argument("--models", choices=MODELS, nargs="+", default=["2PL"])
    parser.add_argument("--priors", choices=PRIORS, nargs="+", default=["none"])
    parser.add_argument("--missing", type=float, nargs="+", default=[0.0], help="shares of cells")
    parser.add_argument("--replications", type=whole_number(1), default=200)
    parser.add_argument("--engine", choices=ENGINES, default="native", help="default: native")
    add(parser, "seed", "threads", "out", "record")
    parser.add_argument("--figure", help="PNG to write")


def run(options) -> None:
    """Simulate, fit, compare and write."""
    studies = designs(
        options.subjects, options.items, options.models, options.priors, options.missing
    )
    total = len(studies) * options.replications
    with tqdm(total=total, desc="recover_parameters", disable=None) as bar:
        table = recover(
            studies, options.replications, options.engine, options.seed, options.threads, bar.update
        )
    if options.figure:
        with atomic_path(options.figure) as temporary:
            recovery_figure(table).savefig(temporary, format="png", dpi=160)
    if options.record:
        ranks = {s.name: posterior_ranks(s, 5, options.seed) for s in studies}
        write_record(
            {
                "engine": options.engine,
                "replications": options.replications,
                "seed": options.seed,
                "posterior_uniformity_p_value": {n: uniformity(r) for n, r in ranks.items()},
            },
            options.record,
        )
    write_table(table, options.out, "recovery")
