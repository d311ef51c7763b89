"""Fit the Gaussian process that rebuilds full scores from the answers to each form.

Random forms of a size share the kernel of the first of them: they differ by chance alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.forms import RANDOM
from itemwise.readout.accuracy import accuracy
from itemwise.readout.implied import Pool, form_answers
from itemwise.readout.interval import with_ends
from itemwise.readout.process import CrossFitted, Process, fit_process, implied_mean
from itemwise.readout.process_tables import PROCESS, process_terms, reference_rows
from itemwise.responses.sets import Training, check_enough, read_training
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record, write_record


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training", "parameters", "benchmark")
    parser.add_argument("--abilities", required=True, help="abilities table by form, of the models "
                        "in --training, each by items that others calibrated")  # fmt: skip
    parser.add_argument("--selection", required=True, help="selection table")
    parser.add_argument("--selection-record", help="record of select_items")
    parser.add_argument("--items", help="items table, after screening: how often the items that "
                        "are not calibrated are answered right")  # fmt: skip
    add_section(parser, "readout", only=["level"])
    add(parser, "seed", "out", "record")
    parser.add_argument("--out-terms", required=True, help="terms table to write")
    parser.add_argument("--out-reference", required=True, help="reference table to write")


def run(options) -> None:
    """Fit every form, and write."""
    training = read_training(options.training).scored()
    parameters = read_table(options.parameters, "parameters").set_index("item", drop=False)
    abilities = dict(iter(read_table(options.abilities, "abilities").groupby("form")))
    selection = read_table(options.selection, "selection")
    selection = selection[selection["benchmark"] == options.benchmark]
    pool, implied = Pool.of(parameters), implied_mean(others(options, parameters), len(parameters))
    optimism = 1.0
    if options.selection_record:
        optimism = read_record(options.selection_record)["optimism"]
    terms, reference, tables, records, drawn = [], [], [], {}, {}
    forms = selection.sort_values("rank").groupby("form", sort=False)["item"]
    for form, items in tqdm(forms, unit=" forms", disable=None):
        models, known = with_ability(training, abilities[form])
        check_number(len(known), form, options)
        asked = models.responses.select_items(items.tolist(), options.training)
        theta = known["theta"].to_numpy()
        answers = form_answers(asked.matrix, parameters.loc[items], pool, theta,
                               known["se"].to_numpy())  # fmt: skip
        random = form.startswith(RANDOM)
        process, crossed = fit_process(
            answers, models.full_score, models.fold, options.level, 1.0 if random else optimism,
            implied, drawn.get(len(items)) if random else None, options.seed,
        )  # fmt: skip
        if random:
            drawn[len(items)] = process
        else:
            table = reconstructions(process, crossed, models, options.benchmark, form, len(items))
            tables.append(table)
            records[form] = described(process, table, crossed)
        terms.append(process_terms(process, options.benchmark, form))
        reference.append(
            reference_rows(asked.matrix, theta, models.full_score, options.benchmark, form)
        )
    write_table(pd.concat(terms, ignore_index=True), options.out_terms, "terms")
    write_table(pd.concat(reference, ignore_index=True), options.out_reference, "reference")
    if options.record:
        write_record(
            {"benchmark": options.benchmark, "level": options.level, "seed": options.seed,
             "optimism": optimism, "forms": records},
            options.record,
        )  # fmt: skip
    write_table(pd.concat(tables, ignore_index=True), options.out, "reconstructions")


def with_ability(training: Training, abilities: pd.DataFrame) -> tuple[Training, pd.DataFrame]:
    """Return the training models that have an ability, and these along them."""
    known = abilities.dropna(subset=["theta", "se"])
    place = pd.Index(training.responses.subjects).get_indexer(known["subject"])
    return training.take(place[place >= 0]), known[place >= 0]


def others(options, parameters: pd.DataFrame) -> np.ndarray:
    """Return the shares right of the items that the pool lacks, among training models."""
    if options.items is None:
        return np.empty(0)
    items = read_table(options.items, "items")
    return items.loc[~items["item"].isin(parameters["item"]), "mean"].dropna().to_numpy(float)


def check_number(n: int, form: str, options) -> None:
    """Refuse too few models to relate scores to answers."""
    have = f"a full score and an ability by form '{form}'"
    check_enough(n, options.training, "a read-out", have)


def reconstructions(
    process: Process,
    crossed: CrossFitted,
    models: Training,
    benchmark: str,
    form: str,
    n_items: int,
) -> pd.DataFrame:
    """Return how training models are predicted by those of other folds."""
    half = process.quantile * crossed.sd
    rows = pd.DataFrame(
        {"predicted": crossed.predicted, "half_lower": half, "half_upper": half}
    ).pipe(with_ends)
    return pd.DataFrame(
        {"subject": models.responses.subjects, "benchmark": benchmark, "set": "train",
         "readout": PROCESS, "form": form, "n_items": n_items, "full_score": models.full_score,
         "predicted": rows["predicted"], "lower": rows["lower"], "upper": rows["upper"],
         "level": process.level}
    )  # fmt: skip


def described(process: Process, table: pd.DataFrame, crossed: CrossFitted) -> dict:
    """Return what the record says of a form: kernel, accuracy, and both by distance.

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
        PROCESS: {
            "n_train": len(table),
            "variance": kernel.variance, "noise": kernel.noise, "decay": kernel.decay.tolist(),
            "quantile": process.quantile, "mean_is_implied_score": process.mean.is_implied,
            "cross_fitted": accuracy(table), "by_distance": quarters,
        }
    }  # fmt: skip
