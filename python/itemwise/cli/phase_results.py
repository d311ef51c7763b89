"""What came out of a phase of a run, in a few words, from what its jobs wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow.parquet as pq

from itemwise.cli.terminal import counted
from itemwise.forms import MAIN_FORM
from itemwise.readout.process_tables import PROCESS
from itemwise.tables.files import read_record

Jobs = list[list[Path]]
"""Of each job, the files and folders that it wrote, in the order in which its rule names them."""


def describe(rule: str, jobs: Iterable[Iterable[str | Path]]) -> str:
    """Say in a few words what the jobs of a rule gave.

    Parameters
    ----------
    rule : str
        Name of the rule.
    jobs : iterable of iterables of paths
        As of `Jobs`: what this run of Snakemake wrote, not what lies beside it from earlier runs.

    Returns
    -------
    str
        Empty where there is nothing to say but how many jobs there were.
    """
    say = RESULTS.get(rule)
    return say([[Path(path) for path in job] for job in jobs]) if say else ""


def span(values: Iterable[float], form: str = ".1f") -> str:
    """Return the least and the largest value, or the only one."""
    ends = list(dict.fromkeys(format(end(values), form) for end in (min, max)))
    return " to ".join(ends)


def records(jobs: Jobs) -> list[dict]:
    """Read the JSON record of each job."""
    return [read_record(path) for job in jobs for path in job if path.suffix == ".json"]


def rows(jobs: Jobs, output: int = 0) -> list[int]:
    """Return how many rows each job's table has; which output it is, by number."""
    return [pq.read_metadata(job[output]).num_rows for job in jobs]


def sizes(subjects: list[int], items: list[int]) -> str:
    """Say how large matrices are, one benchmark each."""
    one = len(items) == 1
    many = "" if one else f"{counted(len(items), 'benchmark')}: "
    most = "" if one or min(subjects) == max(subjects) else "up to "
    return f"{many}{most}{counted(max(subjects), 'model')}, {counted(sum(items), 'item')}"


def simulated(jobs: Jobs) -> str:
    """Say how large the simulated matrices are."""
    return sizes(rows(jobs, 2), rows(jobs, 1))


def collected(jobs: Jobs) -> str:
    """Say what was collected."""
    (record,) = records(jobs)
    items = record["items"]
    return (
        f"{counted(record['models'], 'model')} collected, {counted(sum(items.values()), 'item')} "
        f"of {counted(len(items), 'benchmark')}"
    )


def trained(jobs: Jobs) -> str:
    """Say how many training runs and checkpoints there are."""
    runs = records(jobs)
    saved = sum(len(run["checkpoints"]) for run in runs)
    return f"{counted(len(runs), 'training run')}, {counted(saved, 'checkpoint')}"


def evaluated(jobs: Jobs) -> str:
    """Say how many models answered how many questions."""
    models = [one for record in records(jobs) for one in record.get("checkpoints", [record])]
    answers = sum(one["documents"] for one in models)
    return f"{counted(len(models), 'model')} evaluated, {counted(answers, 'answer')}"


def built(jobs: Jobs) -> str:
    """Say how large the matrices are."""
    made = records(jobs)
    return sizes([each["n_subjects"] for each in made], [each["n_items"] for each in made])


def split(jobs: Jobs) -> str:
    """Say how many models each set has."""
    (record,) = records(jobs)
    words = {"train": "train", "validation": "validate", "test": "test"}
    sizes = {name: record["sets"].get(name, {}).get("subjects", 0) for name in words}
    kept = [f"{number:,} to {words[name]}" for name, number in sizes.items() if number]
    return f"{counted(sum(sizes.values()), 'model')}: {', '.join(kept)}"


def cut(jobs: Jobs) -> str:
    """Say that training and test models are apart."""
    return "training and test models in files of their own"


def screened(jobs: Jobs) -> str:
    """Say how many items passed."""
    made = records(jobs)
    kept, items = (sum(each[key] for each in made) for key in ("kept", "items"))
    return f"{kept:,} of {counted(items, 'item')} kept"


def preselected(jobs: Jobs) -> str:
    """Say how many items were preselected."""
    made = records(jobs)
    kept, items = (sum(each[key] for each in made) for key in ("n_kept", "n_pool"))
    return f"{kept:,} of {counted(items, 'item')} preselected"


def checked(jobs: Jobs) -> str:
    """Say that the short forms fit into their benchmarks."""
    return "items enough for every short form"


def convergence(fits: list[dict]) -> str:
    """Say how many fits converged."""
    good = sum(fit["converged"] for fit in fits)
    if good == len(fits):
        return "converged" if len(fits) == 1 else "all converged"
    return f"{len(fits) - good} did not converge"


def calibrated(jobs: Jobs) -> str:
    """Say how many benchmarks were calibrated, and whether the fits converged."""
    fits = records(jobs)
    return f"{counted(len(fits), 'benchmark')} calibrated, {convergence(fits)}"


def folds(jobs: Jobs) -> str:
    """Say how many fits there were without a part of the models."""
    fits = [fit for record in records(jobs) for fit in record["folds"]]
    return f"{counted(len(fits), 'fit')} without a part of the models, {convergence(fits)}"


def scored(jobs: Jobs) -> str:
    """Say how many abilities were estimated."""
    return f"{counted(sum(rows(jobs)), 'ability', 'abilities')} estimated"


def engines(jobs: Jobs) -> str:
    """Say how far the abilities of two engines agree."""
    least = min(record["theta_correlation"] for record in records(jobs))
    return f"abilities of both engines correlate by {least:.4f} or more"


def searched(jobs: Jobs) -> str:
    """Say how many settings were tried."""
    trials = sum(record["trials"] * len(record["folds"]) for record in records(jobs))
    return f"{counted(trials, 'trial')} of settings"


def selected(jobs: Jobs) -> str:
    """Say how many items were selected."""
    made = records(jobs)
    items = sum(record["n_selected"] * record["forms"] for record in made)
    forms = sum(record["forms"] for record in made)
    return f"{counted(items, 'item')} in {counted(forms, 'short form')}"


def drawn(jobs: Jobs) -> str:
    """Say how many random forms the short forms are compared with."""
    made = records(jobs)
    draws = span([record["draws"] for record in made], ",")
    return f"{draws} random forms" + (" a benchmark" if len(made) > 1 else "")


def joined(jobs: Jobs) -> str:
    """Say how many benchmarks help each other."""
    (record,) = records(jobs)
    if "left_out" in record:
        return "left out: the benchmarks share too few models"
    return f"{counted(len(record['benchmarks']), 'benchmark')} joined"


def fitted(jobs: Jobs, readout: str = PROCESS) -> str:
    """Say how far predictions are off on training models."""
    errors = [
        record["forms"][MAIN_FORM][readout]["cross_fitted"]["rmse"] for record in records(jobs)
    ]
    return f"error {span(errors)} points on training models"


def smoothed(jobs: Jobs) -> str:
    """Say the same of the smooths."""
    return fitted(jobs, "form")


def assessed(jobs: Jobs) -> str:
    """Say how far predictions are off on test models."""
    (record,) = records(jobs)
    readouts = record["benchmarks"].values()  # the mean of all benchmarks has joint ones alone
    errors = [each[PROCESS]["rmse"] for each in readouts if PROCESS in each]
    return f"error {span(errors)} points on {counted(record['n_subjects'], 'test model')}"


def adapted(jobs: Jobs) -> str:
    """Say how many checkpoints were tested adaptively, and which were not."""
    made = records(jobs)
    tested, failed = (sum(len(each[key]) for each in made) for key in ("checkpoints", "failed"))
    missing = f", {failed} failed" if failed else ""
    return f"{counted(tested, 'checkpoint')} tested{missing}"


def followed(jobs: Jobs) -> str:
    """Say how many training runs were followed."""
    return f"{counted(len(jobs), 'training run')} followed"


def written(jobs: Jobs) -> str:
    """Say how many tasks the harness can ask."""
    return counted(len(list(jobs[0][0].glob("*.yaml"))), "task")


def tested(jobs: Jobs) -> str:
    """Say how many rules of adaptive tests were tried."""
    studies = [pq.read_table(job[1], columns=["rule"])["rule"] for job in jobs]
    return f"{counted(max(len(each.unique()) for each in studies), 'way')} to test adaptively"


def form_scored(jobs: Jobs) -> str:
    """Say how many training runs the short forms scored."""
    return f"{counted(len(jobs), 'training run')} scored by the short forms"


def listed(jobs: Jobs) -> str:
    """Say how many checkpoints there are to measure."""
    return counted(sum(rows(jobs)), "checkpoint")


def profiled(jobs: Jobs) -> str:
    """Say how many checkpoints were measured, and where analyses failed."""
    made = records(jobs)
    gaps = sum(bool(record["failures"]) for record in made)
    return f"{counted(len(made), 'checkpoint')} measured" + (f", {gaps} with gaps" if gaps else "")


def gaps(jobs: Jobs) -> str:
    """Say at how many checkpoints something is missing."""
    (record,) = records(jobs)
    missing = len(record["failures"])
    if not missing:
        return "no gaps"
    return f"gaps at {missing} of {counted(record['checkpoints'], 'checkpoint')}"


def place(jobs: Jobs) -> str:
    """Say where the result is."""
    return str(jobs[0][0])


RESULTS: dict[str, Callable[[Jobs], str]] = {
    "simulate_population": simulated,
    "scrape_leaderboard": collected,
    "write_tiny_tasks": written,
    "train_tiny_models": trained,
    "evaluate_model": evaluated,
    "evaluate_run": evaluated,
    "build_responses": built,
    "split_subjects": split,
    "cut_sets": cut,
    "screen_items": screened,
    "preselect_items": preselected,
    "check_budget": checked,
    "fit_irt": calibrated,
    "fit_irt_mirt": calibrated,
    "fit_folds": folds,
    "score_subjects": scored,
    "compare_engines": engines,
    "search_selection": searched,
    "select_items": selected,
    "score_forms": scored,
    "score_test": scored,
    "fit_process": fitted,
    "fit_joint_process": joined,
    "fit_readout": smoothed,
    "fit_joint_readout": joined,
    "assess_readout": assessed,
    "draw_baseline": drawn,
    "simulate_cat": tested,
    "export_bank": place,
    "score_model": form_scored,
    "adapt_checkpoints": adapted,
    "follow_run": followed,
    "list_checkpoints": listed,
    "profile_checkpoints": profiled,
    "list_gaps": gaps,
    "write_config": place,
    "write_profile": place,
    "write_report": place,
}
"""By rule, what says what came out; other rules have nothing to say."""
