"""Follow a training run adaptively: one adaptive evaluation a checkpoint, in their order.

Every checkpoint is loaded in a process of its own, forked once the tasks are built. Each
benchmark's first items are chosen at the ability of the checkpoint before. A checkpoint that
fails is left out and named, the others go on, and the exit status is 1. Options mean what they
mean in adapt-model.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from itemwise.adaptive.checkpoints import measures
from itemwise.adaptive.rules import LIVE_RULE, parse_rule
from itemwise.analyses import checkpoint_lists
from itemwise.bank.folder import read_bank
from itemwise.bank.model_scores import aberrant_responses
from itemwise.cli.model_options import add_benchmarks, language_model, make_suite
from itemwise.cli.options import add
from itemwise.cli.score_table import text_table
from itemwise.cli.section import add_section
from itemwise.cli.terminal import warn
from itemwise.errors import UserError, listed
from itemwise.harness.ledger import check_folder
from itemwise.harness.model import LanguageModel, load_libraries
from itemwise.stages import adapt_model
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record
from itemwise.workflow.forks import Failure, run_forked
from itemwise.workflow.schema import LOADING


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: what is loaded, and what it is called in the tables."""

    lm: str
    revision: str | None
    subject: str
    dtype: str | None


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    add_benchmarks(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--checkpoints",
        help="checkpoints table of list-checkpoints, or CSV, of one run: subjects are called "
        "model@revision, as build-trajectories knows them",
    )
    which.add_argument(
        "--lms", nargs="+", help="checkpoints in order: folders, hub ids, id@revision"
    )
    parser.add_argument("--ledger", required=True, help="folder that keeps answers")
    parser.add_argument(
        "--rule", default=LIVE_RULE, help=f"rule of the tests (default: {LIVE_RULE})"
    )
    parser.add_argument("--tasks", nargs="+", default=[], help="tasks or groups of the harness")
    add_section(parser, "evaluate", only=[*LOADING, "include_path"])
    for name in ("budget", "form"):
        parser.add_argument(f"--{name}", help="as of adapt-model")
    add(parser, "seed")
    add(parser, "out", help="scores table of all checkpoints to write")
    parser.add_argument("--traces", required=True, help="folder for each checkpoint's trace")
    parser.add_argument("--out-measures", help="checkpoint_measures table to write")
    add(parser, "record")


def run(options) -> None:
    """Evaluate one checkpoint after the other."""
    chosen = from_table(options) if options.checkpoints else from_names(options)
    check(options, chosen)
    first = model_options(options, chosen[0], {})
    suite = make_suite(first, None)
    load_libraries(language_model(first))
    done, failed = [], {}
    theta: dict[str, float] = {}
    for one in tqdm(chosen, unit="checkpoint", disable=None):
        each = model_options(options, one, theta)
        task = {one.subject: partial(adapt_model.run, each, suite)}
        ((_, ended),) = run_forked(task, quiet=True)
        if isinstance(ended, Failure):
            failed[one.subject] = ended.message
            print(f"left out {one.subject}: {ended.message}", file=sys.stderr, flush=True)
            continue
        scores = each.out_scores
        table = read_table(scores, "scores")
        known = table.dropna(subset=["theta"])
        theta = dict(zip(known["benchmark"], known["theta"], strict=True))
        done.append(table)
    if options.record:
        subjects = [one.subject for one in chosen]
        write_record({"rule": options.rule, "checkpoints": subjects, "failed": failed},
                     options.record)  # fmt: skip
    if not done:
        raise UserError(f"no checkpoint could be evaluated; the first said: {failed}")
    table = pd.concat(done, ignore_index=True)
    print(text_table(table))
    warn(aberrant_responses(read_bank(options.bank), table))
    if options.out_measures:
        order = [part["subject"].iloc[0] for part in done]
        write_table(measures(table, order), options.out_measures, "checkpoint_measures")
    write_table(table, options.out, "scores")
    if failed:
        raise SystemExit(
            f"itemwise adapt-checkpoints: error: {len(failed)} of {len(chosen)} checkpoints were "
            f"left out ({listed(failed)}), as said above; the scores of the others are in "
            f"{options.out}. Fix them and run the same command: what was answered is kept"
        )


def from_names(options) -> list[Checkpoint]:
    """Return the checkpoints of --lms."""
    made = []
    for text in options.lms:
        name, revision = (text, "") if Path(text).is_dir() else text.partition("@")[::2]
        subject = LanguageModel(name, revision or None).subject
        made.append(Checkpoint(name, revision or None, subject, options.dtype))
    return made


def from_table(options) -> list[Checkpoint]:
    """Return the checkpoints of --checkpoints, in its order."""
    table = checkpoint_lists.join([checkpoint_lists.from_file(options.checkpoints)])
    models = table["model"].unique()
    if len(models) != 1:
        raise UserError(
            f"{options.checkpoints}: column 'model': lists {len(models)} models "
            f"({listed(models)}); give the checkpoints of one run"
        )
    return [
        Checkpoint(
            row.model if pd.isna(row.location) else row.location,
            row.revision if pd.isna(row.location) else None,
            f"{row.model}@{row.revision}",
            options.dtype if pd.isna(row.dtype) else row.dtype,
        )
        for row in table.itertuples()
    ]


def check(options, chosen: list[Checkpoint]) -> None:
    """Refuse, before anything is loaded, what no checkpoint could be evaluated with."""
    parse_rule(options.rule)
    read_bank(options.bank)
    check_folder(options.ledger)
    for one in chosen:
        LanguageModel(one.lm, backend=options.backend).check_folder()


def model_options(options, one: Checkpoint, theta: dict[str, float]) -> Namespace:
    """Return the options of adapt-model for one checkpoint, started at abilities known so far."""
    trace = Path(options.traces) / f"{one.subject.replace('/', '__')}.parquet"
    scores = trace.with_suffix(".scores.parquet")
    words = ["--lm", one.lm, "--subject", one.subject, "--bank", options.bank,
             "--ledger", options.ledger, "--rule", options.rule, "--seed", str(options.seed),
             "--out", str(trace), "--out-scores", str(scores)]  # fmt: skip
    words += ["--revision", one.revision] if one.revision else []
    words += ["--dtype", one.dtype] if one.dtype else []
    if theta:
        words += ["--start-at", *(f"{name}={value:.4f}" for name, value in theta.items())]
    for option in ("include_path", "backend", "device", "batch_size", "budget", "form"):
        value = getattr(options, option)
        words += [] if value is None else ["--" + option.replace("_", "-"), str(value)]
    for option in ("tasks", "lm_args", "benchmarks"):
        values = getattr(options, option)
        words += ["--" + option.replace("_", "-"), *values] if values else []
    for option in ("trust_remote_code", "recompute_prefixes"):
        words += ["--" + option.replace("_", "-")] if getattr(options, option) else []
    parser = ArgumentParser(prog="itemwise adapt-checkpoints", allow_abbrev=False)
    adapt_model.add_options(parser)
    return parser.parse_args(words)
