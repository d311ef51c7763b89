"""Say how many common items a comparison of two models needs.

The share of items on which exactly one model is right (--discordance) is decisive; take
it from two models that were evaluated before (only_first + only_second of compare-models).
"""

from __future__ import annotations

from itemwise.bank.power import items_needed


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--difference", type=float, required=True, help="points that must not be missed"
    )
    parser.add_argument(
        "--discordance",
        type=float,
        default=0.2,
        help="share of items that exactly one model gets right (default: 0.2)",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="two-sided level (default: 0.05)")
    parser.add_argument(
        "--power", type=float, default=0.8, help="chance to find the difference (default: 0.8)"
    )


def run(options) -> None:
    """Print the number of items."""
    n = items_needed(options.difference, options.discordance, options.alpha, options.power)
    print(
        f"{n} items: a difference of {options.difference:g} points is then found with "
        f"{options.power:.0%} power at the {options.alpha:g} level, if the models disagree on "
        f"{options.discordance:.0%} of the items"
    )
