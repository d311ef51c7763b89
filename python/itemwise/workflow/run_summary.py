"""What a run took, phase by phase, from the benchmark files of its jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from itemwise.errors import UserError


def read_jobs(run: Path) -> pd.DataFrame:
    """Read the benchmark files that Snakemake wrote (`results/<run>/benchmarks`).

    Returns
    -------
    data frame
        One row a job: phase (the rule), job, start and end (seconds since 1970), seconds,
        cpu_seconds and memory (MB at most), in the order of their ends. The CPU time is
        Snakemake's: mean load times seconds, sampled, so that it is rough for short jobs.

    Raises
    ------
    UserError
        No job has finished.
    """
    rows = []
    for path in sorted((run / "benchmarks").glob("*/*.tsv")):
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
        end = path.stat().st_mtime
        rows.append(
            {
                "phase": path.parent.name,
                "job": path.stem,
                "start": end - measured["s"],
                "end": end,
                "seconds": measured["s"],
                "cpu_seconds": measured["s"] * measured["mean_load"] / 100,
                "memory": measured["max_rss"],
            }
        )
    if not rows:
        raise UserError(
            f"{run}: holds no benchmarks/*/*.tsv; run snakemake first, or check --results"
        )
    return pd.DataFrame(rows).sort_values("end", ignore_index=True)


def by_phase(jobs: pd.DataFrame) -> pd.DataFrame:
    """Sum jobs by phase, in the order in which the phases first ended."""
    return jobs.groupby("phase", sort=False).agg(
        jobs=("job", "size"), busy=("seconds", "sum"), cpu=("cpu_seconds", "sum"),
        longest=("seconds", "max"), memory=("memory", "max"),
    )  # fmt: skip


def time_at_work(jobs: pd.DataFrame) -> float:
    """Return the seconds in which at least one job ran, pauses of the run left out."""
    total, reached = 0.0, float("-inf")
    for job in jobs.sort_values("start").itertuples():
        total += max(0.0, job.end - max(job.start, reached))
        reached = max(reached, job.end)
    return total
