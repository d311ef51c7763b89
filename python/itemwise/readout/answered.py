"""Training models of a benchmark with what a process sees of them: for the stages that fit one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from itemwise.readout.implied import FormAnswers, Pool, form_answers
from itemwise.readout.process import Mean, implied_mean
from itemwise.responses.sets import Training, read_training
from itemwise.tables.contract import read_table


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
