"""A lock is removed only where no Snakemake process is at work.

That a real run is unlocked and finished is shown in tests/workflow/test_interruption.py.
"""

import os
import subprocess
import sys

import psutil
import pytest

from itemwise.stages import unlock_run


@pytest.fixture
def locked(tmp_path):
    """Return a folder with a lock of Snakemake's."""
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/x\n")
    (tmp_path / "Snakefile").write_text("rule all:\n    output: 'x'\n    shell: 'touch x'\n")
    return tmp_path


@pytest.fixture
def process():
    """Return a function that starts a process that sleeps, named like a command line."""
    started = []

    def start(folder, *words: str) -> subprocess.Popen:
        code = "import sys; print(flush=True); sys.stdin.read()"
        started.append(
            subprocess.Popen(
                [*words, "-c", code],
                executable=sys.executable,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        started[-1].stdout.readline()  # it lives and has its name
        return started[-1]

    yield start
    for child in started:
        child.communicate()


@pytest.fixture
def unlocked(monkeypatch):
    """Return the folders that Snakemake is told to unlock, which takes it seconds."""
    folders = []
    monkeypatch.setattr(unlock_run, "_unlock", folders.append)
    return folders


def test_folder_without_lock_is_left_alone(itemwise, tmp_path):
    finished = itemwise("unlock-run", "--folder", tmp_path)
    assert (finished.status, finished.out) == (0, f"{tmp_path}: not locked\n")


def test_lock_of_a_dead_process_is_removed(itemwise, locked):
    assert itemwise("unlock-run", "--folder", locked).status == 0
    assert list((locked / ".snakemake").glob("locks/*")) == []


def test_lock_of_a_live_process_stays(itemwise, locked, process):
    owner = process(locked, "snakemake")
    finished = itemwise("unlock-run", "--folder", locked)
    assert finished.status == 2
    assert f"Snakemake process {owner.pid} is still at work here; stop it" in finished.err
    assert list((locked / ".snakemake" / "locks").iterdir())


@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_queued_slurm_jobs_of_the_folder_keep_the_lock(
    place, itemwise, locked, unlocked, tmp_path_factory, monkeypatch
):
    folder = locked if place == "here" else tmp_path_factory.mktemp("elsewhere")
    programs = tmp_path_factory.mktemp("programs")
    (programs / "squeue").write_text(f"#!/bin/sh\necho '7 {folder}'\n")
    (programs / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    finished = itemwise("unlock-run", "--folder", locked)
    assert finished.status == (2 if place == "here" else 0)
    assert unlocked == ([] if place == "here" else [locked])
    if place == "here":
        assert "Slurm jobs still at work here: 7; wait, or cancel them (scancel 7)" in finished.err


@pytest.mark.parametrize("name", ["python", "snakemake"])
def test_other_processes_are_not_in_the_way(
    name, itemwise, locked, unlocked, process, tmp_path_factory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    process(locked if name == "python" else elsewhere, name)
    assert itemwise("unlock-run", "--folder", locked).status == 0
    assert unlocked == [locked]


@pytest.mark.parametrize(("stranger", "status"), [(True, 0), (False, 2)])
def test_processes_that_hide_their_folder_count_where_their_user_owns_the_lock(
    itemwise, locked, unlocked, process, tmp_path_factory, monkeypatch, stranger, status
):
    if stranger:
        if os.getuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(locked / ".snakemake/locks/0.output.lock", 12345, -1)
    hidden = process(tmp_path_factory.mktemp("elsewhere"), "snakemake")

    def cwd(self):
        if self.pid == hidden.pid:
            raise psutil.AccessDenied(self.pid)
        return str(tmp_path_factory.getbasetemp())  # others of this machine

    monkeypatch.setattr(psutil.Process, "cwd", cwd)
    assert itemwise("unlock-run", "--folder", locked).status == status
    assert unlocked == ([] if status else [locked])
