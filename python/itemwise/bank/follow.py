"""A training run by three measures: full suite, short form, adaptive test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.bank.bank import Bank
from itemwise.bank.model_scores import binary, with_main_metric
from itemwise.errors import UserError, listed
from itemwise.readout.features import OVERALL
from itemwise.readout.interval import with_ends

FULL, FORM, ADAPTIVE = "full", "form", "adaptive"


def follow(
    bank: Bank,
    subjects: pd.DataFrame,
    evaluations: pd.DataFrame,
    form_scores: pd.DataFrame,
    adaptive_scores: pd.DataFrame,
) -> pd.DataFrame:
    """Set the measures of each checkpoint side by side.

    The mean of all benchmarks (`overall`) has the joint read-out of the short form, and of
    adaptive tests the mean of their scores, unless all of them asked the whole form, with the
    interval that holds if their errors are independent: half its width is
    sqrt(sum h_b^2) / B for B benchmarks with half widths h_b, on each side and before they are
    cut to the scale.

    Parameters
    ----------
    bank : Bank
        Says which metric counts.
    subjects : data frame
        Table `subjects`, with steps and tokens.
    evaluations : data frame
        Table `evaluations` of the full suite.
    form_scores, adaptive_scores : data frame
        Tables `scores`.

    Returns
    -------
    data frame
        Table `run_measures`, in the order of the checkpoints.

    Raises
    ------
    UserError
        A checkpoint was not evaluated, or is unknown.
    """
    joint = adaptive_scores.loc[adaptive_scores["benchmark"] == OVERALL, "subject"]
    others = adaptive_scores[~adaptive_scores["subject"].isin(joint)]
    adaptive = pd.concat([adaptive_scores, mean_score(others)], ignore_index=True)
    parts = [full_scores(bank, evaluations)]
    for measure, table in ((FORM, form_scores), (ADAPTIVE, adaptive)):
        kept = table[["subject", "benchmark", "n_items", "predicted", "lower", "upper", "level"]]
        parts.append(kept.rename(columns={"predicted": "score"}).assign(measure=measure))
    table = pd.concat(parts, ignore_index=True)
    known = subjects.set_index("subject")
    for name, part in table.groupby("measure"):
        for lacking in (
            set(known.index) - set(part["subject"]),
            set(part["subject"]) - set(known.index),
        ):
            if lacking:
                raise UserError(
                    f"measure '{name}': the checkpoints differ from those of --subjects: "
                    f"{listed(sorted(lacking))}; evaluate and name the same ones"
                )
    for column in ("step", "tokens"):
        table[column] = table["subject"].map(known[column])
    order = table["subject"].map({name: i for i, name in enumerate(known.index)})
    columns = ["subject", "benchmark", "measure", "step", "tokens", "n_items", "score", "lower",
               "upper", "level"]  # fmt: skip
    table = table.assign(order=order).sort_values("order", kind="stable", ignore_index=True)
    return table[columns]


def full_scores(bank: Bank, evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return the share of right answers to whole benchmarks, in points, and their mean."""
    parts = []
    for name in bank.benchmarks:
        rows = evaluations[evaluations["benchmark"] == name]
        if rows.empty:
            raise UserError(
                f"--evaluations: no row of benchmark '{name}'; evaluate the whole suite"
            )
        kept, _ = with_main_metric(bank, name, rows, {}, {})
        right = kept.assign(response=binary(kept, None)).groupby("subject")["response"]
        parts.append(
            pd.DataFrame({"score": 100 * right.mean(), "n_items": right.size()})
            .rename_axis("subject")
            .reset_index()
            .assign(benchmark=name)
        )
    table = pd.concat(parts, ignore_index=True)
    mean = table.groupby("subject", as_index=False).agg(
        score=("score", "mean"), n_items=("n_items", "sum")
    )
    table = pd.concat([table, mean.assign(benchmark=OVERALL)], ignore_index=True)
    return table.assign(measure=FULL, lower=np.nan, upper=np.nan, level=np.nan)


def mean_score(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over benchmarks of each subject's scores, errors as if independent."""

    def of_independent(halves: pd.Series) -> float:
        return float(np.sqrt((halves**2).sum()) / len(halves))

    rows = scores.groupby("subject", as_index=False).agg(
        n_items=("n_items", "sum"), predicted=("predicted", "mean"), level=("level", "first"),
        half_lower=("half_lower", of_independent), half_upper=("half_upper", of_independent),
    )  # fmt: skip
    return with_ends(rows.assign(benchmark=OVERALL))


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return every short measurement beside the full score of the same checkpoint.

    Parameters
    ----------
    table : data frame
        Table `run_measures`, of one or several runs.

    Returns
    -------
    data frame
        Rows of the measures that are not `full`, with the column `full_score`, named as in
        the table `reconstructions`.
    """
    full = table[table["measure"] == FULL].set_index(["subject", "benchmark"])["score"]
    rest = table[table["measure"] != FULL].rename(columns={"score": "predicted"})
    keys = pd.MultiIndex.from_frame(rest[["subject", "benchmark"]])
    return rest.assign(full_score=full.reindex(keys).to_numpy())
