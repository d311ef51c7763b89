"""Options that mean the same in every stage."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable

from itemwise.errors import UserError
from itemwise.irt.quadrature import FEWEST_POINTS


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
        "help": "table, parquet or CSV: subject and one 0/1 column an item",
        "required": True,
    },
    "parameters": {"help": "parquet table of item parameters", "required": True},
    "bank": {"help": "folder of a bank", "required": True},
    "abilities": {"help": "parquet table of abilities", "required": True},
    "items": {"help": "items table of screen_items; only items with keep = 1 are used"},
    "splits": {"help": "splits table; only subjects of the training set are used"},
    "benchmark": {"help": "name of the benchmark", "required": True},
    "out": {"help": "file to write", "required": True},
    "record": {"help": "JSON record to write beside it"},
    "seed": {
        "help": "seed of all random draws (default: 1)",
        "type": whole_number(0),
        "default": 1,
    },
    "threads": {
        "help": "worker threads (default: 1); the result does not depend on it",
        "type": whole_number(1),
        "default": 1,
    },
    "trust-remote-code": {
        "help": "run code that the model brings along",
        "action": "store_true",
    },
    "quadrature": {
        "help": "points on [-6, 6]; 61 is mirt's grid (default: as many as the data need)",
        "type": whole_number(FEWEST_POINTS),
    },
}


def add(parser: argparse.ArgumentParser, *names: str, **changes) -> None:
    """Add shared options by name; `changes` replace settings of all of them."""
    for name in names:
        parser.add_argument(f"--{name}", **{**OPTIONS[name], **changes})


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """Add how the weights of a language model are loaded."""
    parser.add_argument(
        "--backend", default="hf", help="the harness's model class, such as vllm (default: hf)"
    )
    parser.add_argument(
        "--dtype", default="auto", help="number format (default: auto, as the model was saved)"
    )
    parser.add_argument(
        "--device", help="such as cpu or cuda:1 (default: the GPU where there is one)"
    )
    parser.add_argument(
        "--batch-size", type=whole_number(1), default=8, help="prompts at once (default: 8)"
    )
    parser.add_argument(
        "--lm-args",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="further arguments of the backend; numbers, true and false are read as such",
    )
    add(parser, "trust-remote-code")


def add_lists(parser: argparse.ArgumentParser, lists: dict[str, str]) -> None:
    """Add --benchmarks, and options that take one value a benchmark, with their help."""
    parser.add_argument("--benchmarks", nargs="+", required=True, help="names of the benchmarks")
    for name, text in lists.items():
        parser.add_argument(f"--{name}", nargs="+", required=True, help=f"{text}, one a benchmark")


def check_lists(options: argparse.Namespace, lists: dict[str, str]) -> None:
    """Refuse options of `add_lists` that do not hold one value a benchmark."""
    for name in lists:
        given = getattr(options, name.replace("-", "_"))
        if len(given) != len(options.benchmarks):
            raise UserError(
                f"--{name}: {len(given)} given for {len(options.benchmarks)} benchmarks; "
                "give one a benchmark, in the order of --benchmarks"
            )


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
    parser.add_argument("--binarize", type=float, help="graded responses are right from here on")
