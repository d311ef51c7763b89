"""The command line: `itemwise <stage> [options]`, one command a stage.

Exit status: 0 done, 2 the user's mistake, 1 anything else.
"""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module
from importlib.metadata import version

from itemwise.errors import UserError

STAGES = {
    "simulate-population": "simulate a leaderboard-like population with known truth",
    "evaluate-model": "evaluate a model item by item through lm-evaluation-harness",
    "list-documents": "list the documents of harness tasks with their prompts",
    "adapt-model": "evaluate a model adaptively, asking only what still tells",
    "adapt-checkpoints": "follow a training run adaptively, checkpoint by checkpoint",
    "import-samples": "read sample logs of lm-evaluation-harness",
    "build-responses": "join item-wise results to one response matrix a benchmark",
    "thin-items": "thin the screened items before calibration, by random subsets",
    "fit-irt": "calibrate items with item response theory",
    "score-subjects": "estimate abilities with fixed item parameters",
    "select-items": "choose the items that carry the information",
    "search-selection": "search for the best model, scoring, selector and size",
    "assess-readout": "predict the test subjects, once: what is all that was chosen worth",
    "draw-baseline": "rebuild full scores from thousands of random forms, the baseline",
    "export-bank": "write the portable bank: items, parameters, forms, read-outs",
    "score-model": "score a model by a bank: ability, full scores, intervals",
    "compare-models": "compare two models on the items that both answered",
    "plan-comparison": "say how many items a comparison of two models needs",
    "simulate-cat": "simulate adaptive tests on response rows",
    "recover-parameters": "simulate, fit and compare with the truth, over designs",
    "compare-engines": "compare the native calibration with the reference engine's",
    "write-report": "write one self-contained HTML report of a run",
    "convert-table": "convert a table between parquet and CSV",
    "describe-tables": "write the data contract as Markdown",
    "describe-config": "write every configuration key as Markdown",
    "unlock-run": "remove the lock of a Snakemake process that was killed",
}
"""Commands and what each does; the module of `verb-noun` is `stages/verb_noun.py`."""


def main(argv: list[str] | None = None) -> int:
    """Run one stage and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(version("itemwise"))
        return 0
    stage = argv[0]
    if stage not in STAGES:
        print(f"itemwise: error: no stage '{stage}'\n\n{_overview()}", file=sys.stderr)
        return 2
    module = import_module(f"itemwise.stages.{stage.replace('-', '_')}")
    parser = argparse.ArgumentParser(
        prog=f"itemwise {stage}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_options(parser)
    options = parser.parse_args(argv[1:])
    logging.basicConfig(format=f"itemwise {stage}: notice: %(message)s", level=logging.WARNING)
    try:
        module.run(options)
    except UserError as error:
        print(f"itemwise {stage}: error: {error}", file=sys.stderr)
        return 2
    return 0


def _overview() -> str:
    """List the stages."""
    width = max(map(len, STAGES))
    lines = [f"  {stage:<{width}}  {does}" for stage, does in STAGES.items()]
    return "\n".join(
        ["usage: itemwise <stage> [options]", "", "stages:", *lines]
        + ["", "`itemwise <stage> --help` lists a stage's options."]
    )
