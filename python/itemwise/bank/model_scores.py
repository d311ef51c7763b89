"""From item-wise results of a model to ability and reconstructed scores, by a bank.

Items are matched by id, else by document hash, never by the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.bank.conditions import metric_text, unlike_calibration
from itemwise.errors import UserError, listed, suggestion
from itemwise.forms import MAIN_FORM
from itemwise.harness.names import main_metric
from itemwise.harness.suite import Document, Suite
from itemwise.irt.person_fit import UNBELIEVABLE
from itemwise.responses.matrix import MISSING, Responses


@dataclass(frozen=True)
class Scored:
    """Scores of one or several models.

    Attributes
    ----------
    scores : data frame
        Table `scores`.
    warnings : list of str
        What makes a score less certain than its interval says.
    metrics : dict
        Benchmark to the `metric (filter)` that was taken as response.
    """

    scores: pd.DataFrame
    warnings: list[str]
    metrics: dict[str, str]


def score_models(
    bank: Bank,
    evaluations: pd.DataFrame,
    form: str = MAIN_FORM,
    metrics: dict[str, str] | None = None,
    filters: dict[str, str] | None = None,
    binarize: float | None = None,
) -> Scored:
    """Score the models of an evaluations table by a bank.

    Parameters
    ----------
    bank : Bank
    evaluations : data frame
        Table `evaluations`; rows of other benchmarks and items are passed over.
    form : str
    metrics, filters : dict, optional
        By benchmark; by default the bank's, else the leaderboards'.
    binarize : float, optional
        Value from which a graded response counts as right.

    Raises
    ------
    UserError
        No item of the bank in the results; responses other than 0 and 1; an unknown form.
    """
    check_benchmarks(bank, metrics or {}, "--metric")
    check_benchmarks(bank, filters or {}, "--filter")
    rows = match_items(bank, evaluations)
    parts, warnings, used = [], [], {}
    for name in bank.benchmarks:
        mine = rows[rows["benchmark"] == name]
        wanted = set(bank.form_items(name, form))
        mine = mine[mine["item"].isin(wanted)]
        if mine.empty:
            continue
        mine, metric_label = with_main_metric(bank, name, mine, metrics or {}, filters or {})
        used[name] = metric_label
        mine = mine.assign(response=binary(mine, binarize))
        found = unlike_calibration(bank, name, mine, metric_label, metrics or {})
        warnings += [f"{name}: {text}" for text in found]
        parts.append(mine)
    if not parts:
        raise no_item_error(bank, evaluations, form)
    table = bank.score(as_responses(pd.concat(parts)), form)
    return Scored(table, warnings + score_warnings(bank, table, form), used)


def check_benchmarks(bank: Bank, named: Iterable[str], option: str) -> None:
    """Refuse an option for a benchmark that the bank does not have."""
    for name in named:
        if name not in bank.benchmarks:
            raise UserError(
                f"{option} {name}: the bank has no such benchmark; "
                f"{suggestion(name, bank.benchmarks)}it has {listed(bank.benchmarks)}"
            )


def no_item_error(bank: Bank, evaluations: pd.DataFrame, form: str) -> UserError:
    """Return the error of results that the bank can do nothing with."""
    return UserError(
        f"the results hold no item of form '{form}' of the bank's benchmarks "
        f"({listed(bank.benchmarks)}); they are of {listed(evaluations['benchmark'].unique())}, "
        f"with items such as {listed(evaluations['item'], 2)}: give results on the bank's items"
    )


def match_items(bank: Bank, evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the bank's items, under the bank's names of item and benchmark."""
    known = bank.items.drop_duplicates("item").set_index("item")
    item = evaluations["item"].where(evaluations["item"].isin(known.index))
    if "doc_hash" in known and "doc_hash" in evaluations:
        hashes = known["doc_hash"].dropna()
        hashes = hashes[~hashes.duplicated(keep=False)]
        by_hash = pd.Series(hashes.index, index=hashes.to_numpy(object))
        item = item.where(item.notna(), evaluations["doc_hash"].map(by_hash))
    rows = evaluations.assign(item=item)[item.notna()]
    return rows.assign(benchmark=rows["item"].map(known["benchmark"]))


def documents_of(bank: Bank, documents: Sequence[Document]) -> dict[str, Document]:
    """Return the documents that are items of the bank, by the bank's ids.

    By id, else by document hash, as results are matched.
    """
    table = pd.DataFrame({"item": [d.item for d in documents],
                          "doc_hash": [d.doc_hash for d in documents],
                          "place": range(len(documents))})  # fmt: skip
    rows = match_items(bank, table).drop_duplicates("item")
    return {row.item: documents[row.place] for row in rows.itertuples()}


def form_documents(bank: Bank, suite: Suite, form: str, source: str) -> list[Document]:
    """Return the documents of a form of the bank.

    Raises
    ------
    UserError
        No such form, or items that no task holds; `source` names the bank.
    """
    items = [item for name in bank.benchmarks for item in bank.form_items(name, form)]
    known = documents_of(bank, suite.documents)
    absent = [item for item in items if item not in known]
    none_of = [name for name in bank.benchmarks if not set(bank.pool_items(name)) & set(known)]
    if none_of and known:
        others = [name for name in bank.benchmarks if name not in none_of]
        raise UserError(
            f"{source}: the tasks {listed(suite.tasks)} hold no item of {listed(none_of)}; name "
            f"the tasks of these benchmarks too, or ask the others alone: --benchmarks "
            f"{' '.join(others)}"
        )
    if absent or not items:
        suite.pick(absent, f"{source}, form {form}")  # says what is missing
    return [known[item] for item in items]


def with_main_metric(
    bank: Bank, name: str, rows: pd.DataFrame, metrics: dict, filters: dict
) -> tuple[pd.DataFrame, str]:
    """Keep the rows of the metric that the bank was calibrated on."""
    if "metric" not in rows:
        return rows, "response"
    about = bank.card["benchmarks"][name]
    filled = rows.assign(filter=rows["filter"].fillna("none") if "filter" in rows else "none")
    available = filled[["filter", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    metric = metrics.get(name, about.get("metric"))
    chosen = main_metric(name, available, metric, filters.get(name, about.get("filter")))
    kept = filled[(filled["filter"] == chosen[0]) & (filled["metric"] == chosen[1])]
    return kept, metric_text({"metric": chosen[1], "filter": chosen[0]})


def binary(rows: pd.DataFrame, binarize: float | None) -> pd.Series:
    """Return responses as 0 and 1; null stays null."""
    values = rows["response"]
    if binarize is not None:
        return (values >= binarize).astype(float).where(values.notna())
    graded = values.notna() & ~values.isin([0, 1])
    if graded.any():
        first = rows[graded].iloc[0]
        raise UserError(
            f"subject '{first['subject']}', item '{first['item']}': response "
            f"{first['response']:g} is neither 0 nor 1; choose another --metric, or give "
            "--binarize, the value from which a response counts as right"
        )
    return values


def score_warnings(bank: Bank, table: pd.DataFrame, form: str) -> list[str]:
    """Say which scores rest on missing items, aberrant responses or extrapolation."""
    found = []
    for row in table.itertuples():
        if row.benchmark not in bank.card["benchmarks"]:
            continue
        n_items = len(bank.form_items(row.benchmark, form))
        if row.n_items < n_items:
            how = "scored by ability" if row.readout == "ability" else "they count as expected"
            found.append(
                f"{row.subject}, {row.benchmark}: {n_items - row.n_items} of {n_items} items are "
                f"missing; {how}, with a wider interval"
            )
    return found + aberrant_responses(bank, table)


def aberrant_responses(bank: Bank, table: pd.DataFrame) -> list[str]:
    """Say whose responses are hardly believable, and which scores extrapolate."""
    found = []
    for row in table.itertuples():
        lowest = bank.card["benchmarks"].get(row.benchmark, {}).get("person_fit_low")
        if lowest is not None and row.person_fit < lowest:
            found.append(
                f"{row.subject}, {row.benchmark}: hardly believable response pattern (person fit "
                f"{row.person_fit:.1f}; {1 - UNBELIEVABLE:.0%} of the calibration's models lie "
                f"above {lowest:.1f}): hard items right and easy ones wrong, as by contamination, "
                "a broken prompt template or another metric"
            )
        if row.extrapolated:
            found.append(
                f"{row.subject}, {row.benchmark}: {_beyond(row)} (all answers alike, or outside "
                "the range of its models): the score is that of the nearest of them, and the "
                "true one may lie beyond, as the interval says"
            )
    return found


def _beyond(row) -> str:
    """Say on which side a score is open."""
    if row.half_upper == row.half_lower:
        return "other than all models of the calibration"
    side = "better" if row.half_upper > row.half_lower else "worse"
    return f"{side} than the calibration can tell"


def responses_of(
    bank: Bank,
    benchmark: str,
    rows: pd.DataFrame,
    items: Sequence[str],
    metrics: dict[str, str] | None = None,
    filters: dict[str, str] | None = None,
    binarize: float | None = None,
) -> list[int]:
    """Return 0/1 responses to items, by the metric that the bank was calibrated on.

    Parameters are those of `score_models`.
    """
    mine = rows[rows["item"].isin(items)]
    kept, _ = with_main_metric(bank, benchmark, mine, metrics or {}, filters or {})
    by_item = pd.Series(binary(kept, binarize).to_numpy(), kept["item"].to_numpy())
    return by_item.loc[list(items)].astype(int).tolist()


def check_answered_once(rows: pd.DataFrame, key: Sequence[str] = ("subject", "item")) -> None:
    """Refuse results of one metric that answer an item twice."""
    twice = rows.duplicated(list(key))
    if twice.any():
        first = rows[twice].iloc[0]
        raise UserError(
            f"subject '{first['subject']}', item '{first['item']}' was answered twice; keep one "
            "run of each model"
        )


def as_responses(rows: pd.DataFrame) -> Responses:
    """Convert rows of one metric to a response matrix."""
    check_answered_once(rows)
    codes, subjects = pd.factorize(rows["subject"])
    at, items = pd.factorize(rows["item"])
    matrix = np.full((len(subjects), len(items)), MISSING, dtype=np.int8)
    known = rows["response"].notna().to_numpy()
    matrix[codes[known], at[known]] = rows["response"].to_numpy()[known].astype(np.int8)
    return Responses(np.asarray(subjects, object), np.asarray(items, object), matrix)
