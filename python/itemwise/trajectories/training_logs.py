"""Training curves (loss, learning rate) of the trainer's own records, on the checkpoints' axis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed
from itemwise.trajectories.axis import Axis

NAMES = {
    "loss": "loss", "train_loss": "loss", "learning_rate": "learning_rate", "lr": "learning_rate",
    "grad_norm": "grad_norm", "eval_loss": "eval_loss", "val_loss": "eval_loss",
}  # fmt: skip
"""What trainers call the metrics that are drawn, and what they are called here."""
STEPS = ("step", "_step", "global_step")
"""Columns of steps, without what stands before the last slash, in lower case."""
SIDES = {"eval": "eval_", "val": "eval_", "validation": "eval_", "test": None}
"""What stands before the slash and says of which data: none of the training's is left out."""
POINTS = 200
"""Points of a curve; more are averaged."""


def read_log(path: str | Path) -> pd.DataFrame:
    """Read what a training logged.

    Parameters
    ----------
    path : path
        `trainer_state.json` of transformers' Trainer (that of the last checkpoint has all), or
        CSV with a column of steps and one a metric, as Weights & Biases exports it.

    Returns
    -------
    data frame
        `step`, `metric`, `value`; metrics are the values of `NAMES`.

    Raises
    ------
    UserError
        It is neither, or holds none of the metrics.
    """
    path = Path(path)
    try:
        wide = _state(path) if path.suffix == ".json" else pd.read_csv(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: cannot be read as a trainer_state.json or as CSV ({text}); check "
            "--training-logs"
        ) from error
    steps = [name for name in wide if str(name).lower().rpartition("/")[2] in STEPS]
    metrics = {name: found for name in wide if (found := metric_of(str(name)))}
    if not steps or not metrics:
        what = "metric" if steps else "column of steps"
        raise UserError(
            f"{path}: has no {what}; it has the columns {listed(wide, 12)}, and a training log "
            f"needs one of {listed(STEPS)} and one of {listed(NAMES)}"
        )
    parts = [
        pd.DataFrame({"step": wide[steps[0]], "metric": metric, "value": wide[name]})
        for name, metric in metrics.items()
    ]
    long = pd.concat(parts)
    for column in ("step", "value"):
        long[column] = pd.to_numeric(long[column], errors="coerce")
    known = long[np.isfinite(long["step"]) & np.isfinite(long["value"])]
    return known.groupby(["metric", "step"], as_index=False, sort=True)["value"].mean()


def _state(path: Path) -> pd.DataFrame:
    """Return the history of a Trainer as a table, without the means that it ends with."""
    history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    return pd.DataFrame([entry for entry in history if "train_runtime" not in entry])


def metric_of(column: str) -> str | None:
    """Return which metric a column is, None where it is none of those that are drawn.

    Examples
    --------
    >>> metric_of("my run - train/loss"), metric_of("eval/loss"), metric_of("my run - loss__MIN")
    ('loss', 'eval_loss', None)
    """
    side, _, name = column.rpartition(" - ")[2].lower().rpartition("/")
    side = side.rpartition("/")[2]
    prefix = SIDES.get(side, "")
    return None if prefix is None else NAMES.get(f"{prefix}{name}")


def curve_rows(log: pd.DataFrame, model: str, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return a log as rows of the table `training_curves`, at most `POINTS` a metric.

    Parameters
    ----------
    log : data frame
        Of `read_log`.
    model : str
    checkpoints : data frame
        `step` and `tokens` of the model's checkpoints: tokens of a step between two of them are
        interpolated, those beyond the last in proportion.
    """
    parts = []
    for metric, part in log.groupby("metric", sort=False):
        # Classes of equal width in log steps, as the page's axis has them.
        place = np.log10(part["step"].clip(lower=1))
        span = place.max() - place.min() or 1.0
        number = np.floor((place - place.min()) / span * (POINTS - 1))
        groups = part.groupby(number.to_numpy())
        parts.append(groups.agg(step=("step", "mean"), value=("value", "mean"),
                                n=("value", "size")).assign(metric=metric))  # fmt: skip
    made = pd.concat(parts, ignore_index=True).assign(model=model)
    made["tokens"] = tokens_of(made["step"].to_numpy(float), checkpoints)
    return made[["model", "metric", "step", "tokens", "value", "n"]]


def tokens_of(steps: np.ndarray, checkpoints: pd.DataFrame) -> np.ndarray:
    """Return the training tokens of steps; null where no checkpoint has both."""
    known = checkpoints.dropna(subset=["step", "tokens"])
    known = known[known["step"] > 0].drop_duplicates("step").sort_values("step")
    if known.empty:
        return np.full(len(steps), np.nan)
    at, tokens = known["step"].to_numpy(float), known["tokens"].to_numpy(float)
    inside = np.interp(steps, [0, *at], [0, *tokens])
    return np.where(steps > at[-1], steps * tokens[-1] / at[-1], inside)


def placed(curves: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Return the rows that have a place, as curves are drawn."""
    known = curves[curves[axis.name].notna()]
    return known.assign(position=axis.position(known[axis.name]), lower=np.nan, upper=np.nan)
