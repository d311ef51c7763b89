"""Two models on the same items: which is better, and how sure is that?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.bank.bank import Bank
from itemwise.bank.model_scores import (
    as_responses,
    binary,
    check_answered_once,
    matched,
    with_main_metric,
)
from itemwise.errors import UserError, listed
from itemwise.harness.names import main_metric
from itemwise.irt.scoring import score


def compare_models(
    evaluations: pd.DataFrame,
    first: str,
    second: str,
    bank: Bank | None = None,
    level: float = 0.95,
    metrics: dict[str, str] | None = None,
    filters: dict[str, str] | None = None,
    binarize: float | None = None,
) -> pd.DataFrame:
    """Compare two models, benchmark by benchmark, on the items that both answered.

    The interval is that of a mean of paired differences (Wald, with the standard
    deviation of the differences over items); the p value is McNemar's exact one, the
    binomial test of the items that exactly one model got right. With a bank also the
    difference of the abilities from the common items of the bank.

    Parameters
    ----------
    evaluations : data frame
        Table `evaluations` with both models.
    first, second : str
        Subjects.
    bank : Bank, optional
        Items and metrics are then the bank's.
    level : float
    metrics, filters : dict, optional
        By benchmark; default: the bank's, else the leaderboards'.
    binarize : float, optional

    Returns
    -------
    data frame
        Table `comparisons`.

    Raises
    ------
    UserError
        A model without results, no common item, responses other than 0 and 1.
    """
    for name in (first, second):
        if name not in set(evaluations["subject"]):
            known = listed(evaluations["subject"].unique())
            raise UserError(f"model '{name}' has no results; there are {known}")
    rows = evaluations[evaluations["subject"].isin([first, second])]
    if bank is not None:
        rows = matched(bank, rows)
    found = []
    for benchmark, part in rows.groupby("benchmark"):
        part, said = _one_metric(benchmark, part, bank, metrics or {}, filters or {})
        part = part.assign(response=binary(part, binarize)).dropna(subset=["response"])
        check_answered_once(part)
        wide = part.pivot(index="item", columns="subject", values="response")
        wide = wide.reindex(columns=[first, second]).dropna()
        if wide.empty:
            continue
        row = {"benchmark": benchmark, "first": first, "second": second, "metric": said}
        row |= paired(wide[first].to_numpy(), wide[second].to_numpy(), level)
        if bank is not None:
            row |= _abilities(bank, part[part["item"].isin(wide.index)], first, second)
        found.append(row)
    if not found:
        raise UserError(
            f"'{first}' and '{second}' have no item in common; evaluate both on the same items"
        )
    return pd.DataFrame(found)


def paired(first: np.ndarray, second: np.ndarray, level: float) -> dict[str, float]:
    """Compare two rows of 0/1 responses to the same items.

    Parameters
    ----------
    first, second : array, shape (n_items,)
    level : float
        Of the interval.
    """
    from scipy.stats import binomtest

    n = len(first)
    gap = first - second
    error = gap.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    half = ndtri((1 + level) / 2) * error
    only_first, only_second = int((gap > 0).sum()), int((gap < 0).sum())
    discordant = only_first + only_second
    return {
        "n_items": n,
        "score_first": 100 * first.mean(),
        "score_second": 100 * second.mean(),
        "difference": 100 * gap.mean(),
        "lower": 100 * (gap.mean() - half) if n > 1 else -100.0,
        "upper": 100 * (gap.mean() + half) if n > 1 else 100.0,
        "level": level,
        "only_first": only_first,
        "only_second": only_second,
        "p_mcnemar": binomtest(only_first, discordant).pvalue if discordant else 1.0,
    }


def _one_metric(benchmark, rows, bank, metrics, filters) -> tuple[pd.DataFrame, str]:
    """Keep one metric: the bank's where there is one."""
    if bank is not None:
        return with_main_metric(bank, benchmark, rows, metrics, filters)
    if "metric" not in rows:
        return rows, "response"
    rows = rows.assign(filter=rows["filter"].fillna("none") if "filter" in rows else "none")
    available = rows[["filter", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    name, metric = main_metric(benchmark, available, metrics.get(benchmark), filters.get(benchmark))
    return rows[(rows["filter"] == name) & (rows["metric"] == metric)], metric


def _abilities(bank: Bank, rows: pd.DataFrame, first: str, second: str) -> dict[str, float]:
    """Return the difference of the abilities from common items and its standard error."""
    responses = as_responses(rows)
    parameters = bank.parameters.set_index("item", drop=False).loc[responses.items]
    table = score(responses, parameters, "EAP").set_index("subject")
    return {
        "theta_difference": table.loc[first, "theta"] - table.loc[second, "theta"],
        "theta_se": float(np.hypot(table.loc[first, "se"], table.loc[second, "se"])),
    }
