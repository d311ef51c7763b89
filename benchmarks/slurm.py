"""The pipeline through a real Slurm of one node, which is broken while it runs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from common import markdown, write_evidence
from kills import UNLOCK, compare_tables, copy_project, own_code, run_of, start_run
from slurm_node import GPUS, SlurmNode, what_is_missing

STAGES = ("itemwise", "R")
"""What the processes of stages are called."""
PLAN = (
    "scancel", "stage killed", "node drained", "job killed", "controller restarted",
    "Snakemake killed", "stage killed", "node daemon killed", "scancel", "node drained",
    "job killed", "controller restarted", "scancel", "stage killed",
)  # fmt: skip
KILLS_OF_ONE = 2
"""Attempts of one job that are killed: the profile allows three."""
DEMO_PLAN = (
    "stage killed", "scancel", "node drained", "job killed", "controller restarted",
    "Snakemake killed", "node daemon killed", "stage killed",
)  # fmt: skip
PAUSE = {"kills": (1, 5), "demo": (10, 40)}
"""Seconds between faults: spread over the run."""
OPTIONS = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "5")
GPU_WORKFLOW = """\
rule evaluate_model:
    output: "done.txt"
    resources: gpu={n}, mem_mb=100, runtime=5
    shell: "printenv CUDA_VISIBLE_DEVICES >> {out}; touch {{output}}"
"""


def slurm() -> None:
    """Finish a small run whose jobs, node, controller and Snakemake are killed."""
    _compare("slurm", "kills.yaml", PLAN)


def slurm_demo() -> None:
    """Finish the demo, which trains and evaluates models, in the same way."""
    _compare("slurm_demo", "config/demo.yaml", DEMO_PLAN)


def _compare(name: str, configfile: str, plan: tuple[str, ...]) -> None:
    """Run without Slurm and, disturbed, through it; compare tables and write the evidence."""
    lacking = what_is_missing()
    if lacking:
        print(f"{name}: skipped, no evidence written: {lacking}")
        return
    with tempfile.TemporaryDirectory() as folder:
        clean, disturbed = Path(folder, "clean"), Path(folder, "disturbed")
        for place in (clean, disturbed):
            copy_project(place)
        began = time.monotonic()
        assert start_run(clean, configfile).wait() == 0
        seconds = {"without Slurm, 2 cores": time.monotonic() - began}
        with SlurmNode(Path(folder, "slurm")) as node:
            gpus = _gpu_job(node, Path(folder, "gpu"))
            began = time.monotonic()
            run = Disturbed(node, disturbed, configfile, plan)
            try:
                run.finish()
            finally:
                run.end()
            seconds["through Slurm, disturbed"] = time.monotonic() - began
            jobs = pd.DataFrame(run.history())
        different, compared = compare_tables(clean, disturbed)
        assert (disturbed / "results" / run.name / "report.html").exists()
        _write(name, run, jobs, seconds, gpus, different, compared)
    if different:
        raise SystemExit(f"differ from the run without Slurm: {different}")


class Disturbed:
    """A run through Slurm to which the faults of the plan happen, in their order."""

    def __init__(self, node: SlurmNode, place: Path, configfile: str, plan: tuple[str, ...]):
        self.node, self.place, self.plan = node, place, plan
        self.command = run_of(configfile)
        self.name = Path(configfile).stem
        self.rng = np.random.default_rng(1)
        self.events: list[dict] = []
        self.killed = Counter()
        self.comments: dict[str, str] = {}
        self.began = time.monotonic()
        self.run: subprocess.Popen | None = None

    def finish(self) -> None:
        """Run to the end, disturbing; the last command must succeed."""
        plan = list(self.plan)
        run = self.run = self._start()
        due = self._later()
        while run.poll() is None:
            time.sleep(0.5)
            jobs = self._jobs()
            running = [job for job, state in jobs.items() if state == "RUNNING"]
            if not (plan and running and time.monotonic() > due):
                continue
            target = self._target(running, plan[0])
            if target is None:
                continue
            fault = plan.pop(0)
            if fault == "Snakemake killed":
                run = self.run = self._kill_snakemake(run)
            else:
                self._inflict(fault, target)
            due = self._later()
        if run.returncode != 0:
            raise SystemExit((self.place / "snakemake.log").read_text(encoding="utf-8")[-5000:])
        self.untried = plan

    def end(self) -> None:
        """End Snakemake, where the proof broke off."""
        if self.run is not None and self.run.poll() is None:
            os.killpg(self.run.pid, signal.SIGKILL)

    def history(self) -> list[dict]:
        """Return what became of every job, as Slurm noted it."""
        self._jobs()
        return [
            {
                "job": row["JobId"],
                "stages": self.comments.get(row["JobId"], ""),
                "state": row["JobState"],
                "seconds": int(
                    (pd.Timestamp(row["EndTime"]) - pd.Timestamp(row["StartTime"])).total_seconds()
                ),
            }
            for row in self.node.finished()
            if row["WorkDir"] == str(self.place)
        ]

    def _start(self) -> subprocess.Popen:
        with (self.place / "snakemake.log").open("ab") as log:
            return subprocess.Popen(
                self.node.inside(*self.command, *OPTIONS),
                cwd=self.place,
                env=own_code(self.place),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _jobs(self) -> dict[str, str]:
        """Return the states of the jobs; none while the controller is away."""
        jobs = self.node.jobs()
        self.comments |= {job: comment.removeprefix("rule_") for job, (_, comment) in jobs.items()}
        return {job: state for job, (state, _) in jobs.items()}

    def _target(self, running: list[str], fault: str) -> str | None:
        """Return a running job to which the fault may happen, with a stage at work."""
        for job in running:
            spared = "killed" not in fault and fault != "scancel"
            if spared or fault.startswith(("controller", "Snakemake", "node")):
                return job
            if self.killed[self._work_of(job)] < KILLS_OF_ONE and self._stages(job):
                return job
        return None

    def _work_of(self, job: str) -> tuple[str, str]:
        """Return what a job is about, the same for each attempt at it."""
        words = set()
        for process in self.node.processes(job):
            with suppress(psutil.NoSuchProcess):
                words |= set(process.cmdline())
        # A word of its own, not a script that names it.
        targets = {word for word in words if re.search(r":\w+=", word) and " " not in word}
        return self.comments[job], " ".join(sorted(targets))

    def _stages(self, job: str) -> list:
        found = []
        for process in self.node.processes(job):
            with suppress(psutil.NoSuchProcess):
                if process.name() in STAGES:
                    found.append(process)
        return found

    def _inflict(self, fault: str, job: str) -> None:
        """Let a fault happen while a job runs."""
        node, work = self.node, self._work_of(job)
        if fault == "scancel":
            node.call("scancel", job)
            self.killed[work] += 1
            self._note(fault, job)
        elif fault in ("stage killed", "job killed"):
            victims = self._stages(job) if fault == "stage killed" else node.processes(job)
            for process in victims:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.killed[work] += 1
            self._note(f"{fault} (SIGKILL to {len(victims)} processes)", job)
        elif fault == "node drained":
            self._update_node("DRAIN", "reason=proof")
            time.sleep(15)
            state = node.call("sinfo", "-h", "-o", "%T").strip()
            self._update_node("RESUME")
            self._note(f"{fault} for 15 s, then {state}; resumed", job)
        else:
            # A controller that is killed forgets the jobs of the last seconds, and the plugin
            # would wait for them for ever; one that is stopped saves its state.
            name, number = {
                "controller restarted": ("slurmctld", signal.SIGTERM),
                "node daemon killed": ("slurmd", signal.SIGKILL),
            }[fault]
            node.stop(name, number)
            time.sleep(10)
            node.start(name)
            node.wait_for_controller()
            self._note(f"{name}: {number.name}, started again after 10 s", job)

    def _kill_snakemake(self, run: subprocess.Popen) -> subprocess.Popen:
        """Kill Snakemake; its jobs go on, and until they end the folder stays locked."""
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        refused = subprocess.run(
            self.node.inside(*UNLOCK), cwd=self.place, env=own_code(self.place),
            capture_output=True, text=True,
        )  # fmt: skip
        assert refused.returncode == 2, refused
        assert "Slurm jobs still at work" in refused.stderr, refused
        while {"RUNNING", "PENDING", "COMPLETING"} & set(self._jobs().values()):
            time.sleep(1)
        subprocess.run(
            self.node.inside(*UNLOCK), cwd=self.place, env=own_code(self.place), check=True
        )
        self._note(
            "Snakemake killed (SIGKILL): unlocking refused while its jobs ran, then the same "
            "command again", "",
        )  # fmt: skip
        return self._start()

    def _update_node(self, state: str, *more: str) -> None:
        self.node.call("scontrol", "update", f"nodename={self.node.host}", f"state={state}", *more)

    def _later(self) -> float:
        return time.monotonic() + self.rng.uniform(*PAUSE[self.name])

    def _note(self, event: str, job: str) -> None:
        at = time.monotonic() - self.began
        stages = f"{job} ({self.comments[job]})" if job else "all"
        self.events.append({"second": f"{at:.0f}", "fault": event, "job": stages})
        print(self.events[-1], flush=True)


def _gpu_job(node: SlurmNode, place: Path) -> list[str]:
    """Run a stand-in of the evaluation rule that asks for every GPU; return what it noted."""
    place.mkdir()
    out = place / "started.txt"
    workflow = GPU_WORKFLOW.format(n=len(GPUS), out=shlex.quote(str(out)))
    (place / "Snakefile").write_text(workflow, encoding="utf-8")
    profile = Path(__file__).parents[1] / "profiles" / "slurm"
    command = [
        *run_of("kills.yaml")[:3],
        "--profile",
        str(profile),
        "--groups",
        "none=none",
        *OPTIONS[2:],
    ]
    subprocess.run(node.inside(*command), cwd=place, check=True, capture_output=True)
    started = out.read_text(encoding="utf-8").splitlines()
    assert len(started) == 1, f"a job with {len(GPUS)} GPUs ran {len(started)} times"
    return started


WHAT = {
    "kills": "The small simulated run of two benchmarks (`benchmarks/kills.py`)",
    "demo": "The demo (`config/demo.yaml`: tiny models are trained, evaluated and followed)",
}


def _write(name, run, jobs, seconds, gpus, different, n_compared) -> None:
    """Write the evidence."""
    restarted = (run.place / "snakemake.log").read_text(encoding="utf-8").count("Trying to restart")
    by_state = jobs["state"].value_counts()
    version = run.node.call("sinfo", "--version").strip()
    text = f"""\
{WHAT[run.name]} through `--profile
profiles/slurm` on a real Slurm of one node ({version} from Debian: munge, slurmctld, slurmd;
no accounting; 4 CPUs declared), started and stopped by the proof. Only the interval of the
status checks differs from the profile (5 s instead of 40).

**Tables: {n_compared} compared with a run without Slurm, {len(different)} different.**
{len(run.events)} faults; {restarted} times Snakemake submitted a job again;
{len(jobs)} jobs ended ({", ".join(f"{n} {state}" for state, n in by_state.items())}).
{" ".join(f"{label[0].upper() + label[1:]}: {s:.0f} s." for label, s in seconds.items())}
{f"Not tried, the run ended before: {', '.join(run.untried)}." if run.untried else ""}

## Faults

{markdown(pd.DataFrame(run.events))}

## Jobs, as Slurm noted them

A job that Slurm put back into the queue by itself keeps its number.

{markdown(jobs)}

## A job with {len(GPUS)} GPUs

A stand-in of `evaluate_model` that asks for {len(GPUS)} (made-up) GPUs ran its command
{len(gpus)} time: `{gpus[0]}`.
"""
    title = "Through Slurm, disturbed" + (": the demo" if run.name == "demo" else "")
    write_evidence(name, title, text, "make prove")
