"""What short forms and read-outs are worth on subjects that took no part in making them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM
from itemwise.readout.features import GRAND, calibration_errors, form_features, joined_features
from itemwise.readout.implied import Pool, form_answers
from itemwise.readout.process_tables import PROCESS, read_process
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import Responses


@dataclass(frozen=True)
class FittedForms:
    """The forms fitted on a benchmark's training subjects, and what they are assessed by.

    Attributes
    ----------
    name : str
        Benchmark.
    responses : Responses
        Subjects to predict, all items.
    parameters, abilities, selection, terms, linear, process_terms, reference : data frame
        Tables of the contract; `abilities` by form, `linear` the `linear_predictors`, and the
        terms of smooths and of Gaussian processes apart.
    full_score : series
        Points, by subject: of the subjects to predict, where known.
    """

    name: str
    responses: Responses
    parameters: pd.DataFrame
    abilities: pd.DataFrame
    selection: pd.DataFrame
    terms: pd.DataFrame
    linear: pd.DataFrame
    process_terms: pd.DataFrame
    reference: pd.DataFrame
    full_score: pd.Series

    def features(self, chosen_set: str) -> pd.DataFrame:
        """Return the features of every form that smooths read out; table `features`."""
        parts = []
        for form in self.linear["form"].unique():
            chosen, parameters, known = self.asked(form, chosen_set)
            linear = self.linear[self.linear["form"] == form]
            part = form_features(known, chosen, parameters, linear.set_index("item")["coefficient"])
            parts.append(part.assign(form=form))
        table = pd.concat(parts, ignore_index=True)
        return table.assign(
            benchmark=self.name,
            set=chosen_set,
            fold=np.nan,
            full_score=self.full_score[table["subject"]].to_numpy(),
            complete=table["complete"].astype(int),
        )

    def asked(self, form: str, chosen_set: str) -> tuple[Responses, pd.DataFrame, pd.DataFrame]:
        """Return who can be predicted by a form: responses, item parameters, abilities.

        Raises
        ------
        UserError
            Nobody can.
        """
        items = self.selection[self.selection["form"] == form].sort_values("rank")["item"].tolist()
        known = self.abilities[self.abilities["form"] == form].set_index("subject")
        known = known.dropna(subset=["theta", "se"])
        chosen = self.responses.select_items(items, "responses")
        chosen = chosen.select_subjects(known.index.intersection(self.full_score.index))
        if not len(chosen.subjects):
            raise UserError(
                f"benchmark '{self.name}', form '{form}': no subject of set '{chosen_set}' "
                "has an ability and a full score; raise config key 'split.test' or add full "
                "scores"
            )
        columns = [c for c in ("theta", "se", "se_calibration") if c in known]
        parameters = self.parameters.set_index("item", drop=False).loc[items]
        return chosen, parameters, known.loc[chosen.subjects, columns].reset_index()


def assess(fitted: FittedForms, features: pd.DataFrame) -> pd.DataFrame:
    """Predict by the smooths of every form that has them.

    Parameters
    ----------
    fitted : FittedForms
    features : data frame
        From `fitted.features`.

    Returns
    -------
    data frame
        Table `reconstructions`.
    """
    n_items = fitted.selection.groupby("form").size()
    readouts = dict(iter(fitted.terms.groupby(["form", "readout"], sort=False)))
    parts = []
    for (form, name), terms in readouts.items():
        part = features[features["form"] == form].reset_index(drop=True)
        readout = Readout(f"{fitted.name}, form {form}, {name}", terms)
        parts.append(_reconstructed(readout, part, calibration_errors(part)).assign(
            benchmark=fitted.name, readout=name, form=form, n_items=n_items[form]
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def assess_processes(fitted: FittedForms, chosen_set: str) -> pd.DataFrame:
    """Predict by the Gaussian process of every form, the random ones too.

    Parameters
    ----------
    fitted : FittedForms
    chosen_set : str
        What the subjects to predict are for: `test` or `validation`.

    Returns
    -------
    data frame
        Table `reconstructions`.
    """
    pool = Pool.of(fitted.parameters)
    references = dict(iter(fitted.reference.groupby("form", sort=False)))
    parts = []
    for form, terms in fitted.process_terms.groupby("form", sort=False):
        chosen, parameters, known = fitted.asked(form, chosen_set)
        process = read_process(terms, references[form], parameters, pool)
        answers = form_answers(
            chosen.matrix, parameters, pool, known["theta"].to_numpy(), known["se"].to_numpy(),
            calibration_errors(known).get("theta", 0.0),
        )  # fmt: skip
        predicted = process.predict(answers)[["predicted", "lower", "upper"]]
        parts.append(predicted.assign(
            subject=chosen.subjects, benchmark=fitted.name, set=chosen_set, readout=PROCESS,
            form=form, n_items=len(parameters), level=process.level,
            full_score=fitted.full_score[chosen.subjects].to_numpy(),
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def assess_jointly(
    terms: pd.DataFrame, features: dict[str, pd.DataFrame], n_items: int, form: str = MAIN_FORM
) -> pd.DataFrame:
    """Predict each benchmark, and the mean of all, with the help of the others.

    Parameters
    ----------
    terms : data frame
        Table `terms` of the joint read-out.
    features : dict
        Benchmark to its table `features`.
    n_items : int
        Items of all forms together.
    form : str

    Returns
    -------
    data frame
        Table `reconstructions` of the subjects that every benchmark has, without rows where
        there are none; the mean of all is benchmark `grand`.
    """
    parts = {name: part[part["form"] == form] for name, part in features.items()}
    wide = joined_features(parts)
    if wide.empty:
        return pd.DataFrame()
    errors = {}
    for name in parts:
        errors |= calibration_errors(wide, f"{name}.")
    scores = pd.DataFrame(
        {name: part.set_index("subject")["full_score"] for name, part in parts.items()}
    ).loc[wide["subject"]]
    scores[GRAND] = scores.mean(axis=1)
    tables = []
    for target, rows in terms.groupby("benchmark", sort=False):
        wide["full_score"] = scores[target].to_numpy()
        wide["set"] = next(iter(parts.values()))["set"].iloc[0]
        readout = Readout(f"{target}, form {form}, joint", rows)
        tables.append(_reconstructed(readout, wide, errors).assign(
            benchmark=target, readout="joint", form=form, n_items=n_items
        ))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _reconstructed(readout: Readout, features: pd.DataFrame, errors: dict) -> pd.DataFrame:
    """Return what the contract asks of reconstructions, less what the caller knows."""
    predicted = readout.widen(readout.predict(features), features, errors)
    return pd.concat(
        [features[["subject", "set", "full_score"]], predicted[["predicted", "lower", "upper"]]],
        axis=1,
    ).assign(level=readout.level)
