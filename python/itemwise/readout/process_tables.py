"""A Gaussian process as tables of the contract, and back.

Kernel and mean are rows of the table `terms`; the training models that it predicts from, without
their names, are the table `reference`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from itemwise.readout.implied import FormAnswers, Pool, form_answers
from itemwise.readout.kriging import Kernel
from itemwise.readout.process import Mean, Process

PROCESS = "process"
"""Name of the reconstruction model."""
NOT_GIVEN = "."
"""An answer that was not given, in the column `answers`."""


def process_terms(process: Process, benchmark: str, form: str) -> pd.DataFrame:
    """Return the rows of the table `terms` that hold a process of one benchmark."""
    (nodes,), (values,) = process.mean.nodes, process.mean.values
    kernel = process.kernel
    head = [
        ("intercept", "", "", 1, np.nan, process.mean.intercept),
        ("kernel", "kernel", "variance", 1, np.nan, kernel.variance),
        ("kernel", "kernel", "noise", 2, np.nan, kernel.noise),
        ("kernel", "kernel", "decay", 3, np.nan, kernel.decay[0]),
        # A table holds no infinity.
        ("quantile", "", "", 1, process.level, min(process.quantile, 1e12)),
    ]
    smooth = [
        ("smooth", "s(implied)", "implied", number, node, value)
        for number, (node, value) in enumerate(zip(nodes, values, strict=True), start=1)
    ]
    table = pd.DataFrame(head + smooth, columns=["kind", "term", "variable", "node", "x", "value"])
    return table.assign(
        benchmark=benchmark, form=form, readout=PROCESS, variable2="", x2=np.nan
    )  # fmt: skip


def reference_rows(
    matrix: np.ndarray, theta: np.ndarray, full_score: np.ndarray, benchmark: str, form: str
) -> pd.DataFrame:
    """Return training models as rows of the table `reference`.

    Parameters
    ----------
    matrix : array of int8, shape (n, n_items)
        Answers to the form in its order, -1 where not given.
    theta, full_score : array, shape (n,)
    """
    letters = np.where(matrix >= 0, matrix + ord("0"), ord(NOT_GIVEN)).astype(np.uint8)
    answers = np.ascontiguousarray(letters).view(f"S{matrix.shape[1]}")[:, 0].astype(str)
    return pd.DataFrame(
        {"benchmark": benchmark, "form": form, "row": np.arange(1, len(theta) + 1),
         "answers": answers, "theta": theta, "full_score": full_score}
    )  # fmt: skip


def read_process(
    terms: pd.DataFrame, reference: pd.DataFrame, form: pd.DataFrame, pool: Pool
) -> Process:
    """Return the process of one benchmark and form.

    Parameters
    ----------
    terms, reference : data frame
        Rows of the tables, of this benchmark, form and reconstruction model.
    form : data frame
        Table `parameters` of the form's items, in their order.
    pool : Pool
        Of all calibrated items.
    """
    kinds = dict(iter(terms.groupby("kind", sort=False)))
    kernel = kinds["kernel"].set_index("variable")["value"]
    smooth = kinds["smooth"].sort_values("node")
    quantile = kinds["quantile"].iloc[0]
    return Process(
        Kernel(kernel["variance"], np.array([kernel["decay"]]), kernel["noise"]),
        Mean(kinds["intercept"]["value"].iloc[0],
             smooth["x"].to_numpy()[None], smooth["value"].to_numpy()[None]),
        reference_answers(reference, form, pool),
        reference["full_score"].to_numpy(),
        quantile["value"],
        quantile["x"],
    )  # fmt: skip


def reference_answers(reference: pd.DataFrame, form: pd.DataFrame, pool: Pool) -> FormAnswers:
    """Return the answers of the training models in rows of the table `reference`."""
    letters = reference["answers"].to_numpy(f"S{len(form)}")
    codes = letters.view(np.uint8).reshape(len(reference), len(form))
    matrix = np.where(codes == ord(NOT_GIVEN), -1, codes.astype(np.int8) - ord("0"))
    return form_answers(matrix.astype(np.int8), form, pool, reference["theta"].to_numpy())
