"""Projects to run Snakemake in, made once where nothing changes them."""

import shutil
import subprocess

import psutil
import pytest
from projects import Project


@pytest.fixture(scope="session")
def new_project(root, tmp_path_factory):
    """Return a function that makes a fresh copy of the clone."""
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")
    return lambda: Project(root, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def finished_run(new_project):
    """Return a project whose tiny run is complete and undisturbed."""
    project = new_project()
    finished = project.run(project.command(), own_process=True)  # as users start it
    assert finished.returncode == 0, finished.stdout
    project.printed = finished.stdout
    return project


@pytest.fixture
def stop():
    """Return a function that ends a process and what it started, waiting for them all."""

    def end(process: subprocess.Popen, number: int) -> int:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        status = process.wait(timeout=60)
        psutil.wait_procs(children, timeout=60)  # a stage at work ends by itself
        return status

    return end
