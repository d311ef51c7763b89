"""The workflow from another folder, as a module, and started by `itemwise init`."""

import shutil
import sys

import pytest
from projects import TINY, job_counts

MODULE = """
configfile: "config.yaml"

module itemwise:
    snakefile: {snakefile!r}
    config: config

use rule * from itemwise
"""


@pytest.fixture
def elsewhere(finished_run, tmp_path):
    """Return a folder beside the clone with the tiny configuration, and how to run there."""
    folder = tmp_path / "my work, ö"
    folder.mkdir()
    shutil.copy(finished_run.folder / TINY, folder / "config.yaml")

    def run(*options):
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
        return finished_run.run(command, folder=folder)

    return folder, run


@pytest.mark.slow
def test_results_lie_where_it_was_started_and_are_the_same(finished_run, elsewhere):
    folder, run = elsewhere
    snakefile = str(finished_run.folder / "Snakefile")
    finished = run("--snakefile", snakefile, "--configfile", "config.yaml")
    assert finished.returncode == 0, finished.stdout
    tables = finished_run.tables(folder)
    expected = finished_run.tables()
    assert tables.keys() == expected.keys()
    assert [name for name in expected if not tables[name].equals(expected[name])] == []
    again = run("--snakefile", snakefile, "--configfile", "config.yaml", "--dry-run")
    assert job_counts(again.stdout) == {}


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_it_is_a_module_of_another_workflow(finished_run, elsewhere, snakefile):
    folder, run = elsewhere
    text = MODULE.format(snakefile=str(finished_run.folder / snakefile))
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    planned = run("--dry-run")
    assert planned.returncode == 0, planned.stdout
    assert job_counts(planned.stdout)["fit_irt"] == 1
    assert "results/tiny/report.html" in planned.stdout


def test_a_started_project_is_ready(finished_run, tmp_path):
    command = [sys.executable, "-m", "itemwise", "init", str(tmp_path / "mine")]
    assert finished_run.run(command).returncode == 0
    snakemake = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
    planned = finished_run.run(snakemake, folder=tmp_path / "mine")
    assert planned.returncode == 0, planned.stdout
    assert "results/mine/report.html" in planned.stdout


def test_other_files_are_not_overwritten(finished_run, tmp_path):
    (tmp_path / "config.yaml").write_text("run: precious\n")
    refused = finished_run.run([sys.executable, "-m", "itemwise", "init", str(tmp_path)])
    assert refused.returncode == 2
    assert "holds config.yaml already" in refused.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
