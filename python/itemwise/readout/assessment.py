"""What short forms and read-outs are worth on subjects that took no part in making them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM
from itemwise.irt.parallel import map_ordered
from itemwise.readout.features import OVERALL, calibration_errors, form_features, joined_features
from itemwise.readout.implied import FormAnswers, Pool, beside, form_answers
from itemwise.readout.process import Process
from itemwise.readout.process_tables import (
    JOINT,
    JOINT_SMOOTHS,
    PROCESS,
    read_joint_processes,
    read_process,
    reference_answers,
    shares,
)
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

    @cached_property
    def pool(self) -> Pool:
        """What the calibrated items imply."""
        return Pool.of(self.parameters)

    def form(self, name: str) -> pd.DataFrame:
        """Return the parameters of a form's items, by item, in their rank."""
        return self._items.loc[self._selected[name].sort_values("rank")["item"]]

    def answers(self, form: str, chosen_set: str) -> tuple[np.ndarray, FormAnswers]:
        """Return who can be predicted by a form, and their answers as a process takes them."""
        chosen, parameters, known = self.asked(form, chosen_set)
        answers = form_answers(
            chosen.matrix, parameters, self.pool, known["theta"].to_numpy(),
            known["se"].to_numpy(), calibration_errors(known).get("theta", 0.0),
        )  # fmt: skip
        return chosen.subjects, answers

    def asked(self, form: str, chosen_set: str) -> tuple[Responses, pd.DataFrame, pd.DataFrame]:
        """Return who can be predicted by a form: responses, item parameters, abilities.

        Raises
        ------
        UserError
            Nobody can.
        """
        parameters = self.form(form)
        known = self._known[form].set_index("subject").dropna(subset=["theta", "se"])
        chosen = self.responses.select_items(parameters.index, "responses")
        chosen = chosen.select_subjects(known.index.intersection(self.full_score.index))
        if not len(chosen.subjects):
            raise UserError(
                f"benchmark '{self.name}', form '{form}': no subject of set '{chosen_set}' "
                "has an ability and a full score; raise config key 'split.test' or add full "
                "scores"
            )
        columns = [c for c in ("theta", "se", "se_calibration") if c in known]
        return chosen, parameters, known.loc[chosen.subjects, columns].reset_index()

    @cached_property
    def _selected(self) -> dict[str, pd.DataFrame]:
        """Rows of the selection by form: there are dozens of random ones."""
        return dict(iter(self.selection.groupby("form")))

    @cached_property
    def _known(self) -> dict[str, pd.DataFrame]:
        """Abilities by form; none for a form of which nobody answered anything."""
        none = dict.fromkeys(self._selected, self.abilities.iloc[:0])
        return none | dict(iter(self.abilities.groupby("form")))

    @cached_property
    def _items(self) -> pd.DataFrame:
        """Item parameters by item."""
        return self.parameters.set_index("item", drop=False)


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


def assess_processes(fitted: FittedForms, chosen_set: str, threads: int = 1) -> pd.DataFrame:
    """Predict by the Gaussian process of every form, the random ones too.

    Parameters
    ----------
    fitted : FittedForms
    chosen_set : str
        What the subjects to predict are for: `test` or `validation`.
    threads : int
        Forms that are predicted at once; the result does not depend on it.

    Returns
    -------
    data frame
        Table `reconstructions`.
    """
    references = dict(iter(fitted.reference.groupby("form", sort=False)))

    def predicted(one: tuple[str, pd.DataFrame]) -> pd.DataFrame:
        form, terms = one
        parameters, reference = fitted.form(form), references[form]
        subjects, answers = fitted.answers(form, chosen_set)
        trained = reference_answers(reference, parameters, fitted.pool)
        process = read_process(terms, trained, reference["full_score"].to_numpy())
        return _rebuilt(process, answers).assign(
            subject=subjects, benchmark=fitted.name, set=chosen_set, readout=PROCESS,
            form=form, n_items=len(parameters), full_score=fitted.full_score[subjects].to_numpy(),
        )  # fmt: skip

    forms = list(fitted.process_terms.groupby("form", sort=False))
    with threadpool_limits(1, user_api="blas"):
        return pd.concat(map_ordered(predicted, forms, threads), ignore_index=True)


def assess_joint_process(
    terms: pd.DataFrame, fitted: list[FittedForms], chosen_set: str, form: str = MAIN_FORM
) -> pd.DataFrame:
    """Predict each benchmark, and the mean of all, from the answers to all benchmarks' forms.

    Parameters
    ----------
    terms : data frame
        Table `terms` of the joint process.
    fitted : list of FittedForms
        In the order in which it was fitted.
    chosen_set, form : str

    Returns
    -------
    data frame
        Table `reconstructions` of the subjects that every benchmark has, without rows where
        there are none; the mean of all is benchmark `overall`.
    """
    seen = {one.name: one.answers(form, chosen_set) for one in fitted}
    shared = reduce(np.intersect1d, [subjects for subjects, _ in seen.values()])
    if not len(shared):
        return pd.DataFrame()
    answers = beside(
        [of.take(pd.Index(subjects).get_indexer(shared)) for subjects, of in seen.values()]
    )
    forms = {one.name: one.form(form) for one in fitted}
    processes = read_joint_processes(
        terms, {one.name: one.reference[one.reference["form"] == form] for one in fitted},
        forms, {one.name: one.pool for one in fitted},
    )  # fmt: skip
    scores, weights = np.stack([one.full_score[shared] for one in fitted]), shares(list(seen))
    known = {"subject": shared, "set": chosen_set, "readout": JOINT, "form": form,
             "n_items": sum(map(len, forms.values()))}  # fmt: skip
    tables = [
        _rebuilt(process, answers).assign(
            benchmark=target, full_score=weights[target] @ scores, **known
        )
        for target, process in processes.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _rebuilt(process: Process, answers: FormAnswers) -> pd.DataFrame:
    """Return what a process predicts, less what the caller knows."""
    predicted = process.predict(answers)[["predicted", "lower", "upper"]]
    return predicted.assign(level=process.level)


def assess_joint_smooths(
    terms: pd.DataFrame, features: dict[str, pd.DataFrame], n_items: int, form: str = MAIN_FORM
) -> pd.DataFrame:
    """Predict each benchmark, and the mean of all, by smooths with the help of the others.

    Parameters
    ----------
    terms : data frame
        Table `terms` of the joint smooths.
    features : dict
        Benchmark to its table `features`.
    n_items : int
        Items of all forms together.
    form : str

    Returns
    -------
    data frame
        Table `reconstructions` of the subjects that every benchmark has, without rows where
        there are none; the mean of all is benchmark `overall`.
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
    scores[OVERALL] = scores.mean(axis=1)
    tables = []
    for target, rows in terms.groupby("benchmark", sort=False):
        wide["full_score"] = scores[target].to_numpy()
        wide["set"] = next(iter(parts.values()))["set"].iloc[0]
        readout = Readout(f"{target}, form {form}, {JOINT_SMOOTHS}", rows)
        tables.append(_reconstructed(readout, wide, errors).assign(
            benchmark=target, readout=JOINT_SMOOTHS, form=form, n_items=n_items
        ))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _reconstructed(readout: Readout, features: pd.DataFrame, errors: dict) -> pd.DataFrame:
    """Return what the contract asks of reconstructions, less what the caller knows."""
    predicted = readout.widen(readout.predict(features), features, errors)
    return pd.concat(
        [features[["subject", "set", "full_score"]], predicted[["predicted", "lower", "upper"]]],
        axis=1,
    ).assign(level=readout.level)
