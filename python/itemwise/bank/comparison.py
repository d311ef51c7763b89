"""Two models on the same items: which is better, and how sure is that?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.bank.conditions import merged, metric_text, unlike_calibration, unlike_each_other
from itemwise.bank.model_scores import (
    aberrant_responses,
    as_responses,
    binary,
    check_answered_once,
    match_items,
    with_main_metric,
)
from itemwise.bank.overlap import unmatched
from itemwise.bank.paired import error_of_runs, paired
from itemwise.errors import UserError, listed
from itemwise.harness.names import main_metric
from itemwise.irt.scoring import score

FEW_CLUSTERS = 20
"""Below, intervals are said to be rough."""


@dataclass(frozen=True)
class Comparison:
    """Two models compared.

    Attributes
    ----------
    table : data frame
        Table `comparisons`.
    warnings : list of str
        What else than the models may make the difference, and what was not compared.
    """

    table: pd.DataFrame
    warnings: list[str]


def compare_models(
    evaluations: pd.DataFrame,
    first: str,
    second: str,
    bank: Bank | None = None,
    level: float = 0.95,
    metrics: dict[str, str] | None = None,
    filters: dict[str, str] | None = None,
    binarize: float | None = None,
    cluster: str | None = None,
) -> Comparison:
    """Compare two models, benchmark by benchmark, on the items that both answered.

    Answers of several runs of a model are averaged within the item. Intervals and tests are
    those of `itemwise.bank.paired`. With a bank also the difference of the abilities from the
    common items of the bank, of the mean run; it knows no clusters.

    Parameters
    ----------
    evaluations : data frame
        Table `evaluations` with both models; with a column `run` where a model was run more
        than once, and a column `cluster` where items come in clusters.
    first, second : str
        Subjects.
    bank : Bank, optional
        Items and metrics are then the bank's.
    level : float
    metrics, filters : dict, optional
        By benchmark; default: the bank's, else the leaderboards'.
    binarize : float, optional
    cluster : str, optional
        What the column `cluster` holds, such as `passage`.

    Raises
    ------
    UserError
        A model without results, no common metric or item, responses other than 0 and 1.
    """
    for name in (first, second):
        if name not in set(evaluations["subject"]):
            known = listed(evaluations["subject"].unique())
            raise UserError(f"model '{name}' has no results; there are {known}")
    rows = evaluations[evaluations["subject"].isin([first, second])]
    rows = rows if "run" in rows else rows.assign(run=0)
    asked = rows
    if bank is not None:
        rows = match_items(bank, rows)
    found, notes, apart = [], [], []
    for benchmark, part in rows.groupby("benchmark"):
        if part["subject"].nunique() == 1:
            notes.append((benchmark, f"only {part['subject'].iloc[0]} has results, not compared"))
            continue
        part, metric = _one_metric(benchmark, part, bank, metrics or {}, filters or {})
        part = part.assign(response=binary(part, binarize))
        check_answered_once(part, ("subject", "run", "item"))
        apart += [(benchmark, text) for text in unmatched(part, asked, first, second)]
        part = _common(part)
        if part.empty:
            continue
        names = {"benchmark": benchmark, "first": first, "second": second, "metric": metric}
        found.append(names | _compared(part, first, second, level, cluster))
        texts = unlike_each_other(part, first, second)
        texts += _clusters_said(part, found[-1], cluster) + _runs_said(part)
        if bank is not None:
            texts += unlike_calibration(bank, benchmark, part, metric, metrics or {})
            abilities, odd = _abilities(bank, benchmark, part, first, second)
            found[-1] |= abilities
            notes += odd
        notes += [(benchmark, text) for text in texts]
    if not found:
        why = "; ".join(merged(apart) or merged(notes)) or "no item is the bank's"
        raise UserError(
            f"'{first}' and '{second}' have no item in common ({why}); evaluate both on the same "
            "items"
        )
    return Comparison(pd.DataFrame(found), merged(apart + notes))


def _one_metric(benchmark, rows, bank, metrics, filters) -> tuple[pd.DataFrame, str]:
    """Keep one metric that both models have: the bank's where there is one."""
    if "metric" not in rows:
        return rows, "response"
    rows = rows.assign(filter=rows["filter"].fillna("none") if "filter" in rows else "none")
    by_model = {
        subject: set(part[["filter", "metric"]].itertuples(index=False, name=None))
        for subject, part in rows.groupby("subject")
    }
    shared = set.intersection(*by_model.values())
    if not shared:
        have = "; ".join(
            f"{subject} has {listed(sorted(f'{m} ({f})' for f, m in pairs))}"
            for subject, pairs in by_model.items()
        )
        raise UserError(
            f"benchmark '{benchmark}': the models have no metric and filter in common: {have}; "
            "evaluate both by the same"
        )
    if bank is not None:
        mine = pd.MultiIndex.from_frame(rows[["filter", "metric"]]).isin(shared)
        return with_main_metric(bank, benchmark, rows[mine], metrics, filters)
    name, metric = main_metric(benchmark, shared, metrics.get(benchmark), filters.get(benchmark))
    kept = rows[(rows["filter"] == name) & (rows["metric"] == metric)]
    return kept, metric_text({"metric": metric, "filter": name})


def _common(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the answers to items that both models answered."""
    rows = rows.dropna(subset=["response"])
    return rows[rows.groupby("item")["subject"].transform("nunique") == 2]


def _compared(rows: pd.DataFrame, first: str, second: str, level: float, cluster) -> dict:
    """Compare two models on common items, averaged over runs."""
    answers = rows.groupby(["subject", "item"])["response"].agg(["mean", "count", "var"])
    a, b = answers.loc[first], answers.loc[second]
    clusters = None
    if cluster is not None:
        own = rows["cluster"].fillna("item " + rows["item"])
        clusters = own.groupby(rows["item"]).first().loc[a.index].to_numpy(str)
    found = paired(a["mean"].to_numpy(), b["mean"].to_numpy(), level, clusters)
    parts = [error_of_runs(p["count"].to_numpy(), p["var"].to_numpy()) for p in (a, b)]
    drawn = np.nan if np.isnan(parts).all() else float(np.sqrt(np.nansum(np.square(parts))))
    return found | {
        "cluster": cluster,
        "runs_first": int(a["count"].max()),
        "runs_second": int(b["count"].max()),
        "standard_error_runs": 100 * drawn,
    }


def _clusters_said(rows: pd.DataFrame, found: dict, cluster: str | None) -> list[str]:
    """Say which items have no cluster, and where there are few clusters."""
    if cluster is None:
        return []
    texts = []
    without = rows.loc[rows["cluster"].isna(), "item"].nunique()
    if without:
        texts.append(
            f"{without} of {found['n_items']} items have no {cluster}: each is a cluster of its own"
        )
    if found["n_clusters"] == 1:
        texts.append(f"all items are of one {cluster}: no interval can be given")
    elif found["n_clusters"] < FEW_CLUSTERS:
        texts.append(
            f"{found['n_clusters']} clusters of {cluster}: intervals of fewer than {FEW_CLUSTERS} "
            "are rough"
        )
    return texts


def _runs_said(rows: pd.DataFrame) -> list[str]:
    """Say how the scores of several runs of a model spread."""
    texts = []
    for subject, part in rows.groupby("subject"):
        scores = 100 * part.groupby("run")["response"].mean()
        if part.duplicated("item").any():
            texts.append(
                f"{len(scores)} runs of {subject}, averaged within items; their scores are "
                f"{scores.min():.1f} to {scores.max():.1f} (standard deviation "
                f"{scores.std(ddof=1):.2f})"
            )
    return texts


def _abilities(
    bank: Bank, benchmark: str, rows: pd.DataFrame, first: str, second: str
) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return the difference of the abilities and its standard error, and what is odd in them."""
    several = rows.groupby("subject")["run"].transform("nunique") > 1
    turn = rows.groupby("subject")["run"].transform(lambda run: pd.factorize(run)[0]) + 1
    label = rows["subject"].where(~several, rows["subject"] + ", run " + turn.astype(str))
    responses = as_responses(rows.assign(subject=label))
    known = bank.parameters.set_index("item", drop=False)
    calibrated = [item for item in responses.items if item in known.index]
    if not calibrated:
        return {}, []
    table = score(responses.select_items(calibrated, "results"), known.loc[calibrated], "EAP")
    models = dict(zip(label, rows["subject"], strict=True))
    by_model = table.assign(subject=table["subject"].map(models)).groupby("subject")
    theta, variance = by_model["theta"].mean(), by_model["se"].agg(lambda se: (se**2).mean())
    found = {
        "theta_difference": theta[first] - theta[second],
        "theta_se": float(np.sqrt(variance[first] + variance[second])),
    }
    return found, _odd(bank, benchmark, responses)


def _odd(bank: Bank, benchmark: str, responses) -> list[tuple[str, str]]:
    """Say what scoring by the bank's main form would warn of, by benchmark."""
    if not set(bank.form_items(benchmark)) & set(responses.items):
        return []
    scores = bank.score(responses)
    texts = aberrant_responses(bank, scores[scores["benchmark"] == benchmark])
    return [(benchmark, text.replace(f", {benchmark}: ", ": ", 1)) for text in texts]
