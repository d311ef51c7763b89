"""Parameter recovery from known truth, over designs.

For every combination of the first five options, data sets are drawn and fitted; the table holds
bias, RMSE and the coverage of 95 % intervals of item parameters and abilities. The
record holds the simulation-based calibration of the ability posteriors.
"""

from __future__ import annotations

from tqdm import tqdm

from itemwise.cli.options import add, whole_number
from itemwise.irt.calibration import ENGINES
from itemwise.irt.model import MODELS
from itemwise.irt.prior import PRIORS
from itemwise.irt.recovery import designs, posterior_ranks, recover, uniformity
from itemwise.report.recovery_figure import recovery_figure
from itemwise.tables.contract import write_table
from itemwise.tables.files import atomic_path, write_record


def add_options(parser) -> None:
    """Declare the options."""
    for name, settings, text in (
        ("n-subjects", {"type": whole_number(20), "default": [500, 2000]}, "numbers of subjects"),
        ("n-items", {"type": whole_number(3), "default": [30]}, "numbers of items"),
        ("irt-models", {"choices": MODELS, "default": ["2PL"]}, "IRT models"),
        ("priors", {"choices": PRIORS, "default": ["none"]}, "priors of the item parameters"),
        ("missing", {"type": float, "default": [0.0]}, "shares of cells that are left out"),
    ):
        default = " ".join(map(str, settings["default"]))
        text = f"{text} (default: {default})"
        parser.add_argument(f"--{name}", nargs="+", help=text, **settings)
    parser.add_argument(
        "--replications",
        type=whole_number(1),
        default=200,
        help="data sets a design (default: 200)",
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default="native", help="who calibrates (default: native)"
    )
    add(parser, "seed", "threads", "out", "record")
    parser.add_argument("--figure", help="PNG to write")


def run(options) -> None:
    """Simulate, fit, compare and write."""
    studies = designs(
        options.n_subjects, options.n_items, options.irt_models, options.priors, options.missing
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
