"""Say what each phase of a run took, and what came out."""

from __future__ import annotations

from pathlib import Path

from itemwise.report.content import load_benchmark, summary
from itemwise.report.followed import held_out_errors
from itemwise.tables.files import read_record
from itemwise.workflow.run_summary import by_phase, read_jobs, time_at_work


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--results", required=True, help="folder of the run: results/<run>")


def run(options) -> None:
    """Read and print."""
    folder = Path(options.results)
    jobs = read_jobs(folder)
    print("\n".join([*phase_lines(jobs), "", *result_lines(folder), ""]))
    print(f"The report: {folder / 'report.html'}")


def phase_lines(jobs) -> list[str]:
    """Return the table of phases."""
    lines = [f"{'phase':<20} jobs  seconds, summed  of one CPU  longest job  memory MB"]
    phases = by_phase(jobs)
    for row in phases.itertuples():
        lines.append(
            f"{row.Index:<20} {row.jobs:>4}  {row.busy:>15.1f}  {row.cpu:>10.1f}"
            f"  {row.longest:>11.1f}  {row.memory:>9.0f}"
        )
    lines.append(f"{'all':<20} {len(jobs):>4}  {jobs['seconds'].sum():>15.1f}"
                 f"  {phases['cpu'].sum():>10.1f}")  # fmt: skip
    return [*lines, f"Time with a job at work: {time_at_work(jobs) / 60:.1f} minutes"]


def result_lines(folder: Path) -> list[str]:
    """Return what came out, benchmark by benchmark, then for held-out training runs."""
    lines = []
    for name in read_record(folder / "bank" / "bank.json")["benchmarks"]:
        row = summary(load_benchmark(folder, name, simulated=False, reference=False))
        lines.append(
            f"{row['name']}: {row['subjects']} models, {row['items']} items, {row['kept']} after "
            f"screening, {row['selected']} selected; RMSE {row['rmse']:.2f} points (SE "
            f"{row['se']:.2f} by {row['clustered_by']}) on {row['test_subjects']} test models, "
            f"{100 * row['coverage']:.0f} % of the {100 * row['level']:.0f} % intervals hold"
        )
    for row in held_out_errors(folder):
        lines.append(
            f"held-out runs, {row['benchmark']}, {row['measure']}: {row['n_items']:.1f} of "
            f"{row['n_full']} items, RMSE {row['rmse']:.2f} on {row['n']} checkpoints, "
            f"{100 * row['coverage']:.0f} % of the {100 * row['level']:.0f} % intervals hold"
        )
    return lines
