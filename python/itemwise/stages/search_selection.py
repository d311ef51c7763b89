"""Search for model, scoring, selector and size by nested cross-validation.

Looks at training subjects only. Every trial is kept in the journal, so that a killed
search goes on where it was and ends with the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import yaml
from tqdm import tqdm

from itemwise.cli.options import add
from itemwise.cli.section import add_section
from itemwise.errors import UserError
from itemwise.responses.inputs import sub_domains
from itemwise.responses.sets import check_enough, read_training
from itemwise.selection.search import (
    Candidate,
    Data,
    Space,
    inner_and_outer,
    inner_error,
    outer_error,
    propose,
)
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record, write_text

SMALLEST_FORM = 5


def add_options(parser) -> None:
    """Declare the options."""
    add(parser, "training")
    parser.add_argument("--items", help="items table, for --balance")
    add(parser, "benchmark")
    add_section(parser, "search", changes={"trials": {"required": True}})
    add_section(parser, "selection", only=["budget", "penalty", "balance"])
    parser.add_argument("--journal", help="file that keeps the trials of a killed search")
    add(parser, "seed", "threads")
    add(parser, "out", help="trials table to write")
    parser.add_argument("--out-settings", help="YAML of the winner, to use as a configfile")
    add(parser, "record")


def run(options) -> None:
    """Search and write."""
    if options.trials < 1:
        raise UserError("--trials: 0 finds nothing; try at least 1 (config key 'search.trials')")
    if options.balance is not None and "information" in options.methods:
        raise UserError(
            "--balance: the information filter knows no sub-domains; leave 'information' out of "
            "config key 'search.methods'"
        )
    if options.balance is not None and options.items is None:
        raise UserError("--balance needs --items, the table that holds the column")
    data = read_data(options)
    space = make_space(options, len(data.responses.items))
    plans = inner_and_outer(data.folds, options.inner_folds, options.outer_folds)
    journal = Journal(options.journal, fingerprint(options))
    outcomes, rows = [], []
    with tqdm(
        total=options.trials * len(plans), unit="trial", desc=options.benchmark, disable=None
    ) as bar:
        for held_out, parts in plans:
            trials = search_fold(options, space, data, parts, journal, int(held_out), bar)
            best, value = min(trials, key=lambda trial: trial[1])
            outcomes.append(
                {
                    "outer_fold": int(held_out),
                    "winner": best.settings(),
                    "objective": value,
                    "inner_rmse": value - space.penalty * best.size,
                    "outer_rmse": outer_error(best, data, parts),
                }
            )
            rows += trial_rows(options.benchmark, int(held_out), trials)
    winner = overall_winner(outcomes)
    if options.out_settings:
        text = yaml.safe_dump({"benchmarks": {options.benchmark: winner}}, sort_keys=False)
        write_text(
            f"# Winner of search-selection, {options.trials} trials.\n{text}", options.out_settings
        )
    if options.record:
        write_record(
            {
                "benchmark": options.benchmark,
                "trials": options.trials,
                "inner_folds": options.inner_folds,
                "outer_folds": options.outer_folds,
                "subjects": len(data.full_score),
                "penalty": space.penalty,
                "seed": options.seed,
                "winner": winner,
                "folds": outcomes,
            },
            options.record,
        )
    write_table(pd.DataFrame(rows), options.out, "trials")
    journal.remove()


def read_data(options) -> Data:
    """Return the training subjects that have a full score."""
    training = read_training(options.training).scored()
    check_enough(
        len(training.full_score), options.training, "a search by nested cross-validation",
        instead="leave config key 'search.trials' at 0, ",
    )  # fmt: skip
    return Data(
        training.responses,
        training.full_score,
        training.fold,
        sub_domains(options.balance, options.items, training.responses.items),
        options.seed,
        options.threads,
    )


def make_space(options, n_items: int) -> Space:
    """Return what to search over."""
    if options.budget > n_items:
        raise UserError(
            f"budget: {options.budget} items of {n_items} in the pool; set config key "
            "'selection.budget' between 1 and the size of the pool"
        )
    smallest = options.budget
    if options.penalty is not None:
        smallest = min(options.budget, max(SMALLEST_FORM, options.budget // 8))
    return Space(
        tuple(options.models),
        tuple(options.scorings),
        tuple(options.methods),
        (smallest, options.budget),
        options.penalty or 0.0,
    )


def search_fold(options, space, data, parts, journal, outer, bar) -> list:
    """Run all trials of one outer fold; return (candidate, objective) in order."""
    trials, past, known = [], [], {}
    for number in range(options.trials):
        candidate, params, distributions = propose(space, past, number, options.seed + outer)
        # The optimiser may propose what it proposed before; its error is known.
        value = journal.get(outer, number, candidate)
        if value is None:
            value = known.get(candidate)
        if value is None:
            value = inner_error(candidate, data, parts) + space.penalty * candidate.size
        journal.add(outer, number, candidate, value)
        known[candidate] = value
        past.append((params, distributions, value))
        trials.append((candidate, value))
        bar.update()
        bar.set_postfix(best=f"{min(known.values()):.3f}")
    return trials


class Journal:
    """Objectives of finished trials on disk: one JSON line each, the first names the search.

    Proposals depend on earlier objectives alone, so the objectives are all that a killed
    search needs to go on. A journal of another search is started anew.
    """

    def __init__(self, path: str | None, search: str):
        self.path = None if path is None else Path(path)
        self.values: dict[tuple, float] = {}
        if self.path is None:
            return
        lines = _whole_lines(self.path)
        if lines[:1] == [{"search": search}]:
            self.values = {tuple(line["trial"]): line["value"] for line in lines[1:]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = [{"search": search}]
        text += [{"trial": key, "value": value} for key, value in self.values.items()]
        write_text("".join(json.dumps(line) + "\n" for line in text), self.path)

    def get(self, outer: int, number: int, candidate: Candidate) -> float | None:
        """Return the objective of a trial that was finished before, if it was."""
        return self.values.get(self._key(outer, number, candidate))

    def add(self, outer: int, number: int, candidate: Candidate, value: float) -> None:
        """Keep the objective of a finished trial."""
        key = self._key(outer, number, candidate)
        if self.path is None or key in self.values:
            return
        self.values[key] = value
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"trial": key, "value": value}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the journal of a finished search."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    @staticmethod
    def _key(outer: int, number: int, candidate: Candidate) -> tuple:
        return outer, number, repr(candidate)


def _whole_lines(path: Path) -> list[dict]:
    """Return the lines of a journal up to the first that a kill has cut off."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                break
    return lines


def fingerprint(options) -> str:
    """Return a hash of what a trial's objective depends on: inputs and settings."""
    written = ("out", "record", "out_settings", "journal", "trials", "threads")
    settings = {k: v for k, v in sorted(vars(options).items()) if k not in written}
    made = hashlib.sha256(json.dumps(settings, default=str).encode())
    for path in filter(None, (options.training, options.items)):
        made.update(Path(path).read_bytes())
    return made.hexdigest()


def trial_rows(benchmark: str, outer: int, trials: list) -> list[dict]:
    """Return rows of the table `trials`: one a trial and searched setting."""
    return [
        {
            "benchmark": benchmark,
            "outer_fold": outer,
            "trial": number,
            "parameter": parameter,
            "setting": str(setting),
            "value": value,
        }
        for number, (candidate, value) in enumerate(trials)
        for parameter, setting in vars(candidate).items()
        if setting is not None
    ]


def overall_winner(outcomes: list[dict]) -> dict:
    """Return the settings that won most outer folds; of equals, the smallest objective."""
    texts = [json.dumps(outcome["winner"]) for outcome in outcomes]
    won = Counter(texts)
    best = max(range(len(outcomes)), key=lambda i: (won[texts[i]], -outcomes[i]["objective"]))
    return outcomes[best]["winner"]
