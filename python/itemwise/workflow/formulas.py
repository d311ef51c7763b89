"""Formulas of read-outs, as far as they can be judged before R runs."""

from __future__ import annotations

import re

from itemwise.errors import UserError
from itemwise.workflow.schema import schema

CONSTANTS = {"TRUE", "FALSE", "NULL", "NA", "NaN", "Inf"}
STRING = re.compile(r"""'[^']*'|"[^"]*\"""")
# Neither part of a number such as 1e5, nor a function, nor the name of an argument.
VARIABLE = re.compile(r"(?<![\w.])(?:[A-Za-z]|\.(?!\d))[\w.]*(?![\w.]|\s*\(|\s*=(?!=))")


def check_formulas(resolved: dict) -> None:
    """Check that the formulas use predictors that the schema lists; R stages do by the same list.

    Parameters
    ----------
    resolved : dict
        Configuration with all defaults.

    Raises
    ------
    UserError
        Names the key, the variable and the predictors.
    """
    for section, key, known in formulas():
        _check_formula(f"{section}.{key}", resolved[section][key], known)
        for name, benchmark in resolved["benchmarks"].items():
            if section in benchmark:
                where = f"benchmarks.{name}.{section}.{key}"
                _check_formula(where, benchmark[section][key], known)


def formulas() -> list[tuple[str, str, list[str]]]:
    """Return the keys that are formulas: section, key and the predictors that it may use."""
    return [
        (section, key, rule["predictors"])
        for section, rules in schema()["properties"].items()
        for key, rule in rules.get("properties", {}).items()
        if "predictors" in rule
    ]


def _check_formula(where: str, text: str, known: list[str]) -> None:
    """Check one formula."""
    response, tilde, terms = text.partition("~")
    if not tilde or response.strip() != "full_score":
        raise UserError(
            f"config: key '{where}': '{text}' is not a formula full_score ~ ...; write for "
            f"example full_score ~ s({known[0]}, k = 20)"
        )
    for name in variables(terms):
        if name not in known:
            raise UserError(
                f"config: key '{where}': '{text}': unknown variable '{name}'; "
                f"use {', '.join(known)}"
            )


def variables(terms: str) -> list[str]:
    """Return the variables of the right-hand side of an R formula, in order.

    Parameters
    ----------
    terms : str
        R code.

    Returns
    -------
    list of str
        Names that are neither functions, nor arguments, nor constants, nor within strings.
    """
    names = VARIABLE.findall(STRING.sub("''", terms))
    return [name for name in dict.fromkeys(names) if name not in CONSTANTS]
