"""A bank in memory: all that scoring a model needs, without R."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from itemwise.bank.joint import overall_scores
from itemwise.errors import UserError, listed, suggestion
from itemwise.forms import MAIN_FORM
from itemwise.irt.calibration_error import calibration_error
from itemwise.irt.person_fit import standardized_log_likelihood
from itemwise.irt.scoring import score
from itemwise.readout.features import calibration_errors, form_features
from itemwise.readout.implied import FormAnswers, Pool, form_answers, missing_variance
from itemwise.readout.interval import open_sides, opened
from itemwise.readout.process import Process
from itemwise.readout.process_tables import PROCESS, read_process, reference_answers
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import Responses


@dataclass(frozen=True)
class Bank:
    """A bank in memory: `card` is bank.json, the others are tables of the contract."""

    card: dict
    items: pd.DataFrame
    parameters: pd.DataFrame
    selection: pd.DataFrame
    terms: pd.DataFrame
    linear_predictors: pd.DataFrame
    reference: pd.DataFrame | None = None
    cat_calibration: pd.DataFrame | None = None

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks."""
        return list(self.card["benchmarks"])

    def part(self, benchmarks: Sequence[str]) -> Bank:
        """Return the bank of some benchmarks; without the joint read-out where one is missing.

        Raises
        ------
        UserError
            It has no such benchmark.
        """
        for name in benchmarks:
            if name not in self.benchmarks:
                raise UserError(
                    f"--benchmarks {name}: the bank has no such benchmark; "
                    f"{suggestion(name, self.benchmarks)}it has {listed(self.benchmarks)}"
                )
        about = {n: self.card["benchmarks"][n] for n in self.benchmarks if n in benchmarks}
        if len(about) == len(self.benchmarks):
            return self
        kept = {
            name: table[table["benchmark"].isin(about)].reset_index(drop=True)
            for name, table in vars(self).items()
            if isinstance(table, pd.DataFrame) and "benchmark" in table
        }
        return replace(self, card={**self.card, "benchmarks": about, "joint": False}, **kept)

    @property
    def tasks(self) -> dict[str, str]:
        """Benchmark by harness task, of the items whose task is known."""
        if "task" not in self.items:
            return {}
        known = self.items.dropna(subset=["task"])
        return dict(zip(known["task"], known["benchmark"], strict=True))

    def task_names(self, folder: str, remedy: str) -> list[str]:
        """Return the harness tasks of its items.

        Raises
        ------
        UserError
            It names none; ends with the remedy.
        """
        if not self.tasks:
            raise UserError(
                f"{folder}: the bank does not name the harness tasks of its items; {remedy}"
            )
        return sorted(self.tasks)

    def readout(self, benchmark: str, form: str, name: str) -> Readout:
        """Return a read-out by benchmark, form and name (`ability`, `form`, `joint`)."""
        t = self.terms
        rows = t[(t["benchmark"] == benchmark) & (t["form"] == form) & (t["readout"] == name)]
        if rows.empty:
            raise UserError(
                f"the bank has no read-out '{name}' of form '{form}' for benchmark '{benchmark}'"
            )
        return Readout(f"{benchmark}, form {form}, {name}", rows)

    def score(self, responses: Responses, form: str = MAIN_FORM) -> pd.DataFrame:
        """Score subjects on every benchmark of which they answered items of a form.

        Parameters
        ----------
        responses : Responses
            Items by id, of one or several benchmarks; other items are passed over.
        form : str

        Returns
        -------
        data frame
            Table `scores`: one row a subject and benchmark. `readout` is `process` where the
            bank has one (answers that are missing count by their expectation, and widen the
            interval); else `form` where the form is complete, and `ability` with an interval
            widened by the precision that is missing. Where items of every benchmark are
            answered, a row `overall` for the mean of all (`itemwise.bank.joint`). Intervals of
            models beyond the calibration's, and of answers that are all right or all wrong, are
            open on that side (`open_sides`).

        Raises
        ------
        UserError
            No response to an item of the form, or no such form.
        """
        known = {name: self.features(responses, name, form) for name in self.benchmarks}
        known = {name: features for name, features in known.items() if features is not None}
        if not known:
            raise UserError(f"the responses hold no item of form '{form}' of the bank")
        parts = [self._score_benchmark(responses, known[name], name, form) for name in known]
        if self.card.get("joint") and len(known) == len(self.benchmarks):
            parts += overall_scores(self, responses, known, form)
        table = pd.concat(parts, ignore_index=True)
        table["extrapolated"] = table["extrapolated"].astype(int)
        return table.astype({"n_right": "Int64"})  # null for the mean of all

    def form_items(self, benchmark: str, form: str = MAIN_FORM) -> np.ndarray:
        """Return the items of a form in their rank.

        Raises
        ------
        UserError
            The bank has no such form.
        """
        rows = self.selection[self.selection["benchmark"] == benchmark]
        chosen = rows[rows["form"] == form].sort_values("rank")["item"].to_numpy(object)
        if not len(chosen):
            raise UserError(
                f"the bank has no form '{form}' of benchmark '{benchmark}'; it has "
                f"{listed(rows['form'].unique())}"
            )
        return chosen

    def pool_items(self, benchmark: str) -> np.ndarray:
        """Return all calibrated items of a benchmark."""
        mine = self.items.loc[self.items["benchmark"] == benchmark, "item"]
        return mine[mine.isin(self.parameters["item"])].to_numpy(object)

    def pool_parameters(self, benchmark: str) -> pd.DataFrame:
        """Return the parameters of all calibrated items of a benchmark."""
        return self.parameters[self.parameters["item"].isin(self.pool_items(benchmark))]

    def features(self, responses: Responses, benchmark: str, form: str) -> pd.DataFrame | None:
        """Return the features of subjects, with n_items, complete, person_fit and open sides.

        As when the read-out was fitted (`itemwise.readout.features.form_features`), and
        `se_calibration` where the parameters have covariances. None where nobody answered
        an item of the form.
        """
        items = self.form_items(benchmark, form)
        matrix = _asked(responses, items)
        answered = (matrix >= 0).any(axis=1)
        if not answered.any():
            return None
        mine = Responses(responses.subjects[answered], items, matrix[answered])
        parameters = self.form_parameters(benchmark, form)
        method = self.card["benchmarks"][benchmark]["scoring"]
        table = score(mine, parameters, method=method)
        error = calibration_error(mine, parameters, table)
        if error is not None:
            table["se_calibration"] = error
        fit = standardized_log_likelihood(mine, parameters, table["theta"].to_numpy())
        table["person_fit"] = fit
        ability = self.readout(benchmark, form, "ability")
        sides = open_sides(
            mine.matrix, parameters, self.pool_parameters(benchmark),
            table["theta"].to_numpy(), ability.span("theta"), ability.level,
        )  # fmt: skip
        table = pd.concat([table, sides], axis=1)
        linear = self.linear_predictors
        linear = linear[(linear["benchmark"] == benchmark) & (linear["form"] == form)]
        made = form_features(table, mine, parameters, linear.set_index("item")["coefficient"])
        return made.assign(n_right=(mine.matrix > 0).sum(axis=1))

    def process(self, benchmark: str, form: str) -> Process | None:
        """Return the Gaussian process of a form; None without one."""
        if self.reference is None:
            return None
        terms, reference = (
            table[(table["benchmark"] == benchmark) & (table["form"] == form)]
            for table in (self.terms[self.terms["readout"] == PROCESS], self.reference)
        )
        if reference.empty:
            return None
        trained = reference_answers(
            reference, self.form_parameters(benchmark, form), self.pool(benchmark)
        )
        return read_process(terms, trained, reference["full_score"].to_numpy())

    def pool(self, benchmark: str) -> Pool:
        """Return what the calibrated items of a benchmark imply; tabulated once."""
        if benchmark not in self._pools:
            self._pools[benchmark] = Pool.of(self.pool_parameters(benchmark))
        return self._pools[benchmark]

    @cached_property
    def _pools(self) -> dict[str, Pool]:
        """Pools that are tabulated already."""
        return {}

    def answers(
        self, responses: Responses, features: pd.DataFrame, benchmark: str, form: str
    ) -> FormAnswers:
        """Return the answers to a form as a process takes them, along the rows of `features`."""
        parameters = self.form_parameters(benchmark, form)
        matrix = _asked(responses.select_subjects(features["subject"]), parameters.index)
        return form_answers(
            matrix, parameters, self.pool(benchmark), features["theta"].to_numpy(),
            features["se"].to_numpy(), calibration_errors(features).get("theta", 0.0),
        )  # fmt: skip

    def form_parameters(self, benchmark: str, form: str) -> pd.DataFrame:
        """Return the parameters of a form's items, by item, in their rank."""
        return self.parameters.set_index("item", drop=False).loc[self.form_items(benchmark, form)]

    def _score_benchmark(
        self, responses: Responses, features: pd.DataFrame, benchmark: str, form: str
    ) -> pd.DataFrame:
        """Score one benchmark: by its process, else by smooths of what is complete."""
        process = self.process(benchmark, form)
        if process is not None:
            # Incomplete forms too.
            answers = self.answers(responses, features, benchmark, form)
            predicted = process.predict(answers).assign(extrapolated=False)
            return _scores(features, predicted, benchmark, form, PROCESS, process.level)
        parts = []
        for complete, name in ((True, "form"), (False, "ability")):
            part = features[features["complete"] == complete].reset_index(drop=True)
            if part.empty:
                continue
            readout = self.readout(benchmark, form, name)
            errors = calibration_errors(part)
            if not complete:
                excess = missing_variance(
                    self.form_parameters(benchmark, form),
                    part["theta"].to_numpy(), part["se"].to_numpy(),
                )  # fmt: skip
                errors["theta"] = np.sqrt(excess + errors.get("theta", 0) ** 2)
            predicted = readout.widen(readout.predict(part), part, errors)
            parts.append(_scores(part, predicted, benchmark, form, name, readout.level))
        return pd.concat(parts, ignore_index=True)


def _asked(responses: Responses, items) -> np.ndarray:
    """Return the responses to some items, -1 to those that are not there."""
    at = pd.Index(responses.items).get_indexer(items)
    return np.where(at >= 0, responses.matrix[:, at], -1).astype(np.int8)


def _scores(
    features: pd.DataFrame, predicted: pd.DataFrame, benchmark: str, form: str, readout: str,
    level: float,
) -> pd.DataFrame:  # fmt: skip
    """Return rows of the table `scores`, open where the calibration cannot tell."""
    known = features[["subject", "theta", "n_items", "n_right", "person_fit"]].assign(
        benchmark=benchmark, form=form, readout=readout, level=level,
        se=np.hypot(features["se"], calibration_errors(features).get("theta", 0)),
    )  # fmt: skip
    columns = ["predicted", "half_lower", "half_upper", "extrapolated", "lower", "upper"]
    made = opened(predicted[columns], features["open_lower"], features["open_upper"])
    return pd.concat([known, made], axis=1)
