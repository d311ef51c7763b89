"""Formulas of read-outs, as far as they can be judged before R runs."""

from __future__ import annotations

import re

from itemwise.errors import UserError

FEATURES = ("linear", "theta", "se", "sub_score")
MEANS = ("grand.linear", "grand.sub_score", *(f"each.{name}" for name in FEATURES))
OWN = tuple(f"{whose}.{name}" for whose in ("own", "other") for name in FEATURES)
PREDICTORS = {
    ("readout", "formula"): ("theta", "se"),
    ("readout", "form_formula"): FEATURES,
    ("joint", "formula"): (*OWN, *MEANS),
    ("joint", "grand_formula"): MEANS,
}
"""What the formula of each key may use; the R stages refuse the same names."""
CONSTANTS = {"TRUE", "FALSE", "NULL", "NA", "NaN", "Inf"}
STRING = re.compile(r"""'[^']*'|"[^"]*\"""")
# Neither part of a number such as 1e5, nor a function, nor the name of an argument.
VARIABLE = re.compile(r"(?<![\w.])(?:[A-Za-z]|\.(?!\d))[\w.]*(?![\w.]|\s*\(|\s*=(?!=))")


def check_formulas(resolved: dict) -> None:
    """Check that the formulas use predictors that there are.

    Parameters
    ----------
    resolved : dict
        Configuration with all defaults.

    Raises
    ------
    UserError
        Names the key, the variable and the predictors.
    """
    for (section, key), known in PREDICTORS.items():
        _check_formula(f"{section}.{key}", resolved[section][key], known)
        for name, benchmark in resolved["benchmarks"].items():
            if section in benchmark:
                where = f"benchmarks.{name}.{section}.{key}"
                _check_formula(where, benchmark[section][key], known)


def _check_formula(where: str, text: str, known: tuple[str, ...]) -> None:
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
