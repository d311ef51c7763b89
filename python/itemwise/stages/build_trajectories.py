"""Build trajectories: all measures of checkpoints against training tokens.

Gathers measures of many checkpoints and models (--measures), published accuracies of
tasks (--accuracies) and scores by a bank (--scores), and writes a folder of tables:
trajectories, smoothed curves, measures of them, change points, comparisons of runs,
correlations between analyses, scores of memorized sequences. What is missing is named in
the record. Without tokens the axis is the training step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
import pandas as pd

from itemwise.analyses.suite import load
from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.errors import UserError, listed
from itemwise.tables.contract import open_parquet, read_table
from itemwise.trajectories import sequences, training_logs
from itemwise.trajectories.accuracies import read_accuracies
from itemwise.trajectories.build import (
    change_table,
    comparison_tables,
    correlation_table,
    curve_table,
    default_pairs,
    headline_metrics,
    possible_values,
    summary_table,
    trajectories_of,
)
from itemwise.trajectories.folder import write_folder
from itemwise.trajectories.gather import (
    COLUMNS,
    SERIES,
    gaps,
    place,
    read_failures,
    read_measures,
    score_rows,
)


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--measures", nargs="+", default=[], help="measures: files, folders")
    parser.add_argument("--accuracies", help="published accuracies of tasks with item counts")
    parser.add_argument(
        "--tokens-per-step",
        nargs="+",
        default=[],
        metavar="[MODEL=]TOKENS",
        help="of --accuracies: training tokens of a step, of all models or of one",
    )
    parser.add_argument("--scores", nargs="+", default=[], help="scores tables by a bank")
    parser.add_argument("--checkpoints", nargs="+", default=[], help="checkpoints tables: what is "
                        "missing of them is a gap")  # fmt: skip
    parser.add_argument("--analyses", nargs="+", help="analyses that were to be run")
    parser.add_argument("--models", nargs="+", help="models to keep, in the order of the page")
    parser.add_argument("--suite", help="suite table (default: the package's)")
    parser.add_argument("--compare", nargs="+", metavar="FIRST=SECOND", help="runs to compare "
                        "(default: every two of up to 4 models)")  # fmt: skip
    add_section(parser, "profile", only=["axis_label", "training_logs"])
    add(parser, "seed")
    add(parser, "out", help="folder to write")


def run(options) -> None:
    """Gather, build, write."""
    checkpoints = _concat(read_table(path, "checkpoints") for path in options.checkpoints)
    table = gathered(options, checkpoints)
    models = options.models or list(dict.fromkeys(table["model"]))
    if checkpoints is not None and options.models:
        checkpoints = checkpoints[checkpoints["model"].isin(models)]
    pairs = compared(options.compare, models)
    suite = load(options.suite)
    placed, axis, record = place(table, options.axis_label)
    trajectories = trajectories_of(placed, possible_values(suite))
    comparisons, differences = comparison_tables(trajectories, pairs, axis)
    failures = read_failures(options.measures)
    scores, lost = sequences.read_sequences(options.measures)
    scores = scores[scores["model"].isin(models)]
    main = headline_metrics(table, suite)
    missing = gaps(table, checkpoints, options.analyses, failures, main)
    tables = {
        "trajectories": table,
        "trajectory_curves": curve_table(trajectories, axis),
        "trajectory_measures": summary_table(trajectories, axis, options.seed),
        "change_points": change_table(trajectories),
        "run_comparisons": comparisons,
        "run_differences": differences,
        "analysis_correlations": correlation_table(placed, main, options.seed),
        "training_curves": training_curves(options.training_logs, models, table),
        "sequence_scores": sequences.histogram_table(scores),
        "sequence_correlations": sequences.correlation_table(scores),
    }
    record |= {"about": notes_of(checkpoints), "zero": axis.zero, "models": models,
               "gaps": missing, "seed": options.seed,
               "compared": [list(pair) for pair in pairs], "trajectories": len(trajectories),
               "smoothed": sum(one.curve is not None for one in trajectories)}  # fmt: skip
    write_folder(options.out, tables, record)
    notes = [record["note"], lost_note(lost), gap_note(missing), unplaced_note(record)]
    for note in filter(None, notes):
        print(f"note: {note}", file=sys.stderr)


def training_curves(
    texts: list[str], models: list[str], table: pd.DataFrame
) -> pd.DataFrame | None:
    """Return what the trainings logged, by model; None where no log is given."""
    parts = []
    for text in texts:
        model, _, path = text.rpartition("=")
        if model not in models and (model or len(models) > 1):
            raise UserError(
                f"--training-logs {text}: must be MODEL=FILE of one of the models "
                f"{listed(models, 20)}"
            )
        model = model or models[0]
        log = training_logs.read_log(path)
        parts.append(training_logs.curve_rows(log, model, table[table["model"] == model]))
    return _concat(parts)


def notes_of(checkpoints: pd.DataFrame | None) -> list[str]:
    """Return what the lists of checkpoints say about them."""
    if checkpoints is None or "note" not in checkpoints:
        return []
    return list(dict.fromkeys(checkpoints["note"].dropna()))


def gathered(options, checkpoints: pd.DataFrame | None) -> pd.DataFrame:
    """Return all rows of all sources, of the models that are kept."""
    parts = [read_measures(options.measures)] if options.measures else []
    if options.accuracies:
        source = open_parquet(options.accuracies).to_pandas()
        parts.append(read_accuracies(source, batches(options.tokens_per_step), options.accuracies))
    if options.scores:
        if checkpoints is None:
            raise UserError("--scores: needs --checkpoints, which says where each subject stands")
        scores = _concat(read_table(path, "scores") for path in options.scores)
        parts.append(score_rows(scores, checkpoints))
    table = _concat(parts)
    if table is None:
        raise UserError("give --measures, --accuracies or --scores: there is nothing to build from")
    twice = table.duplicated(["model", "revision", *SERIES[1:]])
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(
            f"{row['model']}@{row['revision']}: '{row['analysis']}' is given by two sources; "
            "leave one of --measures, --accuracies, --scores out"
        )
    if options.models:
        unknown = [model for model in options.models if model not in set(table["model"])]
        if unknown:
            raise UserError(
                f"--models {unknown[0]}: there is nothing of it; there are "
                f"{listed(dict.fromkeys(table['model']), 20)}"
            )
        table = table[table["model"].isin(options.models)].reset_index(drop=True)
    return table[COLUMNS]


def batches(texts: list[str]) -> dict[str, float]:
    """Read tokens of a step, by model; key "" for all others."""
    made = {}
    for text in texts:
        model, _, number = text.rpartition("=")
        try:
            made[model] = float(number)
        except ValueError:
            made[model] = np.nan
        if not made[model] > 0:
            raise UserError(f"--tokens-per-step {text}: must be [MODEL=]TOKENS, such as 2097152")
    return made


def compared(texts: list[str] | None, models: list[str]) -> list[tuple[str, str]]:
    """Return which runs are compared."""
    if texts is None:
        return default_pairs(models)
    pairs = []
    for text in texts:
        first, equals, second = text.partition("=")
        for name in (first, second):
            if not equals or name not in models:
                raise UserError(
                    f"--compare {text}: must be FIRST=SECOND of the models {listed(models, 20)}"
                )
        pairs.append((first, second))
    return pairs


def gap_note(missing: list[dict]) -> str | None:
    """Say how many gaps there are."""
    if not missing:
        return None
    named = [f"{gap['model']}@{gap['revision']}" for gap in missing]
    return f"{len(missing)} checkpoints lack analyses (named in the record): {listed(named, 3)}"


def lost_note(lost: list[str]) -> str | None:
    """Say whose scores of single sequences are not shown."""
    if not lost:
        return None
    return (f"scores of single sequences are not shown of {len(lost)} tables that are not there: "
            f"{listed(lost, 3)}; run the command where profile-checkpoints ran")  # fmt: skip


def unplaced_note(record: dict) -> str | None:
    """Say which checkpoints have no place on the axis."""
    named = [f"{lost['model']}@{lost['revision']}" for lost in record["unplaced"]]
    if not named:
        return None
    return f"left out, for their {record['axis']} is not known: {listed(named)}"


def _concat(parts: Iterable[pd.DataFrame]) -> pd.DataFrame | None:
    """Join tables; None where there are none."""
    parts = list(parts)
    return pd.concat(parts, ignore_index=True) if parts else None
