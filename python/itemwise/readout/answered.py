"""Training models of a benchmark with what a process sees of them: for the stages that fit one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
import pandas as pd

from itemwise.forms import fold_form
from itemwise.readout.implied import FormAnswers, Pool, beside, form_answers
from itemwise.readout.process import FoldForm, Mean, implied_mean
from itemwise.responses.sets import Training, read_training
from itemwise.tables.contract import read_any_rows, read_table


@dataclass(frozen=True)
class Answered:
    """Training models that have a full score and an ability by a form.

    Attributes
    ----------
    models : Training
        With their answers to the form, in its order.
    theta : array, shape (n,)
    answers : FormAnswers
    """

    models: Training
    theta: np.ndarray
    answers: FormAnswers

    @property
    def subjects(self) -> np.ndarray:
        """Names of the models."""
        return self.models.responses.subjects

    def of(self, subjects: np.ndarray) -> Answered:
        """Return the named models, in that order."""
        rows = pd.Index(self.subjects).get_indexer(subjects)
        return Answered(self.models.take(rows), self.theta[rows], self.answers.take(rows))


@dataclass(frozen=True)
class Calibrated:
    """A benchmark's training models with a full score, and its calibrated pool.

    Attributes
    ----------
    source : str
        Where the models come from, for messages.
    training : Training
    parameters : data frame
        Table `parameters`, by item.
    pool : Pool
    others : array
        Shares right, among training models, of the items that the pool lacks.
    """

    source: str
    training: Training
    parameters: pd.DataFrame
    pool: Pool
    others: np.ndarray

    @classmethod
    def read(cls, training: str, parameters: str, items: str | None = None) -> Calibrated:
        """Read the tables `training`, `parameters` and, after screening, `items`."""
        known = read_table(parameters, "parameters").set_index("item", drop=False)
        others = np.empty(0)
        if items is not None:
            table = read_table(items, "items")
            lacking = ~table["item"].isin(known["item"])
            others = table.loc[lacking, "mean"].dropna().to_numpy(float)
        models = read_training(training).scored()
        return cls(training, models, known, Pool.of(known), others)

    @property
    def implied(self) -> Mean:
        """The score of the whole benchmark that the implied score of the pool stands for."""
        return implied_mean(self.others, len(self.parameters))

    def answered(self, items: list[str], abilities: pd.DataFrame) -> Answered:
        """Return the models that have an ability.

        Parameters
        ----------
        items : list of str
            Of the form, by rank.
        abilities : data frame
            Rows of the table, of this form.
        """
        known = abilities.dropna(subset=["theta", "se"])
        place = pd.Index(self.training.responses.subjects).get_indexer(known["subject"])
        known, models = known[place >= 0], self.training.take(place[place >= 0])
        models = replace(models, responses=models.responses.select_items(items, self.source))
        theta = known["theta"].to_numpy()
        answers = form_answers(models.responses.matrix, self.parameters.loc[items], self.pool,
                               theta, known["se"].to_numpy())  # fmt: skip
        return Answered(models, theta, answers)


@dataclass(frozen=True)
class Chosen:
    """A form of a benchmark, as all training models choose it and as those of other folds do.

    Attributes
    ----------
    calibrated : Calibrated
    form : str
    selection, abilities : data frame
        Tables with the rows of the form and of the forms named by `fold_form`. Where a selector
        looks at no full score the latter are absent: every fold chooses the same.
    """

    calibrated: Calibrated
    form: str
    selection: pd.DataFrame
    abilities: pd.DataFrame

    def answered(self, fold: int | None = None) -> Answered:
        """Return the models with an ability by the form, or by that of all folds but one."""
        name = self.form if fold is None else fold_form(self.form, fold)
        if name not in self.names:
            name = self.form
        items = self.selection[self.selection["form"] == name].sort_values("rank")["item"]
        abilities = self.abilities[self.abilities["form"] == name]
        return self.calibrated.answered(items.tolist(), abilities)

    @cached_property
    def names(self) -> set[str]:
        """Names of the forms that are selected."""
        return set(self.selection["form"])

    @property
    def is_chosen_again(self) -> bool:
        """Whether there are forms of folds."""
        return any(fold_form(self.form, fold) in self.names for fold in self.folds)

    @property
    def folds(self) -> list[int]:
        """Folds of the training models."""
        return np.unique(self.calibrated.training.fold).tolist()


def fold_forms(parts: Sequence[Chosen], subjects: np.ndarray) -> dict[int, FoldForm]:
    """Return what each fold is predicted by, from the forms of one benchmark or of several.

    Parameters
    ----------
    parts : sequence of Chosen
        One a benchmark.
    subjects : array
        Training models to which rows refer.

    Returns
    -------
    dict
        By fold; empty where no form was chosen again without folds.
    """
    if not any(part.is_chosen_again for part in parts):
        return {}
    made = {}
    for fold in parts[0].folds:
        seen = [part.answered(fold) for part in parts]
        shared = reduce(np.intersect1d, [one.subjects for one in seen])
        rows = np.flatnonzero(np.isin(subjects, shared))
        answers = beside([one.of(subjects[rows]).answers for one in seen])
        made[fold] = FoldForm(rows, answers)
    return made


def read_chosen(
    calibrated: Calibrated, benchmark: str, selections: Sequence[str], abilities: Sequence[str]
) -> dict[str, Chosen]:
    """Read the forms of a benchmark, by name, those of folds apart.

    Parameters
    ----------
    calibrated : Calibrated
    benchmark : str
    selections, abilities : sequence of str
        Tables of the forms, and perhaps of the forms that are chosen without each fold.
    """
    tables = [read_any_rows(path, "selection") for path in selections]
    selection = pd.concat(tables, ignore_index=True)
    selection = selection[selection["benchmark"] == benchmark]
    known = pd.concat([read_any_rows(path, "abilities") for path in abilities], ignore_index=True)
    names = tables[0].loc[tables[0]["benchmark"] == benchmark].sort_values("rank")["form"].unique()
    return {name: Chosen(calibrated, name, selection, known) for name in names}
