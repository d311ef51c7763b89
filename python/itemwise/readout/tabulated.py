"""Full scores from the features of a subject, by the tabulated terms of a read-out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import ndtri

from itemwise.errors import UserError
from itemwise.readout.interval import with_ends
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

STEP = 0.05
"""Difference of ability over which the slope of a read-out is taken."""


@dataclass(frozen=True)
class Readout:
    """A fitted read-out: from features of a subject to its full score and interval.

    Attributes
    ----------
    name : str
        Benchmark, form and read-out, for messages.
    terms : data frame
        Rows of the table `terms` of one benchmark, form and read-out.
    """

    name: str
    terms: pd.DataFrame

    @property
    def variables(self) -> list[str]:
        """Predictors that it needs."""
        return self._rows("range")["variable"].tolist()

    def span(self, variable: str) -> tuple[float, float]:
        """Return the range of a predictor in training."""
        rows = self._rows("range")
        row = rows[rows["variable"] == variable].iloc[0]
        return float(row["x"]), float(row["x2"])

    @property
    def level(self) -> float:
        """Nominal coverage of its intervals."""
        return float(self._rows("quantile")["x"].iloc[0])

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Predict full scores, as mgcv's predict.gam does, from the tabulated terms.

        Predictors outside the training range are held at its ends, and flagged.

        Parameters
        ----------
        features : data frame
            One column a predictor (`variables`).

        Returns
        -------
        data frame
            `predicted`, `lower`, `upper` (points, within [0, 100]), `half_lower` and
            `half_upper` (points, before the ends are cut) and `extrapolated`.

        Raises
        ------
        UserError
            A predictor is missing.
        """
        held, outside = self._held(features)
        predicted = np.clip(self._sum_of_terms(held), 0, 100)
        half = self.half_width(predicted)
        halves = {"half_lower": half, "half_upper": half}
        return with_ends(pd.DataFrame({"predicted": predicted, **halves, "extrapolated": outside}))

    def widen(
        self, predicted: pd.DataFrame, features: pd.DataFrame, errors: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        """Widen intervals by errors of abilities that the read-out has not seen.

        half' = sqrt(half^2 + sum_v (z df/dv error_v)^2), by the delta method, with z the
        normal quantile of the level. The read-out was fitted to models that calibrated the
        items and answered all of the form: of the uncertainty of item parameters and of
        missing items its residuals tell nothing. Slopes are taken within the training range:
        at its ends, where predictors are held, and beyond, ability is no better known.

        Parameters
        ----------
        predicted : data frame
            From `predict`.
        features : data frame
            One column a predictor.
        errors : dict
            Ability (`theta`, `arc.theta`, ...) to its additional standard deviations;
            abilities that are no predictors are passed over.
        """
        more = np.zeros(len(features))
        z = ndtri((1 + self.level) / 2)
        held, _ = self._held(features)
        for variable in errors.keys() & set(self.variables):
            low, high = self.span(variable)
            at = np.clip(held[variable], low + STEP, high - STEP)
            up, down = (self._sum_of_terms({**held, variable: at + step}) for step in (STEP, -STEP))
            more += (z * (up - down) / (2 * STEP) * errors[variable]) ** 2
        half = np.sqrt(self.half_width(predicted["predicted"]) ** 2 + more)
        return with_ends(predicted.assign(half_lower=half, half_upper=half))

    def half_width(self, predicted: np.ndarray) -> np.ndarray:
        """Return half the width of the intervals at predicted scores, in points."""
        scale = self._rows("scale")
        return self._rows("quantile")["value"].iloc[0] * np.interp(
            predicted, scale["x"], scale["value"]
        )

    def _rows(self, kind: str) -> pd.DataFrame:
        """Return the rows of one kind, in the order of their nodes within terms."""
        return self._kinds.get(kind, self.terms.iloc[:0])

    @cached_property
    def _kinds(self) -> dict[str, pd.DataFrame]:
        """Rows by kind: they are asked for at every slope of every predictor."""
        return dict(iter(self.terms.groupby("kind", sort=False)))

    @cached_property
    def _smooths(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Predictor, nodes and values of every smooth term."""
        return [
            (grid["variable"].iloc[0], grid["x"].to_numpy(), grid["value"].to_numpy())
            for _, grid in self._rows("smooth").groupby("term", sort=False)
        ]

    def _sum_of_terms(self, held: dict[str, np.ndarray]) -> np.ndarray:
        """Return the sum of all terms at predictors within the training range."""
        predicted = np.full(
            len(next(iter(held.values()))), self._rows("intercept")["value"].iloc[0]
        )
        for row in self._rows("linear").itertuples():
            predicted += row.value * held[row.variable]
        for variable, nodes, values in self._smooths:
            predicted += np.interp(held[variable], nodes, values)
        for _, grid in self._rows("surface").groupby("term", sort=False):
            predicted += _on_surface(grid, held)
        return predicted

    def _held(self, features: pd.DataFrame) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Hold predictors within the training range; say which rows lay outside."""
        outside = np.zeros(len(features), bool)
        held = {}
        for row in self._rows("range").itertuples():
            if row.variable not in features:
                raise UserError(f"read-out {self.name}: predictor '{row.variable}' is missing")
            values = features[row.variable].to_numpy(float)
            held[row.variable] = np.clip(values, row.x, row.x2)
            outside |= held[row.variable] != values
        return held, outside


def check_tabulated(where: str, unsupported: dict[str, str]) -> None:
    """Refuse a read-out with a term that no table holds.

    Parameters
    ----------
    where : str
        Benchmark, form and read-out.
    unsupported : dict
        Term to the reason, from the record of the read-out.
    """
    for term, reason in unsupported.items():
        raise UserError(
            f"{where}: term {term} cannot be tabulated: {reason}; change config key "
            "'readout.formula', 'readout.form_formula' or 'joint.formula'"
        )


def check_record(record: dict) -> None:
    """Refuse a record of fit_readout with a term that is not in its table.

    Raises
    ------
    UserError
        Names benchmark, form, read-out, term and reason.
    """
    for form, readouts in record["forms"].items():
        for readout, about in readouts.items():
            check_tabulated(
                f"benchmark '{record['benchmark']}', form '{form}', read-out '{readout}'",
                dict(about["unsupported_terms"]),
            )


def read_joint_terms(
    terms: str | None, record: str | None, readout: str = "joint"
) -> tuple[pd.DataFrame | None, str | None]:
    """Read a joint read-out, where there is one.

    Parameters
    ----------
    terms, record : path, optional
        Table and record of fit_joint_process, or of fit_joint_readout.
    readout : str
        Its name, as the options of both begin.

    Returns
    -------
    terms : data frame or None
        Table `terms`, None where nothing was joined.
    left_out : str or None
        Why not, where the benchmarks share too few models.

    Raises
    ------
    UserError
        Terms without a record, or a term that is not in the table.
    """
    if terms is None:
        return None, None
    if record is None:
        raise UserError(
            f"--{readout}-terms needs --{readout}-record, which says what is not in them"
        )
    said = read_record(record)
    if said.get("left_out"):
        return None, said["left_out"]
    for target, about in said["targets"].items():
        unsupported = about.get("unsupported_terms", {})  # a process has none
        check_tabulated(f"joint read-out of '{target}'", dict(unsupported))
    return read_table(terms, "terms"), None


def _on_surface(grid: pd.DataFrame, held: dict[str, np.ndarray]) -> np.ndarray:
    """Interpolate by cubics along both axes; the second variable runs fastest over the rows."""
    first, second = np.unique(grid["x"]), np.unique(grid["x2"])
    values = grid["value"].to_numpy().reshape(len(first), len(second))
    rows, by_row = _node_weights(first, held[grid["variable"].iloc[0]])
    columns, by_column = _node_weights(second, held[grid["variable2"].iloc[0]])
    near = values[rows[:, :, None], columns[:, None, :]]
    return np.einsum("nij,ni,nj->n", near, by_row, by_column)


def _node_weights(grid: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest nodes, up to four, and their weights in Lagrange's polynomial."""
    size = min(4, len(grid))
    low = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, len(grid) - 2)
    first = np.clip(low - (size // 2 - 1), 0, len(grid) - size)
    nodes = first[:, None] + np.arange(size)
    at = grid[nodes]
    weights = np.ones(at.shape)
    for i in range(size):
        for j in range(size):
            if i != j:
                weights[:, i] *= (x - at[:, j]) / (at[:, i] - at[:, j])
    return nodes, weights
