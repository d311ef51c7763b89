"""Trajectories from published accuracies of tasks, with binomial errors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.trajectories.gather import COLUMNS, NORMAL

NEEDED = ["model", "step", "benchmark", "item", "response", "n_items"]
CONDITIONS = {"zero-shot": "0-shot", "five-shot": "5-shot"}


def read_accuracies(
    table: pd.DataFrame, tokens_per_step: dict[str, float], source: str
) -> pd.DataFrame:
    """Turn accuracies of tasks into a table `trajectories`.

    A benchmark of several tasks (MMLU) becomes the unweighted mean over its tasks, and a
    group for each of them. The interval of a task is Wilson's (1927, JASA 22:209); that of
    a mean of k tasks is normal, with standard error sqrt(sum p(1 - p) / n) / k.

    Parameters
    ----------
    table : data frame
        Columns `model`, `step`, `benchmark`, `item` (the task), `response` (accuracy),
        `n_items`; optionally `condition`, which becomes a part of the analysis' name.
    tokens_per_step : dict
        Tokens of a batch by model; key `""` for all others. Tokens are null without it.
    source : str
        Where the rows come from, for messages.

    Raises
    ------
    UserError
        A missing column, an accuracy outside 0 to 1, no items, or a row twice.
    """
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise UserError(f"{source}: lacks the column {', '.join(missing)}; add it")
    wrong = ~table["response"].between(0, 1) | ~(table["n_items"] >= 1) | ~(table["step"] >= 0)
    if wrong.any():
        row = int(wrong.to_numpy().argmax()) + 1
        raise UserError(
            f"{source}: row {row}: 'response' must be an accuracy from 0 to 1, 'n_items' at "
            "least 1, 'step' at least 0; correct the row"
        )
    condition = table["condition"] if "condition" in table else pd.Series("", index=table.index)
    shots = condition.replace(CONDITIONS)
    analysis = (table["benchmark"] + " " + shots).str.strip()
    table = table.assign(analysis=analysis)
    key = ["model", "step", "analysis", "item"]
    twice = table.duplicated(key)
    if twice.any():
        row = int(twice.to_numpy().argmax()) + 1
        raise UserError(f"{source}: row {row}: this model, step and task occur twice; keep one")
    p, n = table["response"].astype(float), table["n_items"].astype(float)
    lower, upper = wilson(p.to_numpy(), n.to_numpy())
    tasks = table[["model", "step", "analysis"]].assign(
        group=table["item"], value=p, se=np.sqrt(p * (1 - p) / n), lower=lower, upper=upper, n=n
    )
    grouped = tasks.groupby(["model", "step", "analysis"], sort=False)
    several = grouped["group"].transform("size") > 1
    single = tasks[~several].assign(group="")
    rows = pd.concat([single, _means(tasks[several]), tasks[several]], ignore_index=True)
    batch = rows["model"].map(lambda name: tokens_per_step.get(name, tokens_per_step.get("")))
    return rows.assign(
        revision="step" + rows["step"].astype(int).astype(str),
        tokens=rows["step"] * batch.astype(float),
        metric="acc",
        seed=pd.NA,
    )[COLUMNS]


def wilson(p: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95 % interval of proportions p of n."""
    z = NORMAL**2
    centre = (p + z / (2 * n)) / (1 + z / n)
    half = NORMAL / (1 + z / n) * np.sqrt(p * (1 - p) / n + z / (4 * n * n))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def _means(tasks: pd.DataFrame) -> pd.DataFrame:
    """Return the unweighted mean over the tasks of each checkpoint and analysis."""
    grouped = tasks.assign(variance=tasks["se"] ** 2).groupby(
        ["model", "step", "analysis"], sort=False
    )
    mean = grouped.agg(value=("value", "mean"), variance=("variance", "sum"),
                       tasks=("value", "size"), n=("n", "sum")).reset_index()  # fmt: skip
    mean["se"] = np.sqrt(mean.pop("variance")) / mean.pop("tasks")
    reach = NORMAL * mean["se"]
    return mean.assign(group="", lower=np.maximum(mean["value"] - reach, 0),
                       upper=np.minimum(mean["value"] + reach, 1))  # fmt: skip
