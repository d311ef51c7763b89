"""Follow a training run adaptively: one adaptive evaluation a checkpoint, in their order.

Every checkpoint is loaded in a process of its own. Each benchmark's first items are chosen
at the ability of the checkpoint before. A checkpoint that fails is left out and named, the
others go on. Options that are not listed here go to adapt-model.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from itemwise.adaptive.checkpoints import measures
from itemwise.adaptive.rules import LIVE_RULE, parse_rule
from itemwise.errors import UserError
from itemwise.files import write_record
from itemwise.stages.options import add
from itemwise.stages.score_model import text_table
from itemwise.tables import read_table, write_table


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "bank")
    parser.add_argument(
        "--lms",
        nargs="+",
        required=True,
        help="checkpoints in order: folders, hub ids, id@revision",
    )
    parser.add_argument("--ledger", required=True, help="folder that keeps answers")
    parser.add_argument("--rule", default=LIVE_RULE, help=f"default: {LIVE_RULE}")
    for name, text in (
        ("tasks", "tasks or groups of the harness"), ("lm-args", "NAME=VALUE of the backend"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", nargs="+", default=[], help=text)
    for name in ("include-path", "backend", "dtype", "device", "batch-size", "budget", "form"):
        parser.add_argument(f"--{name}", help="as of adapt-model")
    add(parser, "seed")
    add(parser, "out", help="scores table of all checkpoints to write")
    parser.add_argument("--traces", required=True, help="folder for each checkpoint's trace")
    parser.add_argument("--out-measures", help="checkpoint_measures table to write")
    add(parser, "record")


def run(options) -> None:
    """Evaluate one checkpoint after the other."""
    parse_rule(options.rule)
    folder = Path(options.traces)
    done, failed = [], {}
    theta: dict[str, float] = {}
    for lm in tqdm(options.lms, unit="checkpoint", disable=None):
        subject = lm if "@" in lm or not Path(lm).is_dir() else "/".join(Path(lm).parts[-2:])
        name = subject.replace("/", "__")
        scores = folder / f"{name}.scores.parquet"
        finished = subprocess.run(
            command(options, lm, subject, theta, folder / f"{name}.parquet", scores),
            capture_output=True, text=True,
        )  # fmt: skip
        if finished.returncode:
            failed[lm] = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"left out {lm}: {failed[lm]}", file=sys.stderr)
            continue
        table = read_table(scores, "scores")
        known = table.dropna(subset=["theta"])
        theta = dict(zip(known["benchmark"], known["theta"], strict=True))
        done.append(table)
    if options.record:
        write_record({"rule": options.rule, "checkpoints": options.lms, "failed": failed},
                     options.record)  # fmt: skip
    if not done:
        raise UserError(f"--lms: no checkpoint could be evaluated; the first said: {failed}")
    table = pd.concat(done, ignore_index=True)
    print(text_table(table))
    if options.out_measures:
        order = [part["subject"].iloc[0] for part in done]
        write_table(measures(table, order), options.out_measures, "checkpoint_measures")
    write_table(table, options.out, "scores")


def command(options, lm: str, subject: str, theta: dict[str, float], trace, scores) -> list[str]:
    """Return the command that evaluates one checkpoint, started at abilities known so far."""
    name, revision = (lm, "") if Path(lm).is_dir() else lm.partition("@")[::2]
    words = [sys.executable, "-m", "itemwise", "adapt-model", "--lm", name, "--subject", subject,
             "--bank", options.bank, "--ledger", options.ledger, "--rule", options.rule,
             "--seed", str(options.seed), "--out", str(trace),
             "--out-scores", str(scores)]  # fmt: skip
    words += ["--revision", revision] if revision else []
    if theta:
        words += ["--start-at", *(f"{name}={value:.4f}" for name, value in theta.items())]
    for option in ("include_path", "backend", "dtype", "device", "batch_size", "budget", "form"):
        value = getattr(options, option)
        words += [] if value is None else ["--" + option.replace("_", "-"), str(value)]
    for option in ("tasks", "lm_args"):
        values = getattr(options, option)
        words += ["--" + option.replace("_", "-"), *values] if values else []
    return words
