"""Options that mean the same in every stage."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Iterable

from itemwise.cli.section import add_section
from itemwise.errors import UserError


def whole_number(least: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers of at least `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return parse


OPTIONS = {
    "responses": {
        "help": "table, parquet or CSV: subject and one 0/1 column an item; a training or test "
        "table is one",
        "required": True,
    },
    "training": {
        "help": "training table of cut-sets, or of a stage that left items out",
        "required": True,
    },
    "test": {"help": "test table of cut-sets", "required": True},
    "parameters": {"help": "parquet table of item parameters", "required": True},
    "bank": {"help": "folder of a bank", "required": True},
    "abilities": {"help": "parquet table of abilities", "required": True},
    "benchmark": {"help": "name of the benchmark", "required": True},
    "out": {"help": "file to write", "required": True},
    "record": {"help": "JSON record to write beside it"},
    "threads": {
        "help": "worker threads (default: 1); the result does not depend on it",
        "type": whole_number(1),
        "default": 1,
    },
}
FROM_SCHEMA = {"seed": "", "quadrature": "irt"}
"""Shared options that are keys of the configuration, and their section."""


def add(parser: argparse.ArgumentParser, *names: str, **changes) -> None:
    """Add shared options by name; `changes` replace settings of all of them."""
    for name in names:
        if name in FROM_SCHEMA:
            add_section(parser, FROM_SCHEMA[name], only=[name])
        else:
            parser.add_argument(f"--{name}", **{**OPTIONS[name], **changes})


def add_lists(
    parser: argparse.ArgumentParser, lists: dict[str, str], optional: Iterable[str] = ()
) -> None:
    """Add --benchmarks, and options that take one value a benchmark, with their help."""
    parser.add_argument("--benchmarks", nargs="+", required=True, help="names of the benchmarks")
    for name, text in lists.items():
        parser.add_argument(
            f"--{name}", nargs="+", required=name not in optional, help=f"{text}, one a benchmark"
        )


def check_lists(options: argparse.Namespace, lists: dict[str, str]) -> None:
    """Refuse options of `add_lists` that do not hold one value a benchmark."""
    for name in lists:
        given = getattr(options, name.replace("-", "_"))
        if given is not None and len(given) != len(options.benchmarks):
            raise UserError(
                f"--{name}: {len(given)} given for {len(options.benchmarks)} benchmarks; "
                "give one a benchmark, in the order of --benchmarks"
            )


def add_joint(parser: argparse.ArgumentParser) -> None:
    """Add what was fitted to the forms of all benchmarks, where there are several."""
    for name, what in (("joint", "fit_joint_process"), ("joint-smooths", "fit_joint_readout")):
        parser.add_argument(f"--{name}-terms", help=f"terms table of {what}")
        parser.add_argument(f"--{name}-record", help=f"record of {what}")


def check_pair(options: argparse.Namespace, first: str, second: str) -> None:
    """Refuse one of two options that mean something together alone."""
    given = [bool(getattr(options, name.replace("-", "_"))) for name in (first, second)]
    if given[0] != given[1]:
        raise UserError(f"--{first} and --{second}: give both, or neither of them")


def key_values(texts: list[str], option: str) -> dict[str, str]:
    """Read the values `name=value` of an option."""
    made = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {text}: is not of the form name=value")
        made[name] = value
    return made


def literals(settings: dict[str, str]) -> dict:
    """Read values as Python writes them: numbers, True and False, None; else they are texts."""
    made = {}
    for name, text in settings.items():
        try:
            made[name] = ast.literal_eval(text.title() if text in ("true", "false") else text)
        except (ValueError, SyntaxError):
            made[name] = text
    return made


def add_metric_options(parser) -> None:
    """Declare which metric of each benchmark counts as the response."""
    for name in ("metric", "filter"):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar=f"BENCHMARK={name.upper()}",
            help=f"{name} to take as response (default: the bank's, else the leaderboards')",
        )
    add_section(parser, "benchmarks", only=["binarize"])
