"""Forked tasks: results by name, failures that say what happened, and no child left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import check_child_dies_with

from itemwise.errors import UserError
from itemwise.workflow.forks import Failure, raise_failures, run_forked


def fail(error: BaseException):
    raise error


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_results_come_by_name_each_from_a_process_of_its_own(workers):
    tasks = {name: lambda name=name: (name.upper(), os.getpid()) for name in "abcd"}
    results = dict(run_forked(tasks, workers))
    made = sorted((name, result) for name, (result, _) in results.items())
    assert made == [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
    assert len({os.getpid(), *(process for _, process in results.values())}) == 5


def test_so_many_run_at_once_and_no_more():
    def task():
        start = time.monotonic()
        time.sleep(0.3)
        return start, time.monotonic()

    times = [made for _, made in run_forked(dict.fromkeys(range(4), task), 2)]
    at_once = [sum(s <= start < e for s, e in times) for start, _ in times]
    assert max(at_once) == 2


def test_failures_say_what_happened_and_the_others_go_on(capfd):
    tasks = {
        "mistake": lambda: fail(UserError("fix it")),
        "exit": lambda: fail(SystemExit("left")),
        "bug": lambda: fail(ValueError("odd")),
        "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "result": lambda: lambda: None,  # does not travel
        "good": lambda: b"x" * 1_000_000,  # more than a pipe holds
    }
    found = dict(run_forked(tasks, 3))
    assert found["mistake"] == Failure("fix it", mistake=True)
    assert found["exit"] == Failure("left")
    assert found["bug"] == Failure("ValueError: odd")
    assert "perhaps for want of memory" in found["killed"].message
    assert isinstance(found["result"], Failure)
    assert len(found["good"]) == 1_000_000
    assert "Traceback" in capfd.readouterr().err  # of the bug


def test_what_was_wrong_is_raised_by_name():
    raise_failures({}, "x", "run")
    with pytest.raises(UserError, match="run 'a': fix it"):
        raise_failures({"a": Failure("fix it", mistake=True)}, "x", "run")
    with pytest.raises(SystemExit, match="itemwise x: error: run 'a': ValueError"):
        raise_failures({"a": Failure("ValueError: odd")}, "x", "run")


def test_quiet_tasks_print_nothing_and_no_line_is_printed_twice():
    code = """
import os, sys
from itemwise.workflow.forks import run_forked
print("before")
def loud(): print("task"); os.write(2, b"raw"); sys.stderr.write("error")
list(run_forked({"a": loud, "b": loud}, 2))
list(run_forked({"c": loud}, quiet=True))
print("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["before", "task", "task", "after"]
    assert done.stderr.count("raw") == done.stderr.count("error") == 2


def test_children_end_with_a_parent_that_is_killed():
    code = """
import time
from itemwise.workflow.forks import run_forked
def task(): print("on", flush=True); time.sleep(60)
list(run_forked({"a": task}))
"""
    check_child_dies_with(code)


def test_leaving_early_ends_the_others():
    started = time.monotonic()
    for name, _ in run_forked({"short": lambda: None, "long": lambda: time.sleep(60)}, 2):
        assert name == "short"
        break
    assert time.monotonic() - started < 30
