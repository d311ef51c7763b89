"""The suite: every row that can be measured at a checkpoint, in one versioned table.

A row of `suite.csv` is one measure of the 360 suite: what is asked, how often shots are
shown, which metric is its headline. In the table `measures`, `analysis` is the row's
`name`, and the row whose `metric` is the row's `metric` and whose `group` is empty is the
headline; other metrics and groups of the same analysis stand beside it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError, listed, suggestion

SUITE_FILE = Path(__file__).with_name("suite.csv")
COLUMNS = ("name", "theme", "analysis", "task", "shots", "metric", "filter", "higher_is_better",
           "chance", "unit", "version", "description")  # fmt: skip
THEMES = ("knowledge", "reasoning", "truthfulness", "toxicity", "bias", "memorization",
          "language modelling", "long context", "preference")  # fmt: skip
REQUIRED = ("name", "theme", "analysis", "metric", "unit", "version", "description")


@cache
def _read(path: Path) -> pd.DataFrame:
    """Read and check a suite table."""
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(text.columns) != COLUMNS:
        raise UserError(f"{path}: columns are {listed(text.columns, 99)}; they must be "
                        f"{', '.join(COLUMNS)}")  # fmt: skip
    for name in REQUIRED:
        empty = text[name] == ""
        if empty.any():
            raise UserError(f"{path}: column '{name}', row {empty.idxmax() + 1}: is empty; fill it")
    twice = text["name"].duplicated()
    if twice.any():
        row = twice.idxmax()
        raise UserError(
            f"{path}: row {row + 1}: name '{text['name'][row]}' occurs twice; names are unique"
        )
    strange = ~text["theme"].isin(THEMES)
    if strange.any():
        raise UserError(f"{path}: column 'theme', row {strange.idxmax() + 1}: "
                        f"'{text['theme'][strange.idxmax()]}' is not one of "
                        f"{', '.join(THEMES)}")  # fmt: skip
    for name in ("shots", "higher_is_better", "chance", "version"):
        try:
            text[name] = pd.to_numeric(text[name])
        except ValueError as error:
            raise UserError(f"{path}: column '{name}': {error}; write numbers") from error
    return text


def load(path: str | Path | None = None) -> pd.DataFrame:
    """Return the suite, one row a measure.

    Parameters
    ----------
    path : path, optional
        Another table of the same form; default: the one beside this module.

    Returns
    -------
    data frame
        `name` (unique), `theme` (one of `THEMES`), `analysis` (module of this package),
        `task` (harness task or data set, may be empty), `shots` (null where shots make no
        sense), `metric` and `filter` (the headline), `higher_is_better` (1, 0, or null where
        neither end is better), `chance` (value of a model that knows nothing, null where there
        is none), `unit`, `version` (of the definition), `description`.

    Raises
    ------
    UserError
        A column, row or value that breaks this form.
    """
    return _read(Path(path) if path else SUITE_FILE).copy()


def pick(
    names: list[str] | None = None, bank: bool = True, path: str | Path | None = None
) -> pd.DataFrame:
    """Return the named rows of the suite in its order; all of them where none is named.

    Parameters
    ----------
    names : list of str, optional
    bank : bool
        Whether a bank is given: its row is then always taken, and else only when named.
    path : path, optional
        Another suite.

    Raises
    ------
    UserError
        A name that the suite does not have.
    """
    suite = load(path)
    if not names:
        return suite if bank else suite[suite["analysis"] != "bank"].reset_index(drop=True)
    unknown = [name for name in names if name not in set(suite["name"])]
    if unknown:
        hint = suggestion(unknown[0], suite["name"])
        raise UserError(
            f"analysis '{unknown[0]}' is not in the suite; {hint}it has {listed(suite['name'], 99)}"
        )
    wanted = suite["name"].isin(names) | (bank & (suite["analysis"] == "bank"))
    return suite[wanted].reset_index(drop=True)
