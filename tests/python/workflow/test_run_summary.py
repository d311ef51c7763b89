"""What a run took, from the benchmark files of its jobs."""

from __future__ import annotations

import os

import pytest

from itemwise.errors import UserError
from itemwise.workflow.run_summary import by_phase, read_jobs, time_at_work

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def job(run, phase: str, name: str, start: float, seconds: float, load="50", memory="100") -> None:
    """Write the benchmark file of a job."""
    path = run / "benchmarks" / phase / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + f"{seconds}\t0:00:01\t{memory}\t-\t-\t-\t-\t-\t{load}\t1\n")
    os.utime(path, (start + seconds, start + seconds))


@pytest.fixture
def run(tmp_path):
    """Return a run of three jobs, two of them at once, and a pause before the third."""
    job(tmp_path, "train_tiny_models", "a", start=1000, seconds=10)
    job(tmp_path, "train_tiny_models", "b", start=1002, seconds=10, load="80", memory="300")
    job(tmp_path, "fit_irt", "arc", start=2000, seconds=4)
    return tmp_path


def test_jobs_are_summed_by_phase_in_their_order(run):
    phases = by_phase(read_jobs(run))
    assert phases.index.tolist() == ["train_tiny_models", "fit_irt"]
    first = phases.loc["train_tiny_models"]
    assert (first["jobs"], first["busy"], first["longest"], first["memory"]) == (2, 20, 10, 300)
    assert first["cpu"] == pytest.approx(10 * 0.5 + 10 * 0.8)


def test_time_at_work_counts_overlaps_once_and_pauses_not_at_all(run):
    assert time_at_work(read_jobs(run)) == pytest.approx(12 + 4)


def test_job_too_short_to_be_sampled_counts_without_memory(run):
    job(run, "export_bank", "bank", start=3000, seconds=0.1, load="NA", memory="NA")
    phases = by_phase(read_jobs(run))
    assert phases.loc["export_bank", "busy"] == pytest.approx(0.1)
    assert phases.loc["export_bank", "cpu"] == 0


def test_folder_without_jobs_is_refused(tmp_path, itemwise):
    with pytest.raises(UserError, match=r"holds no benchmarks/\*/\*.tsv; run snakemake first"):
        read_jobs(tmp_path)
    finished = itemwise("summarize-run", "--results", tmp_path)
    assert finished.status == 2
