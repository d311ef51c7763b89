"""What a run of the workflow shows: one line a phase; Snakemake's log file holds all the rest.

A phase is a rule. Its line comes when its last job is done, with what came out and how long it
took from the first job's start. Snakemake finds this logger by the name of the module, and
profiles/default asks for it. On dry runs, with --verbose, --quiet or --debug-dag it leaves the
terminal to Snakemake's own output, and so it does where jobs run on other machines.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake.logging import logger as snakemake_logger
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from itemwise.cli.terminal import counted, duration
from snakemake_logger_plugin_itemwise.screen import Screen, tail

WIDTH = 80
"""Columns of a phase's line, where its text is not longer."""

CHATTER = (
    "Building DAG of jobs",
    "Processed ",
    "Using shell",
    "Provided resources",
    "Group jobs: inactive",
    "Conda environments: ignored",
    "Singularity containers: ignored",
)
"""Starts of messages of a run's beginning that a reader can do without."""

SHARED_DISK = "Assuming unrestricted shared filesystem usage"
"""Start of the message that goes before a run's beginning."""

STOPPING = {
    "Terminating processes on user request": "Stopping the jobs at work ...",
    "Will exit after finishing currently running": "Stopping when the jobs at work are done ...",
}
"""Starts of what Snakemake says after Ctrl-C and the signal TERM, without event, and our words."""

SAID_ALREADY = (
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)
"""Starts of what Snakemake says in the end of a run whose failed jobs were shown."""

EXIT_STATUS = re.compile(r"CalledProcessError .*(returned non-zero exit status|died with)", re.S)
"""An error that says no more of a job than that its command failed."""


@dataclass
class Phase:
    """The jobs of a rule."""

    expected: int
    started: float = 0.0
    ended: float = 0.0
    running: set = field(default_factory=set)
    failed: set = field(default_factory=set)
    done: dict = field(default_factory=dict)
    """Job id to what the job wrote."""

    @property
    def complete(self) -> bool:
        """Whether every job is done."""
        return len(self.done) >= self.expected


class LogHandler(LogHandlerBase):
    """Turns Snakemake's records into lines for people.

    Snakemake hands over one record after the other, in a thread beside the run's own: whatever
    thread they come from, and however long a line takes.
    """

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.steps_aside = bool(
            settings.dryrun or settings.verbose or settings.debug_dag or settings.quiet
        )
        self.screen = Screen(sys.stderr, bool(settings.nocolor))
        self.own_output = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=sys.stderr,
            formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
        )
        self.remote = False
        self.held: list[logging.LogRecord] = []
        self.results = None
        self.cores = None
        self.began = self.latest = 0.0
        self.phases: dict[str, Phase] = {}
        self.jobs: dict[int, tuple[str, str]] = {}
        self.outputs: dict[int, list[str]] = {}
        self.stopped = self.ended = False
        self.takers = {
            LogEvent.WORKFLOW_STARTED: self.take_start,
            LogEvent.RESOURCES_INFO: self.take_resources,
            LogEvent.RUN_INFO: self.take_plan,
            LogEvent.JOB_INFO: self.take_job,
            LogEvent.JOB_FINISHED: self.take_finished,
            LogEvent.JOB_ERROR: self.take_failure,
            LogEvent.ERROR: self.take_message,
            None: self.take_message,
        }

    @property
    def writes_to_stream(self) -> bool:
        """Whether this handler prints; where it does not, Snakemake prints as ever."""
        return not self.steps_aside

    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; whatever goes wrong here is no reason to disturb the run."""
        if self.steps_aside:
            return
        try:
            if record.msg == "None":  # the queue that records come through makes texts of all
                record.msg = None
            self.latest = record.created
            if self.remote:
                self.own_output.handle(record)
            else:
                self.take(record)
        except Exception:
            note(traceback.format_exc())

    def take(self, record: logging.LogRecord) -> None:
        """Act on a record by its event."""
        event = getattr(record, "event", None)
        if event in self.takers:
            self.takers[event](record)
        elif record.levelno >= logging.WARNING:
            self.pass_on(record)
        else:
            self.hold(record)

    def hold(self, record: logging.LogRecord) -> None:
        """Keep a record until it is known whether Snakemake's own output is wanted."""
        if not self.phases:
            self.held.append(record)

    def pass_on(self, record: logging.LogRecord) -> None:
        """Print a record as Snakemake does."""
        self.screen.hide_bar()
        self.own_output.handle(record)
        self.screen.tick()

    def take_start(self, record) -> None:
        """Note when the run began."""
        self.began = record.created
        self.hold(record)

    def take_resources(self, record) -> None:
        """Note the cores; leave the rest to Snakemake where jobs run on other machines."""
        self.hold(record)
        self.cores = getattr(record, "cores", self.cores)
        if hasattr(record, "nodes"):
            self.remote = True
            for each in self.held:
                self.own_output.handle(each)

    def take_plan(self, record) -> None:
        """Say what is going to run."""
        jobs = {rule: n for rule, n in record.stats.items() if rule not in ("all", "total")}
        self.held.clear()
        self.phases = {rule: Phase(n) for rule, n in jobs.items()}
        self.began = self.began or record.created
        cores = f" on {counted(self.cores, 'core')}" if self.cores else ""
        self.screen.say(
            f"{self.results or 'This run'}: {counted(sum(jobs.values()), 'job')}{cores}"
        )
        self.say_log()
        self.screen.say()
        self.screen.start_bar(sum(jobs.values()))

    def take_job(self, record) -> None:
        """Note a job's start."""
        rule, wildcards = record.rule_name, dict(record.wildcards or {})
        label = ", ".join(f"{name} {value}" for name, value in wildcards.items())
        self.jobs[record.jobid] = (rule, f"{rule} ({label})" if label else rule)
        self.outputs[record.jobid] = list(record.output)
        phase = self.phases.get(rule)
        if phase is None:
            return
        if record.jobid in phase.failed:
            phase.failed.discard(record.jobid)
            self.screen.say(f"{self.jobs[record.jobid][1]} is tried again")
        phase.started = phase.started or record.created
        phase.running.add(record.jobid)
        self.show_progress()

    def take_finished(self, record) -> None:
        """Note a job's end, and say what a phase gave when it was the last."""
        rule, _ = self.jobs.get(record.job_id, (None, ""))
        phase = self.phases.get(rule)
        if phase is None or record.job_id in phase.done:
            return
        phase.running.discard(record.job_id)
        phase.failed.discard(record.job_id)
        phase.done[record.job_id] = self.outputs[record.job_id]
        phase.ended = record.created
        if phase.complete:
            self.say_phase(rule, what_came_out(rule, list(phase.done.values())))
        self.show_progress()

    def take_failure(self, record) -> None:
        """Show what failed, the end of its log, and how to repeat it."""
        if getattr(record, "indent", False):
            return  # of a group, whose error was shown
        rule, label = self.jobs.get(record.jobid, (record.rule_name, record.rule_name))
        phase = self.phases.setdefault(rule, Phase(1))
        phase.running.discard(record.jobid)
        phase.failed.add(record.jobid)
        phase.ended = record.created
        if self.stopped:
            return  # it was stopped, which is no error of its own
        self.screen.say(f"error: {label} failed", "red")
        shown = self.common_settings.show_failed_logs
        for line in [line for log in record.log for line in tail(log)] if shown else []:
            self.screen.say(f"    {line}")
        if record.log:
            self.screen.say(f"  its log: {', '.join(record.log)}")
        if record.shellcmd:
            self.screen.say(f"  its command: {record.shellcmd}")

    def take_message(self, record) -> None:
        """Print what people need to know; leave the rest to the log file."""
        text = record.msg or ""
        self.results = getattr(record, "itemwise_results", self.results)
        if record.levelno >= logging.WARNING:
            if not self.repeats(text):
                self.pass_on(record)
        elif text.startswith(tuple(STOPPING)):
            self.say_stopping(text)
        elif text.startswith("Nothing to be done"):
            self.say_nothing_to_do(text)
        elif self.is_chatter(text):
            self.hold(record)
        else:
            self.pass_on(record)

    def repeats(self, text: str) -> bool:
        """Tell whether a warning or error says what a failed job's own lines say."""
        failed = self.stopped or any(phase.failed for phase in self.phases.values())
        return bool(EXIT_STATUS.search(text)) or (failed and text.startswith(SAID_ALREADY))

    def is_chatter(self, text: str) -> bool:
        """Tell whether the log file is place enough for a message that is no warning."""
        if self.phases or not text:  # jobs are at work, and their lines say how far they are
            return True
        return text.startswith(SHARED_DISK) or (self.began > 0 and text.startswith(CHATTER))

    def show_progress(self) -> None:
        """Move the bar."""
        done = sum(len(phase.done) for phase in self.phases.values())
        self.screen.move_bar(done, [rule for rule, phase in self.phases.items() if phase.running])

    def say_phase(self, rule: str, text: str) -> None:
        """Print the line of a phase."""
        phase = self.phases[rule]
        name = f"{rule:<{max(map(len, self.phases)) + 2}}"
        time = duration(phase.ended - phase.started)
        self.screen.say(f"{name}{text:<{WIDTH - len(name) - 9}} {time:>8}")

    def say_log(self) -> None:
        """Say where everything else is."""
        if (path := log_file()) is not None:
            self.screen.say(f"Full log: {path}")

    def say_nothing_to_do(self, text: str) -> None:
        """Say that all is there."""
        self.ended = True
        asked = f"Nothing to be done: all that was asked for in {self.results} is up to date"
        self.screen.say(asked if self.results else text)

    def say_stopping(self, text: str) -> None:
        """Say once that the run is being stopped."""
        if not self.stopped:
            self.stopped = True
            self.screen.say(
                next(ours for theirs, ours in STOPPING.items() if text.startswith(theirs))
            )

    def close(self) -> None:
        """Say how the run ended, once."""
        try:
            if self.phases and not (self.remote or self.steps_aside or self.ended):
                self.ended = True
                self.screen.close()
                self.say_end()
        except Exception:
            note(traceback.format_exc())
        super().close()

    def say_end(self) -> None:
        """Say how the run ended."""
        for rule, phase in self.phases.items():
            if phase.started and not phase.complete and phase.expected > 1:
                phase.ended = phase.ended or self.latest
                self.say_phase(rule, f"{len(phase.done)} of {counted(phase.expected, 'job')} done")
        phases = self.phases.values()
        jobs, done = sum(phase.expected for phase in phases), sum(len(p.done) for p in phases)
        failed = sum(len(phase.failed) for phase in phases)
        time = duration(self.latest - self.began)
        self.screen.say()
        if done >= jobs:
            self.screen.say(f"Done: {counted(jobs, 'job')} in {time}.", "green")
        elif self.stopped:
            self.screen.say(f"Stopped after {time}, {done:,} of {counted(jobs, 'job')} done.")
            self.screen.say("The same command goes on from there.")
        else:
            reason = f"{counted(failed, 'job')} failed, " if failed else ""
            self.screen.say(f"Not finished: {reason}{done:,} of {jobs:,} done, in {time}.", "red")
            self.screen.say("Fix the cause; then the same command goes on from there.")
        self.say_log()


def what_came_out(rule: str, jobs: list[list[str]]) -> str:
    """Say what a phase's jobs gave, or else how many they were."""
    try:
        from itemwise.cli.phase_results import describe  # reads tables: not before a phase is done

        text = describe(rule, jobs)
    except Exception:
        note(f"what came out of {rule}: {traceback.format_exc()}")
        text = ""
    return text or counted(len(jobs), "job")


def file_handler() -> logging.FileHandler | None:
    """Return Snakemake's handler that writes its log file."""
    handlers = (each for each in snakemake_logger.handlers if isinstance(each, logging.FileHandler))
    return next(handlers, None)


def log_file() -> Path | None:
    """Return Snakemake's log file, as seen from here."""
    handler = file_handler()
    if handler is None:
        return None
    path = Path(handler.baseFilename)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def note(text: str) -> None:
    """Write what went wrong here into the log file, where it disturbs nobody."""
    handler = file_handler()
    if handler is not None:
        handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))
