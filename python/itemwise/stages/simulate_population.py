"""Simulate a leaderboard-like population with known truth.

One response matrix, and the parameters and abilities that it was drawn from.
"""

from __future__ import annotations

from itemwise.population import simulate_population
from itemwise.responses import write_responses
from itemwise.stages.options import add, whole_number
from itemwise.tables import write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "benchmark", "seed", "out")
    parser.add_argument("--number", type=int, default=0, help="place of the benchmark in the run")
    parser.add_argument("--subjects", type=whole_number(2), default=800, help="models")
    parser.add_argument("--items", type=whole_number(1), default=200, help="items")
    parser.add_argument("--guessing", type=float, default=0.0, help="mean lower asymptote")
    parser.add_argument("--missing", type=float, default=0.0, help="share of cells left out")
    parser.add_argument("--parameters", required=True, help="true item parameters to write")
    parser.add_argument("--abilities", required=True, help="true abilities to write")


def run(options) -> None:
    """Simulate and write."""
    population = simulate_population(
        options.benchmark,
        options.number,
        options.subjects,
        options.items,
        options.guessing,
        options.missing,
        options.seed,
    )
    write_table(population.parameters, options.parameters, "parameters")
    write_table(population.abilities, options.abilities, "abilities")
    write_responses(population.responses, options.out)
