"""Options of the form name=value, and those that several stages declare with them."""

from __future__ import annotations

import ast

from itemwise.errors import UserError


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
