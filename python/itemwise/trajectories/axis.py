"""Where checkpoints lie: training tokens on a logarithmic axis, steps where tokens are unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.errors import UserError, listed

NEAREST, FARTHEST = 0.3, 1.0
"""Least and greatest distance in log10 at which a checkpoint before training is drawn."""
NAMES = {"tokens": "training tokens", "step": "training steps"}


@dataclass(frozen=True)
class Axis:
    """What trajectories are drawn against.

    Attributes
    ----------
    name : {"tokens", "step"}
    zero : float
        Position of a checkpoint before training, whose logarithm is not finite: as far
        left of the first as the second is right of it, within bounds.
    label : str
        The axis in words.
    """

    name: str
    zero: float
    label: str

    def position(self, values) -> np.ndarray:
        """Return log10 of tokens or steps, that of none at `zero`."""
        values = np.asarray(values, float)
        return np.where(values > 0, np.log10(np.where(values > 0, values, 1)), self.zero)

    def value(self, positions) -> np.ndarray:
        """Return tokens or steps at positions; nothing left of the first checkpoint is between."""
        positions = np.asarray(positions, float)
        return np.where(positions <= self.zero + 1e-9, 0.0, 10**positions)


def choose_axis(table: pd.DataFrame, label: str | None = None) -> tuple[Axis, str | None]:
    """Choose the axis that places most rows, tokens where they place as many.

    Parameters
    ----------
    table : data frame
        Columns `model`, `revision`, `step`, `tokens`.
    label : str, optional
        What tokens or steps are, where they count something else than training.

    Returns
    -------
    axis : Axis
    note : str or None
        What to tell people where tokens are not used.

    Raises
    ------
    UserError
        No checkpoint has tokens or a step.
    """
    placed = {name: int(table[name].notna().sum()) for name in NAMES}
    if not any(placed.values()):
        raise UserError(
            "columns 'tokens' and 'step' are empty in every row, so that checkpoints have no "
            "order; give at least the training steps in the table of checkpoints"
        )
    name = "tokens" if placed["tokens"] >= placed["step"] else "step"
    note = None
    if name == "step" and label is None:
        without = table.loc[table["tokens"].isna(), "model"].unique()
        note = f"training tokens are not known of {listed(without)}; drawn against training steps"
    values = np.unique(table[name].dropna().to_numpy(float))
    logs = np.log10(values[values > 0])
    label = label or NAMES[name]
    if not len(logs):
        return Axis(name, 0.0, label), note
    gap = logs[1] - logs[0] if len(logs) > 1 else FARTHEST
    return Axis(name, float(logs[0] - np.clip(gap, NEAREST, FARTHEST)), label), note
