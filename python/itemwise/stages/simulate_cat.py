"""Simulate adaptive tests on response rows: which rule learns most from the fewest items?

The models of --test are tested; those of --training, where it is given, are before that, to
correct scores and intervals of tests.

Each of --rules is name:key=value,... (criterion, items, estimator, start, theta0, spread, batch,
randomesque, max_exposure, balance, min_length, max_length, se, points, information, cut, z,
nodes, limit). balance names a column of --items whose shares every test keeps.
criterion=fixed asks the short form in its order, criterion=random at random. With --engine
catR the same rules run in R (one subject after the other, the reference).
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from itemwise.adaptive.calibrate import calibrate
from itemwise.adaptive.rules import Rule, parse_rule
from itemwise.adaptive.simulate import ScoreScale, simulate
from itemwise.adaptive.study import study
from itemwise.cli.options import add, whole_number
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM, WHOLE_POOL
from itemwise.irt.cross_calibration import by_fold
from itemwise.r.stage import run_r_stage
from itemwise.readout.tabulated import Readout
from itemwise.responses.inputs import sub_domains
from itemwise.responses.matrix import Responses, check_answered, write_responses
from itemwise.responses.sets import HeldOut, Training, read_test, read_training
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record

ENGINES = ("native", "catR")


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "test", help="test table, or a plain table of responses: the models to test")
    add(parser, "parameters", "benchmark")
    parser.add_argument(
        "--engine", choices=ENGINES, default="native", help="who simulates (default: native)"
    )
    parser.add_argument("--cat-test", help="--engine catR: further arguments of its test list")
    add_section(parser, "cat")
    parser.add_argument("--selection", help="selection table, the order of criterion=fixed")
    parser.add_argument("--selection-record", help="record of select_items: its optimism")
    parser.add_argument("--terms", help="terms table of fit_readout, for scores in points")
    parser.add_argument("--form", default=MAIN_FORM, help=f"form (default: {MAIN_FORM})")
    parser.add_argument(
        "--abilities", help="abilities of --test from the whole pool, for --out-study"
    )
    add(
        parser,
        "training",
        required=False,
        help="training table: simulated tests of its models correct scores (needs --terms)",
    )
    parser.add_argument(
        "--fold-parameters",
        help="fold_parameters table of fit-folds: training models are tested by items that were "
        "calibrated without them",
    )
    parser.add_argument("--items", help="items table, for rules with balance=<column>")
    parser.add_argument(
        "--split-set",
        choices=("test", "validation"),
        default="test",
        help="models of --test to test, by their column `set` (default: test)",
    )
    parser.add_argument(
        "--n-subjects", type=whole_number(1), help="draw so many subjects at random (default: all)"
    )
    add(parser, "seed")
    add(parser, "out", help="cat_traces table to write")
    parser.add_argument("--out-study", help="cat_study table to write")
    parser.add_argument("--out-calibration", help="cat_calibration table to write")


def run(options) -> None:
    """Simulate and write."""
    rules = [parse_rule(text) for text in options.rules]
    if len({rule.name for rule in rules}) < len(rules):
        raise UserError("--rules: two rules have the same name; name each differently")
    parameters = read_table(options.parameters, "parameters")
    test = tested_subjects(options)
    tested = test.responses
    if options.engine == "catR":
        _run_catr(options, tested, rules, parameters)
        return
    calibrating = calibration_subjects(options)
    if options.cat_test:
        raise UserError("--cat-test means nothing to --engine native; leave it out")
    crossed = None
    if options.fold_parameters:
        crossed = read_table(options.fold_parameters, "fold_parameters")
    traces, calibrations = [], []
    for rule in rules:
        bank = ordered(options, parameters, rule)
        scale = score_scale(options, rule)
        if calibrating is not None:
            parts = banks_of(options, calibrating, bank, crossed)
            made = _simulate(options, parts, rule.without_stops(), scale, "calibrating")
            calibration = calibrate(made, calibrating.scores, scale.level, calibrating.folds)
            if rule.items == "form":
                calibration = replace(calibration, factor=calibration.factor * optimism(options))
            calibrations.append(calibration.table(options.benchmark, rule))
            scale = replace(scale, calibration=calibration)
        traces.append(_simulate(options, [(tested, bank)], rule, scale, "testing"))
    table = pd.concat(traces, ignore_index=True)
    if options.out_calibration:
        if not calibrations:
            raise UserError("--out-calibration needs --terms and --training")
        write_table(pd.concat(calibrations), options.out_calibration, "cat_calibration")
    if options.out_study:
        write_table(studied(options, table, test.scores), options.out_study, "cat_study")
    write_table(table, options.out, "cat_traces")


def _run_catr(options, responses: Responses, rules: list[Rule], parameters: pd.DataFrame) -> None:
    """Run the rules in R, on the same subjects and items."""
    if options.out_study or options.out_calibration:
        raise UserError("--engine catR writes traces alone; use --engine native for the study")
    traces = []
    with tempfile.TemporaryDirectory() as scratch:
        for rule in rules:
            files = {n: f"{scratch}/{n}.parquet" for n in ("responses", "parameters", "out")}
            bank = ordered(options, parameters, rule)
            chosen = responses.select_items(bank["item"].tolist(), options.test)
            write_responses(chosen, files["responses"])
            write_table(bank, files["parameters"], "parameters")
            run_r_stage("simulate_cat", argparse.Namespace(**catr_options(options, rule), **files))
            traces.append(read_table(files["out"], "cat_traces"))
    write_table(pd.concat(traces, ignore_index=True), options.out, "cat_traces")


def catr_options(options, rule: Rule) -> dict:
    """Return the options of the R stage for a rule.

    Raises
    ------
    UserError
        catR does not know a setting of the rule.
    """
    for name, value in (("batch", 1), ("max_exposure", 1.0), ("points", None), ("balance", None)):
        if getattr(rule, name) != value:
            raise UserError(f"rule '{rule.name}': catR knows no {name}; use --engine native")
    if rule.criterion in ("fixed", "MPLI"):
        raise UserError(f"rule '{rule.name}': catR knows no criterion={rule.criterion}")
    kept = ("name", "criterion", "estimator", "start", "randomesque", "min_length", "max_length",
            "se", "cut", "z", "information", "nodes", "limit", "theta0", "spread")  # fmt: skip
    settings = {name: getattr(rule, name) for name in kept}
    return {
        **settings, "benchmark": options.benchmark, "seed": options.seed,
        "cat_test": options.cat_test,
    }  # fmt: skip


def banks_of(
    options,
    calibrating: Training,
    bank: pd.DataFrame,
    crossed: pd.DataFrame | None,
) -> list[tuple[Responses, pd.DataFrame]]:
    """Return training models with the bank that tests them: calibrated without their fold."""
    if crossed is None:
        return [(calibrating.responses, bank)]
    chosen = calibrating.responses.select_items(bank["item"].tolist(), options.training)
    return list(by_fold(chosen, calibrating.folds, crossed, options.fold_parameters))


def _simulate(options, parts, rule: Rule, scale: ScoreScale | None, what: str) -> pd.DataFrame:
    """Test the subjects of each part by its bank, with a progress bar."""
    traces = []
    n = sum(len(responses.subjects) for responses, _ in parts)
    with tqdm(total=n, unit="test", desc=f"{rule.name}, {what}", disable=None) as bar:
        for responses, bank in parts:
            domains = balanced_domains(options, rule, bank)
            shorter = replace(rule, max_length=min(rule.max_length, len(bank)))
            traces.append(
                simulate(
                    responses, bank, shorter, options.benchmark, scale, domains, options.seed,
                    bar.update,
                )
            )  # fmt: skip
    return pd.concat(traces, ignore_index=True)


def balanced_domains(options, rule: Rule, bank: pd.DataFrame) -> np.ndarray | None:
    """Return the sub-domains whose shares the rule keeps."""
    if rule.balance is None:
        return None
    if options.items is None:
        raise UserError(f"rule '{rule.name}': balance={rule.balance} needs --items")
    return sub_domains(rule.balance, options.items, bank["item"].to_numpy(object))


def calibration_subjects(options) -> Training | None:
    """Return training subjects to calibrate scores on, None where that is not possible."""
    if not (options.terms and options.training):
        return None
    return drawn(read_training(options.training).scored(), options.calibrate_on, options.seed)


def tested_subjects(options) -> HeldOut:
    """Return the subjects to test."""
    test = read_test(options.test)
    check_answered(test.responses, options.test)
    test = test.of_set(options.split_set)
    if not len(test.full_score):
        raise UserError(
            f"{options.test}: holds no model of set '{options.split_set}'; choose another "
            "--split-set"
        )
    return drawn(test, options.n_subjects, options.seed)


def drawn(subjects, at_most: int | None, seed: int):
    """Return subjects, or some of them drawn at random, in their order."""
    n = len(subjects.full_score)
    if at_most is None or at_most >= n:
        return subjects
    rng = np.random.default_rng(seed)
    return subjects.take(np.sort(rng.choice(n, at_most, replace=False)))


def optimism(options) -> float:
    """Return how optimistic errors on models are that took part in the choice of the form."""
    if options.selection_record is None:
        return 1.0
    return read_record(options.selection_record)["optimism"]


def ordered(options, parameters: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return the bank of a rule: the pool, or the short form in its order."""
    if rule.items == "pool":
        return parameters
    if options.selection is None:
        raise UserError(
            f"rule '{rule.name}': asks items of the short form; give it by --selection, or set "
            "items=pool"
        )
    table = read_table(options.selection, "selection")
    rows = table[(table["form"] == options.form) & (table["benchmark"] == options.benchmark)]
    if rows.empty:
        raise UserError(f"{options.selection}: holds no form '{options.form}'; check --form")
    items = rows.sort_values("rank")["item"]
    return parameters.set_index("item", drop=False).loc[items].reset_index(drop=True)


def score_scale(options, rule: Rule) -> ScoreScale | None:
    """Return the read-out over the rule's nodes, None where there is none."""
    if options.terms is None:
        return None
    terms = read_table(options.terms, "terms")
    rows = terms[(terms["form"] == options.form) & (terms["benchmark"] == options.benchmark)]
    rows = rows[rows["readout"] == "ability"]
    if rows.empty:
        raise UserError(f"{options.terms}: holds no read-out 'ability' of form '{options.form}'")
    readout = Readout(f"{options.benchmark}, form {options.form}, ability", rows)
    return ScoreScale.of(readout, np.linspace(-rule.limit, rule.limit, rule.nodes))


def studied(options, traces: pd.DataFrame, scores: pd.Series) -> pd.DataFrame:
    """Return the study table."""
    if options.terms is None or scores.empty:
        raise UserError("--out-study needs --terms, and a test table with full scores")
    theta = None
    if options.abilities:
        table = read_table(options.abilities, "abilities")
        if "form" in table:
            table = table[table["form"] == WHOLE_POOL]
        theta = table.set_index("subject")["theta"]
    return study(traces, scores, theta)
