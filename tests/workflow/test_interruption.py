"""A run that is stopped or killed is finished by the same command, with the same result."""

import os
import signal
import sys

import pytest
from projects import phases

pytestmark = pytest.mark.slow

UNLOCK = [sys.executable, "-m", "itemwise", "unlock-run"]
REPORT = "results/tiny/report.html"


def assert_same_tables(project, undisturbed):
    """Assert that both runs hold the same tables, to the last bit."""
    found, expected = project.tables(), undisturbed.tables()
    assert found.keys() == expected.keys()
    for path, table in expected.items():
        assert found[path].equals(table), path


def resumed(project) -> set[str]:
    """Finish a run by the same command and return the rules that were still to do."""
    again = project.snakemake()
    assert again.returncode == 0, again.stdout
    return set(phases(again.stdout))


def test_stopped_run_is_not_unlocked_but_finished(new_project, finished_run, stop):
    project = new_project()
    process = project.start()
    os.killpg(process.pid, signal.SIGSTOP)  # the first run is still at work, however slow we are
    second = project.snakemake()
    refused = project.run(UNLOCK)
    os.killpg(process.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert "cannot be locked" in second.stdout
    assert refused.returncode == 2, refused.stdout
    assert f"Snakemake process {process.pid} is still at work here; stop it" in refused.stdout
    assert stop(process, signal.SIGTERM) != 0
    assert not (project.folder / REPORT).exists()
    assert {"build_responses", "split_subjects"}.isdisjoint(resumed(project))
    assert_same_tables(project, finished_run)


def test_killed_run_is_unlocked_and_finished(new_project, finished_run, stop):
    project = new_project()
    process = project.start()
    assert stop(process, signal.SIGKILL) == -signal.SIGKILL
    assert not (project.folder / REPORT).exists()
    refused = project.snakemake()
    assert refused.returncode != 0
    assert "cannot be locked" in refused.stdout
    unlocked = project.run(UNLOCK)
    assert unlocked.returncode == 0, unlocked.stdout
    assert {"build_responses", "split_subjects"}.isdisjoint(resumed(project))
    assert_same_tables(project, finished_run)


def test_folder_without_lock_is_left_alone(finished_run):
    done = finished_run.run(UNLOCK)
    assert done.returncode == 0
    assert done.stdout.endswith(": not locked\n")
