"""Simulate a leaderboard-like population with known truth.

One response matrix, and the parameters and abilities that it was drawn from.
"""

from __future__ import annotations

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.irt.population import simulate_population
from itemwise.responses.matrix import write_responses
from itemwise.tables.contract import write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "benchmark", "seed", "out")
    parser.add_argument(
        "--number", type=int, default=0, help="place of the benchmark in the run (default: 0)"
    )
    add_section(parser, "simulate")
    add_section(parser, "benchmarks", only=["items", "guessing"])
    parser.add_argument("--out-parameters", required=True, help="true item parameters to write")
    parser.add_argument("--out-abilities", required=True, help="true abilities to write")


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
    write_table(population.parameters, options.out_parameters, "parameters")
    write_table(population.abilities, options.out_abilities, "abilities")
    write_responses(population.responses, options.out)
