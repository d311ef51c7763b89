"""The command line: `itemwise <command> [options]`.

Exit status: 0 done, 2 the user's mistake, 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from importlib import import_module
from importlib.metadata import version

from itemwise.cli.examples import EXAMPLES
from itemwise.cli.terminal import styled
from itemwise.errors import UserError, suggestion
from itemwise.tables.files import refusal
from itemwise.workflow.child_process import die_with_parent

PHASES = {
    "collect item-wise results": {
        "scrape-leaderboard": "collect item-wise results from the hub's leaderboards",
        "evaluate-model": "evaluate a model item by item through lm-evaluation-harness",
        "evaluate-run": "evaluate the checkpoints of training runs, in one process a run",
        "import-samples": "read sample logs of lm-evaluation-harness",
        "list-documents": "list the documents of harness tasks with their prompts",
        "simulate-population": "simulate a leaderboard-like population with known truth",
        "build-responses": "join item-wise results to one response matrix a benchmark",
    },
    "calibrate the items": {
        "R/split_subjects.R": "choose who calibrates, and who judges the result at the end",
        "cut-sets": "cut responses in two: training models, and those that judge in the end",
        "R/screen_items.R": "leave out the items that tell nothing",
        "check-budget": "check that there are items enough for the short forms",
        "preselect-items": "choose the items to calibrate, by random subsets",
        "fit-irt": "calibrate items with item response theory",
        "fit-folds": "calibrate the items without each fold of the training models",
        "score-subjects": "estimate abilities with fixed item parameters",
        "R/fit_irt.R": "calibrate with mirt, the reference engine",
        "R/check_fit.R": "check how well the model fits items, models and pairs of items",
        "compare-engines": "compare the native calibration with the reference engine's",
        "recover-parameters": "simulate, fit and compare with the truth, over designs",
    },
    "distil them to a short form": {
        "search-selection": "search for the best model, scoring, selector and size",
        "select-items": "choose the items that carry the information",
        "fit-process": "learn to rebuild full scores from the answers, by a Gaussian process",
        "fit-joint-process": "the same with the forms of all benchmarks together",
        "R/fit_readout.R": "learn to read full scores out of the form, by smooth regression",
        "R/fit_joint_readout.R": "the same with the forms of all benchmarks together",
        "assess-readout": "predict the test subjects, once: what is all that was chosen worth",
        "draw-baseline": "rebuild full scores from thousands of random forms, the baseline",
        "simulate-cat": "simulate adaptive tests on response rows",
        "R/simulate_cat.R": "the same with catR, the reference engine",
        "R/analyze_factors.R": "analyse what the benchmarks have in common",
        "export-bank": "write the portable bank: items, parameters, forms, how to score",
    },
    "measure a model": {
        "score-model": "score a model by a bank: ability, full scores, intervals",
        "adapt-model": "evaluate a model adaptively, asking only informative items",
        "compare-models": "compare two models on the items that both answered",
        "plan-comparison": "say how many items a comparison of two models needs",
    },
    "follow a training run": {
        "list-checkpoints": "list the checkpoints of training runs, or a subset of them",
        "adapt-checkpoints": "follow a training run adaptively, checkpoint by checkpoint",
        "profile-checkpoints": "measure checkpoints by the analyses of the 360 suite",
        "list-gaps": "list what failed at which checkpoint",
        "follow-run": "set full suite, short form and adaptive test of a run side by side",
        "build-trajectories": "gather all measures of checkpoints against training tokens",
    },
    "report": {
        "summarize-run": "say what came out of a run, and what it took",
        "write-profile": "write the 360 page of training runs",
        "write-report": "write one self-contained HTML report of a run",
    },
    "demo": {
        "write-tiny-tasks": "write the demo's tasks of a made-up world",
        "train-tiny-models": "train tiny language models of that world, with checkpoints",
        "mix-checkpoints": "mix a real model with noise, in place of checkpoints of its training",
    },
    "tools": {
        "init": "start a project: a folder with Snakefile, configuration and profile",
        "doctor": "say what is installed, what it is for, and how to get what is missing",
        "convert-table": "convert a table between parquet and CSV",
        "describe-tables": "write the data contract as Markdown",
        "describe-config": "write every configuration key as Markdown",
        "unlock-run": "remove the lock of a Snakemake process that was killed",
    },
}
"""Commands and what each does, by phase, in the order in which one meets them.

The module of `verb-noun` is `stages/verb_noun.py`; its examples are in `examples.py`. Stages in
R, which `itemwise` does not run, stand among them at their place in the workflow.
"""

STAGES = {
    name: does
    for stages in PHASES.values()
    for name, does in stages.items()
    if not name.endswith(".R")
}
"""Every command and what it does."""

STORY = """\
Distil a benchmark to the items that matter, and measure models with them. The workflow runs
these stages in their order (`snakemake --cores 2 --configfile my.yaml`); each also runs by
hand, those in R from the clone: `Rscript R/fit_readout.R --help`. `itemwise init` starts a
project of your own."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in ("-h", "--help"):
        print(overview())
        return 0
    if argv and argv[0] == "--version":
        print(version("itemwise"))
        return 0
    if not argv or argv[0] not in STAGES:
        print(f"itemwise: error: {_unknown(argv)}", file=sys.stderr)
        return 2
    stage = argv[0]
    module = import_module(f"itemwise.stages.{stage.replace('-', '_')}")
    options = command_parser(stage, module).parse_args(argv[1:])
    logging.basicConfig(format=f"itemwise {stage}: notice: %(message)s", level=logging.WARNING)
    die_with_parent()
    try:
        return module.run(options) or 0
    except UserError as error:
        _complain(f"itemwise {stage}: error: {error}")
        return 2
    except KeyboardInterrupt:
        print(f"itemwise {stage}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `itemwise ... | head`
        _drop(sys.stdout)
        return 1
    except OSError as error:
        # A file that cannot be opened for want of rights may be one to read.
        refused = None if error.errno == errno.EACCES else refusal(error)
        if refused is None:
            raise
        _complain(f"itemwise {stage}: error: {error.filename or 'a file'}: {refused}")
        return 2


def _complain(message: str) -> None:
    """Print an error; on a full disk the log may take no more, but the status still says so."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)  # else Python tries again when it ends, and changes the status


def _drop(stream) -> None:
    """Send what is left of a stream nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def command_parser(stage: str, module) -> argparse.ArgumentParser:
    """Return the parser of a command, whose help ends with examples."""
    parser = argparse.ArgumentParser(
        prog=f"itemwise {stage}",
        description=module.__doc__,
        epilog=f"examples:\n{_indented(EXAMPLES[stage])}" if stage in EXAMPLES else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_options(parser)
    return parser


def overview() -> str:
    """Tell the story: every stage in its phase."""
    width = max(len(name) for stages in PHASES.values() for name in stages)
    lines = ["usage: itemwise <command> [options]", "", STORY]
    for phase, stages in PHASES.items():
        lines += ["", styled(phase, "bold")]
        lines += [f"  {name:<{width}}  {does}" for name, does in stages.items()]
    return "\n".join(
        [*lines, "", "`itemwise <command> --help` shows a command's options and examples;"]
        + ["`itemwise --version` the version. Is anything missing? `itemwise doctor`."]
    )


def _unknown(argv: list[str]) -> str:
    """Say what is wrong with the first word, and what may have been meant."""
    if not argv:
        return "no command given; `itemwise --help` lists them"
    hint = suggestion(argv[0].replace("_", "-"), STAGES)
    return f"no command '{argv[0]}'; {hint}`itemwise --help` lists all"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.strip().splitlines())
