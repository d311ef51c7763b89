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


@pytest.fixture(scope="module")
def clone(new_project):
    return new_project()


@pytest.fixture
def folder(clone, tmp_path):
    """Return a folder beside the clone with the tiny configuration."""
    folder = tmp_path / "my work, ö"
    folder.mkdir()
    shutil.copy(clone.folder / TINY, folder / "config.yaml")
    return folder


def snakemake(project, folder, *options):
    """Run Snakemake in a folder, with the code of a project."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    return project.run(command, folder=folder)


@pytest.mark.slow
def test_results_lie_where_it_was_started_and_are_the_same(finished_run, folder):
    options = ["--snakefile", str(finished_run.folder / "Snakefile"), "--configfile", "config.yaml"]
    finished = snakemake(finished_run, folder, *options)
    assert finished.returncode == 0, finished.stdout
    tables = finished_run.tables(folder)
    expected = finished_run.tables()
    assert tables.keys() == expected.keys()
    assert [name for name in expected if not tables[name].equals(expected[name])] == []
    again = snakemake(finished_run, folder, *options, "--dry-run")
    assert job_counts(again.stdout) == {}


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_it_is_a_module_of_another_workflow(clone, folder, snakefile):
    text = MODULE.format(snakefile=str(clone.folder / snakefile))
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    planned = snakemake(clone, folder, "--dry-run")
    assert planned.returncode == 0, planned.stdout
    assert job_counts(planned.stdout)["fit_irt"] == 1
    assert "results/tiny/report.html" in planned.stdout


def test_a_started_project_is_ready(clone, tmp_path):
    command = [sys.executable, "-m", "itemwise", "init", str(tmp_path / "mine")]
    assert clone.run(command).returncode == 0
    planned = snakemake(clone, tmp_path / "mine", "--dry-run")
    assert planned.returncode == 0, planned.stdout
    assert "results/mine/report.html" in planned.stdout


def test_other_files_are_not_overwritten(clone, tmp_path):
    (tmp_path / "config.yaml").write_text("run: precious\n")
    refused = clone.run([sys.executable, "-m", "itemwise", "init", str(tmp_path)])
    assert refused.returncode == 2
    assert "holds config.yaml already" in refused.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
