"""A Gaussian process as tables of the contract, and back.

Kernel and mean are rows of the table `terms`; the training models that it predicts from, without
their names in a bank, are the table `reference`. A joint process has rows in `terms` alone: it
predicts from the models that the references of all benchmarks share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd

from itemwise.readout.accuracy import accuracy
from itemwise.readout.features import OVERALL
from itemwise.readout.implied import FormAnswers, Pool, beside, form_answers
from itemwise.readout.interval import with_ends
from itemwise.readout.kriging import Kernel
from itemwise.readout.process import CrossFitted, Mean, Process, Quantiles

PROCESS = "process"
"""Name of the reconstruction model by the answers to a form."""
JOINT = "joint"
"""Name of that by the answers to the forms of all benchmarks."""
JOINT_SMOOTHS = "joint-smooths"
"""Name of the additive models of R that take the forms of all benchmarks."""
NOT_GIVEN = "."
"""An answer that was not given, in the column `answers`."""


def process_terms(
    process: Process, benchmark: str, form: str, among: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the rows of the table `terms` that hold a process.

    Parameters
    ----------
    process : Process
    benchmark, form : str
    among : sequence of str
        Benchmarks whose answers a joint process takes, in their order.
    """
    own = _variables("implied", among)
    kernel = process.kernel
    decay = zip(_variables("decay", among), kernel.decay, strict=True)
    known = [("variance", kernel.variance), ("noise", kernel.noise), *decay]
    rows = [
        ("intercept", "", "", 1, np.nan, process.mean.intercept),
        *(("kernel", "kernel", name, place, np.nan, value)
          for place, (name, value) in enumerate(known, start=1)),
        # A table holds no infinity.
        *(("quantile", "", "", place, process.level, min(value, 1e12))
          for place, value in enumerate(process.quantiles.values, start=1)),
    ]  # fmt: skip
    for name, nodes, values in zip(own, process.mean.nodes, process.mean.values, strict=True):
        points = enumerate(zip(nodes, values, strict=True), start=1)
        rows += [("smooth", f"s({name})", name, place, *point) for place, point in points]
    table = pd.DataFrame(rows, columns=["kind", "term", "variable", "node", "x", "value"])
    table = table.assign(
        benchmark=benchmark, form=form, readout=JOINT if among else PROCESS, variable2="",
        x2=np.nan,
    )  # fmt: skip
    table.loc[table["kind"] == "quantile", "x2"] = process.quantiles.starts
    return table


def read_process(
    terms: pd.DataFrame,
    answers: FormAnswers,
    full_score: np.ndarray,
    among: Sequence[str] = (),
) -> Process:
    """Return the process of one benchmark and form.

    Parameters
    ----------
    terms : data frame
        Rows of the table, of this benchmark, form and reconstruction model.
    answers : FormAnswers
        Of the training models, from `reference_answers`.
    full_score : array, shape (n,)
        Theirs, in points.
    among : sequence of str
        As of `process_terms`.
    """
    kinds = dict(iter(terms.groupby("kind", sort=False)))
    kernel = kinds["kernel"].set_index("variable")["value"]
    smooths = dict(iter(kinds["smooth"].sort_values("node").groupby("variable")))
    smooths = [smooths[name] for name in _variables("implied", among)]
    quantile = kinds["quantile"].sort_values("node")
    # Up to format 2 there was one, for all distances.
    quantiles = Quantiles(quantile["x2"].fillna(0).to_numpy(), quantile["value"].to_numpy())
    decay = kernel[_variables("decay", among)].to_numpy()
    return Process(
        Kernel(kernel["variance"], decay, kernel["noise"]),
        Mean(kinds["intercept"]["value"].iloc[0],
             np.stack([smooth["x"] for smooth in smooths]),
             np.stack([smooth["value"] for smooth in smooths])),
        answers,
        full_score,
        quantiles,
        quantile["x"].iloc[0],
    )  # fmt: skip


def _variables(name: str, among: Sequence[str]) -> list[str]:
    """Return what the column `variable` calls a number of each benchmark."""
    return [f"{benchmark}.{name}" for benchmark in among] or [name]


def reference_rows(
    matrix: np.ndarray,
    theta: np.ndarray,
    full_score: np.ndarray,
    benchmark: str,
    form: str,
    subjects: np.ndarray,
) -> pd.DataFrame:
    """Return training models as rows of the table `reference`.

    Parameters
    ----------
    matrix : array of int8, shape (n, n_items)
        Answers to the form in its order, -1 where not given.
    theta, full_score, subjects : array, shape (n,)
    """
    letters = np.where(matrix >= 0, matrix + ord("0"), ord(NOT_GIVEN)).astype(np.uint8)
    answers = np.ascontiguousarray(letters).view(f"S{matrix.shape[1]}")[:, 0].astype(str)
    return pd.DataFrame(
        {"benchmark": benchmark, "form": form, "row": np.arange(1, len(theta) + 1),
         "answers": answers, "theta": theta, "full_score": full_score, "subject": subjects}
    )  # fmt: skip


def without_names(reference: pd.DataFrame) -> pd.DataFrame:
    """Return a reference of all benchmarks with numbers in the place of names.

    A model has one `row` in all benchmarks and forms. Models are numbered in the order of their
    answers and scores, so that the numbers tell nothing that these do not.
    """
    told = reference["answers"] + reference["full_score"].map(" {:.17g}".format)
    told += reference["theta"].map(" {:.17g}".format)
    wide = reference.assign(told=told).pivot(
        index="subject", columns=["benchmark", "form"], values="told"
    )
    order = wide.fillna("").sort_values(list(wide.columns), kind="stable").index
    number = pd.Series(np.arange(1, len(order) + 1), order)
    numbered = reference.assign(row=reference["subject"].map(number)).drop(columns="subject")
    return numbered.sort_values(["benchmark", "form", "row"], ignore_index=True)


def of_shared_models(references: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the rows of the models that every benchmark's reference has, along one another.

    Parameters
    ----------
    references : sequence of data frames
        Rows of the table `reference` of one form of each benchmark. Models are the same by
        `subject`, and in a bank by `row`.
    """
    key = "subject" if "subject" in references[0] else "row"
    tables = [reference.set_index(key) for reference in references]
    shared = reduce(lambda index, table: index.intersection(table.index), tables, tables[0].index)
    return [table.loc[shared].reset_index() for table in tables]


def shares(benchmarks: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the weights of the benchmarks' full scores in each target of a joint process."""
    n = len(benchmarks)
    return {**dict(zip(benchmarks, np.eye(n), strict=True)), OVERALL: np.full(n, 1 / n)}


def read_joint_processes(
    terms: pd.DataFrame,
    references: dict[str, pd.DataFrame],
    forms: dict[str, pd.DataFrame],
    pools: dict[str, Pool],
) -> dict[str, Process]:
    """Return the joint process of each target, the mean of all being `overall`.

    Parameters
    ----------
    terms : data frame
        Rows of the table, of this form and reconstruction model.
    references, forms, pools : dict
        By benchmark: rows of the table `reference` of the form, parameters of its items in their
        order, and all calibrated items.
    """
    shared = dict(zip(references, of_shared_models(list(references.values())), strict=True))
    answers = beside([reference_answers(shared[n], forms[n], pools[n]) for n in shared])
    scores = np.stack([table["full_score"] for table in shared.values()])
    weights = shares(list(shared))
    return {
        target: read_process(rows, answers, weights[target] @ scores, list(shared))
        for target, rows in terms.groupby("benchmark", sort=False)
    }


def cross_fitted_rows(process: Process, crossed: CrossFitted, known: dict) -> pd.DataFrame:
    """Return how training models are predicted by those of other folds.

    Parameters
    ----------
    process : Process
    crossed : CrossFitted
    known : dict
        What else the table `reconstructions` asks for, a value or an array.
    """
    half = process.quantiles.at(crossed.distance) * crossed.sd
    rows = pd.DataFrame(
        {"predicted": crossed.predicted, "half_lower": half, "half_upper": half}
    ).pipe(with_ends)
    kept = rows[["predicted", "lower", "upper"]]
    return kept.assign(set="train", full_score=process.full_score, level=process.level, **known)


def described(process: Process, table: pd.DataFrame, crossed: CrossFitted) -> dict:
    """Return what a record says of a process: kernel, accuracy, and both by distance.

    A quarter of the models each, by the share of answers in which the nearest model of another
    fold differs: the last quarter tells what to expect for a model unlike all others.
    """
    order = np.argsort(crossed.distance, kind="stable")
    quarters = [
        {"distance": float(crossed.distance[rows].mean()), **accuracy(table.iloc[rows])}
        for rows in np.array_split(order, 4)
    ]
    kernel = process.kernel
    return {
        "n_train": len(table),
        "variance": kernel.variance, "noise": kernel.noise, "decay": kernel.decay.tolist(),
        "quantiles": process.quantiles.values.tolist(),
        "quantiles_from": process.quantiles.starts.tolist(),
        "mean_is_implied_score": process.mean.is_implied,
        "cross_fitted": accuracy(table), "by_distance": quarters,
    }  # fmt: skip


def reference_answers(reference: pd.DataFrame, form: pd.DataFrame, pool: Pool) -> FormAnswers:
    """Return the answers of the training models in rows of the table `reference`."""
    letters = reference["answers"].to_numpy(f"S{len(form)}")
    codes = letters.view(np.uint8).reshape(len(reference), len(form))
    matrix = np.where(codes == ord(NOT_GIVEN), -1, codes.astype(np.int8) - ord("0"))
    return form_answers(matrix.astype(np.int8), form, pool, reference["theta"].to_numpy())
