"""Faults of machines and people: named with their remedy, and fixed by it.

The whole drill is in benchmarks/drill.py.
"""

import os
import re
import subprocess
import sys

import pytest
import yaml
from projects import TINY, copy_of

from itemwise.tables.contract import read_table

RESULTS = "results/tiny"
SIMULATE = [
    *(sys.executable, "-m", "itemwise", "simulate-population", "--benchmark", "b"),
    *("--subjects", "400", "--items", "100"),
]


@pytest.fixture
def copy_of_run(finished_run, tmp_path):
    """Return a copy of the finished run, free to be damaged."""
    return copy_of(finished_run, tmp_path / "copy")


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a file system of 40 KB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def simulate(folder) -> list[str]:
    """Return a command that writes three tables into a folder, by the shell as rules do."""
    files = {"out": "out", "out-parameters": "parameters", "out-abilities": "abilities"}
    paths = {name: str(folder / f"{file}.parquet") for name, file in files.items()}
    return SIMULATE + [word for name, path in paths.items() for word in (f"--{name}", path)]


def test_damaged_table_is_named_and_rebuilt(copy_of_run):
    table = copy_of_run.folder / RESULTS / "fit_irt/sums.parquet"
    reader = f"{RESULTS}/score_subjects/sums.parquet"
    content = bytearray(table.read_bytes())
    content[60] ^= 4  # among the values
    table.write_bytes(content)
    refused = copy_of_run.snakemake("--forcerun", "score_subjects", "--", reader)
    assert refused.returncode != 0
    message = rf"error: {RESULTS}/fit_irt/sums.parquet: cannot be read as parquet, it is damaged"
    assert re.search(message, refused.stdout), refused.stdout  # show-failed-logs
    assert "error: score_subjects (benchmark sums) failed\n" in refused.stdout
    assert "\n  its command: itemwise score-subjects --responses " in refused.stdout
    assert "\nNot finished: 1 job failed, 0 of 1 done" in refused.stdout
    table.unlink()
    repaired = copy_of_run.snakemake("--", reader)
    assert repaired.returncode == 0, repaired.stdout
    read_table(table, "parameters")


def test_stage_on_a_full_disk_names_it_and_leaves_no_part(small_disk):
    failed = subprocess.run(simulate(small_disk), capture_output=True, text=True)
    assert failed.returncode == 2
    assert re.search(
        r"out\.parquet: cannot be written \(No space left on device\); free space there",
        failed.stderr,
    )
    assert {path.name for path in small_disk.iterdir()} <= {
        "abilities.parquet",
        "parameters.parquet",
    }
    for path in small_disk.iterdir():
        read_table(path, path.stem)  # whole, for there was room for it


def test_log_on_a_full_disk_does_not_hide_the_status(small_disk):
    (small_disk / "fill").write_bytes(bytes(40 * 1024))
    with (small_disk / "log").open("wb") as log:
        failed = subprocess.run(simulate(small_disk), stdout=log, stderr=log)
    assert failed.returncode == 2
    assert sorted(os.listdir(small_disk)) == ["fill", "log"]


def test_stage_in_a_read_only_folder_names_it(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    failed = subprocess.run(simulate(small_disk), capture_output=True, text=True)
    assert failed.returncode == 2
    assert "cannot be written (Read-only file system); make it writable" in failed.stderr


def test_every_rule_asks_slurm_for_memory_and_time(finished_run):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install -e '.[slurm]'")
    planned = finished_run.snakemake("--profile", "profiles/slurm", "--dry-run", "--forceall")
    assert planned.returncode == 0, planned.stdout
    rules = re.findall(r"^ *(?:local)?rule (\w+):$", planned.stdout, re.MULTILINE)
    asked = re.findall(r"^ *resources: (.*)$", planned.stdout, re.MULTILINE)
    assert len(asked) == len(rules) > 10
    for rule, resources in zip(rules, asked, strict=True):
        assert re.search(r"\bmem_mb=\d+, .*\bruntime=\d+", resources), (rule, resources)
        if rule != "write_config":  # Snakemake itself writes it
            assert "tasks=0" in resources, rule


def test_groups_of_the_slurm_profile_are_rules(root):
    profile = yaml.safe_load((root / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "rules").glob("*.smk"))
    assert set(profile["groups"]) <= set(re.findall(r"^rule (\w+):", rules, re.MULTILINE))
    assert set(profile["groups"].values()) == set(profile["group-components"])


def test_budget_beyond_the_benchmark_is_refused_before_calibration(new_project):
    project = new_project()
    (project.folder / "larger.yaml").write_text("selection: {budget: 41}\n")
    stopped = project.snakemake("--configfile", TINY, "larger.yaml")
    assert stopped.returncode != 0
    assert "benchmark 'sums' has 40 items, of which " in stopped.stdout
    assert "set config key 'selection.budget' between 1 and" in stopped.stdout
    assert not (project.folder / RESULTS / "fit_irt").exists()
