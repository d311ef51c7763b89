"""What a run prints: little, and where the rest is."""

import re

from projects import phases


def test_run_prints_a_line_a_phase_and_where_the_rest_is(finished_run):
    printed = finished_run.printed
    assert re.search(r"^results/tiny: 21 jobs on 2 cores$", printed, re.MULTILINE)
    assert len(phases(printed)) == 21
    assert re.search(r"^screen_items +\d+ of 40 items kept +", printed, re.MULTILINE)
    assert not re.search(r"^\w+ +1 job +", printed, re.MULTILINE)  # every phase has more to tell
    assert re.search(r"^Done: 21 jobs in [\d:]+( s)?\.$", printed, re.MULTILINE)
    assert len(printed.splitlines()) < 30
    first, last = re.findall(r"^Full log: (.*)$", printed, re.MULTILINE)
    assert first == last
    log = (finished_run.folder / first).read_text(encoding="utf-8")
    assert "Shell command: itemwise fit-irt --responses" in log
    assert "reason: Missing output files" in log
    assert "Traceback" not in log


def test_finished_run_has_nothing_to_do_and_says_of_what(finished_run):
    again = finished_run.snakemake()
    assert again.returncode == 0
    up_to_date = "all that was asked for in results/tiny is up to date"
    assert f"Nothing to be done: {up_to_date}\n" in again.stdout


def test_verbose_prints_what_snakemake_prints(finished_run):
    target = "results/tiny/check_budget/budgets.json"
    made = finished_run.snakemake("--verbose", "--forcerun", "check_budget", "--", target)
    assert made.returncode == 0, made.stdout
    assert "Shell command: itemwise check-budget" in made.stdout
    assert not phases(made.stdout)
