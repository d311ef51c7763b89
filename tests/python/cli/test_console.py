"""What a run shows: records of Snakemake go in, lines for people come out."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re

import pytest
from snakemake.logging import logger as snakemake_logger
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from itemwise.cli.phase_results import RESULTS, describe
from snakemake_logger_plugin_itemwise import LogHandler
from snakemake_logger_plugin_itemwise.screen import tail


def new_handler(screen, **settings):
    """Return a handler that prints to a text, as Snakemake makes it."""
    given = {"show_failed_logs": True, "nocolor": True, **settings}
    with contextlib.redirect_stderr(screen):
        return LogHandler(OutputSettings(**given), None)


class Run:
    """A run of Snakemake: makes its records, one a second, and hands them to a handler."""

    def __init__(self, screen=None, **settings):
        self.screen = screen or io.StringIO()
        self.handler = new_handler(self.screen, **settings)
        self.time = 1000.0
        self.planned = False
        self.say("Assuming unrestricted shared filesystem usage.")
        self.say("", itemwise_results="results/mine")
        self.say("Workflow has started!", event=LogEvent.WORKFLOW_STARTED)
        self.say("Building DAG of jobs...")

    def say(self, text, level=logging.INFO, **extra):
        """Hand over a record, as the queue before the handler changes it."""
        record = logging.makeLogRecord(
            {"msg": str(text), "levelno": level, "levelname": logging.getLevelName(level), **extra}
        )
        record.created = self.time
        self.time += 1
        self.handler.handle(record)

    def plan(self, cores=2, **jobs):
        """Say what will run."""
        self.say(f"Provided cores: {cores}", event=LogEvent.RESOURCES_INFO, cores=cores)
        self.planned = True
        stats = {**jobs, "all": 1, "total": sum(jobs.values()) + 1}
        self.say("Job stats: ...", event=LogEvent.RUN_INFO, stats=stats)

    def start(self, jobid, rule, output=(), **wildcards):
        """Say that a job starts."""
        self.say("Execute 1 jobs...", event=LogEvent.JOB_STARTED, jobs=[jobid])
        info = {"rule_msg": None, "reason": "", "input": [], "log": [], "shellcmd": "do it"}
        self.say(
            "Rule", event=LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, output=list(output),
            wildcards=wildcards, **info,
        )  # fmt: skip
        self.say("Shell command: do it", event=LogEvent.SHELLCMD, shellcmd="do it")

    def finish(self, jobid):
        """Say that a job is done."""
        self.say("Finished jobid", event=LogEvent.JOB_FINISHED, job_id=jobid)
        self.say(None, event=LogEvent.PROGRESS, done=1, total=2)

    def fail(self, jobid, rule, log):
        """Say that a job failed, as the thread says it in which it ran."""
        self.say("RuleException:\nCalledProcessError in file x:\nCommand 'y' returned non-zero "
                 "exit status 2.", logging.ERROR, event=LogEvent.ERROR)  # fmt: skip
        self.say(
            "Error in rule", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=jobid, rule_name=rule,
            log=[str(log)], shellcmd="itemwise fit-irt --out x > x.log 2>&1", indent=False,
        )  # fmt: skip

    def end(self):
        """Say that the run is over, and return the lines that were printed."""
        if self.planned:
            self.say("Complete log(s): /somewhere")
        self.handler.close()
        self.handler.close()  # Python closes what is open when it ends
        return self.screen.getvalue().splitlines()


@pytest.fixture
def run():
    """Return a run that has begun."""
    return Run()


@pytest.fixture
def log_file(tmp_path, monkeypatch):
    """Return the log file of Snakemake."""
    path = tmp_path / "snakemake.log"
    handler = logging.FileHandler(path)
    monkeypatch.setattr(snakemake_logger, "handlers", [handler])
    monkeypatch.chdir(tmp_path)
    yield path
    handler.close()


def write_json(path, record):
    """Write a record and return its path as Snakemake names it."""
    path.write_text(json.dumps(record))
    return str(path)


def test_snakemake_finds_the_logger():
    assert LoggerPluginRegistry().get_plugin("itemwise").log_handler is LogHandler


def test_phase_is_a_line_when_its_last_job_is_done(run, tmp_path, log_file):
    good = [write_json(tmp_path / f"{b}.json", {"converged": True}) for b in ("arc", "hella")]
    run.plan(fit_irt=2)
    run.start(1, "fit_irt", [good[0]], benchmark="arc")
    run.start(2, "fit_irt", [good[1]], benchmark="hella")
    started = run.time
    run.finish(2)
    assert "calibrated" not in run.screen.getvalue()
    run.time = started + 98
    run.finish(1)
    lines = run.end()
    assert lines[3] == "fit_irt  2 benchmarks calibrated, all converged".ljust(72) + "    1:43"
    assert lines[4:] == ["", "Done: 2 jobs in 1:50.", "Full log: snakemake.log"]


def test_first_lines_say_what_runs_and_where_the_log_is(run, log_file):
    run.plan(fit_irt=2, write_report=1)
    lines = run.screen.getvalue().splitlines()
    assert lines == ["results/mine: 3 jobs on 2 cores", "Full log: snakemake.log", ""]


def test_rule_without_results_to_tell_shows_its_jobs(run):
    run.plan(dance=1)
    run.start(1, "dance")
    run.finish(1)
    assert any(re.fullmatch(r"dance  1 job +2 s", line) for line in run.end())


def test_results_that_cannot_be_read_leave_the_number_of_jobs(run, log_file):
    run.plan(fit_irt=1)
    run.start(1, "fit_irt", ["missing.json"])
    run.finish(1)
    assert any(re.fullmatch(r"fit_irt  1 job +2 s", line) for line in run.end())
    assert "missing.json: no such file" in log_file.read_text()


def test_failed_job_shows_the_end_of_its_log_once_and_its_command(run, tmp_path):
    log = tmp_path / "arc.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)) + "10 %\r20 %\rerror: no items\n")
    run.plan(fit_irt=1, write_report=1)
    run.start(1, "fit_irt", benchmark="arc")
    run.fail(1, "fit_irt", log)
    run.say("Exiting because a job execution failed. Look above", logging.ERROR)
    run.say("", logging.WARNING)  # what our hook says where there is space left
    run.say("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR,
            event=LogEvent.ERROR)  # fmt: skip
    lines = run.end()
    begin = lines.index("error: fit_irt (benchmark arc) failed")
    assert lines[begin + 1] == "    line 86"
    assert lines[begin + 15 :] == [
        "    error: no items",
        f"  its log: {log}",
        "  its command: itemwise fit-irt --out x > x.log 2>&1",
        "",
        "Not finished: 1 job failed, 0 of 2 done, in 12 s.",
        "Fix the cause; then the same command goes on from there.",
    ]


def test_job_that_is_tried_again_and_succeeds_is_no_failure(run, tmp_path):
    run.plan(dance=1)
    run.start(1, "dance", lm="a")
    run.fail(1, "dance", tmp_path / "absent.log")
    run.say("Trying to restart job 1.")
    run.start(1, "dance", lm="a")
    run.finish(1)
    lines = run.end()
    assert lines.count("error: dance (lm a) failed") == 1
    assert any("absent.log: No such file" in line for line in lines)
    assert "dance (lm a) is tried again" in lines
    assert any(line.startswith("Done: 1 job in ") for line in lines)


def test_run_that_kept_going_tells_of_phases_that_did_not_end(run, tmp_path):
    run.plan(dance=3)
    for job in (1, 2, 3):
        run.start(job, "dance")
    run.finish(1)
    run.fail(2, "dance", tmp_path / "x.log")
    run.finish(3)
    lines = run.end()
    assert any(re.fullmatch(r"dance  2 of 3 jobs done +\d+ s", line) for line in lines)
    assert any(line.startswith("Not finished: 1 job failed, 2 of 3 done") for line in lines)


def test_ctrl_c_shows_no_errors_and_says_how_to_go_on(run, tmp_path):
    run.plan(dance=2)
    run.start(1, "dance")
    run.say("Terminating processes on user request, this might take some time.")
    run.fail(1, "dance", tmp_path / "x.log")
    run.say("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR,
            event=LogEvent.ERROR)  # fmt: skip
    lines = run.end()
    assert not [line for line in lines if "rror" in line]
    assert "The same command goes on from there." in lines


def test_messages_are_shown_in_full_and_once(run):
    run.say("WorkflowError:\nconfig key 'x':\n  no such key", logging.ERROR, event=LogEvent.ERROR)
    lines = run.end()
    assert lines == ["WorkflowError:", "config key 'x':", "  no such key"]


def test_warnings_and_installations_are_shown(run):
    run.say("Creating conda environment envs/r.yaml...")
    run.plan(dance=1)
    run.start(1, "dance")
    run.say("the clock is wrong", logging.WARNING)
    run.finish(1)
    lines = run.end()
    assert {"Creating conda environment envs/r.yaml...", "the clock is wrong"} < set(lines)


def test_nothing_to_be_done(run):
    run.say("Nothing to be done (all requested files are present and up to date).")
    asked = "all that was asked for in results/mine is up to date"
    assert run.end() == [f"Nothing to be done: {asked}"]


def test_calls_that_run_nothing_are_shown_as_snakemake_shows_them():
    screen = io.StringIO()
    handler = new_handler(screen)
    for text in ("Building DAG of jobs...", "Unlocked working directory."):
        handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))
    handler.close()
    assert screen.getvalue() == "Building DAG of jobs...\nUnlocked working directory.\n"


def test_group_is_shown_as_snakemake_shows_it(run):
    run.plan(dance=2)
    jobs = [{"rule_name": "dance", "jobid": n, "output": [], "log": []} for n in (1, 2)]
    run.say("Error in group g", logging.ERROR, event=LogEvent.GROUP_ERROR, aux_logs=[],
            job_error_info=jobs)  # fmt: skip
    for job in jobs:
        run.say("Error in rule dance", logging.ERROR, event=LogEvent.JOB_ERROR, indent=True, **job)
    printed = "\n".join(run.end())
    assert printed.count("rule dance:") == 2
    assert "error: dance" not in printed


def test_runs_on_other_machines_are_shown_as_snakemake_shows_them(run):
    run.planned = True
    run.say("Provided remote nodes: 50", event=LogEvent.RESOURCES_INFO, nodes=50)
    run.say("Job stats: ...", event=LogEvent.RUN_INFO, stats={"dance": 1, "total": 1})
    run.say("Select jobs to execute...")
    run.say(None, event=LogEvent.PROGRESS, done=1, total=2)
    printed = run.end()
    assert "Building DAG of jobs..." in printed
    assert printed[-5:] == [
        "Provided remote nodes: 50", "Job stats: ...", "Select jobs to execute...",
        "1 of 2 steps (50%) done", "Complete log(s): /somewhere",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{"dryrun": True}, {"verbose": True}, {"debug_dag": True}, {"quiet": {Quietness.RULES}}],
)
def test_experts_get_what_snakemake_prints_itself(settings):
    screen = io.StringIO()
    handler = new_handler(screen, **settings)
    assert not handler.writes_to_stream  # Snakemake then adds its own
    handler.handle(logging.makeLogRecord({"msg": "x", "levelno": logging.ERROR}))
    handler.close()
    assert screen.getvalue() == ""


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    encoding = "ascii"

    def isatty(self):
        return True


def test_terminal_shows_a_bar_in_signs_that_it_knows(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    run = Run(Terminal())
    run.plan(dance=2)
    run.start(1, "dance")
    run.finish(1)
    printed = "\n".join(run.end())
    assert printed.isascii()
    assert "0 of 2 jobs, 00:00, dance" in printed
    assert "1 of 2 jobs, 00:00" in printed


def test_pipe_shows_neither_bar_nor_colour():
    run = Run(nocolor=False)
    run.plan(dance=2)
    run.start(1, "dance")
    assert not any(sign in "".join(run.end()) for sign in ("\r", "\033", "|"))


def test_broken_pipe_does_not_break_the_run(run, monkeypatch):
    def broken(*_args, **_settings):
        raise BrokenPipeError

    monkeypatch.setattr(run.handler.screen, "say", broken)
    run.plan(dance=1)
    run.start(1, "dance")
    run.finish(1)
    run.handler.close()


def test_end_of_a_log_that_says_nothing_is_said(tmp_path):
    (tmp_path / "empty").touch()
    assert tail(tmp_path / "empty") == ["(its log is empty)"]


def test_error_on_test_models_leaves_out_the_mean_of_all_benchmarks(tmp_path):
    errors = {"arc": {"process": {"rmse": 2.34}}, "hella": {"process": {"rmse": 4.0}}}
    overall = {"overall": {"joint": {"rmse": 9.0}}}
    record = {"n_subjects": 21, "benchmarks": {**errors, **overall}}
    path = write_json(tmp_path / "test.json", record)
    said = describe("assess_readout", [["x.parquet", path]])
    assert said == "error 2.3 to 4.0 points on 21 test models"


def test_rules_that_tell_their_results_exist(root):
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "rules").glob("*.smk"))
    assert set(RESULTS) <= set(re.findall(r"^rule (\w+):", rules, re.MULTILINE))


def test_benchmarks_that_share_too_few_models_are_not_called_joined(tmp_path):
    path = tmp_path / "joint.json"
    path.write_text(json.dumps({"benchmarks": ["a", "b"], "left_out": "0 training models ..."}))
    assert (
        describe("fit_joint_readout", [[path]]) == "left out: the benchmarks share too few models"
    )
    path.write_text(json.dumps({"benchmarks": ["a", "b"]}))
    assert describe("fit_joint_readout", [[path]]) == "2 benchmarks joined"
