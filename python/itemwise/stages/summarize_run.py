"""Say what came out of a run and how long it took; with --phases, what each phase took."""

from __future__ import annotations

from pathlib import Path

from itemwise.cli.terminal import duration
from itemwise.report.content import load_benchmark, summary
from itemwise.report.held_out import held_out_errors
from itemwise.tables.files import read_record
from itemwise.workflow.run_summary import by_phase, read_jobs, time_at_work


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--results", required=True, help="folder of the run: results/<run>")
    parser.add_argument(
        "--phases", action="store_true", help="add a table of jobs, time and memory by phase"
    )


def run(options) -> None:
    """Read and print."""
    folder = Path(options.results)
    jobs = read_jobs(folder)
    table = [*phase_lines(jobs), ""] if options.phases else []
    print("\n".join([*table, *result_lines(folder)]))
    print(f"Time with a job at work: {duration(time_at_work(jobs))}")
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
    return lines


def result_lines(folder: Path) -> list[str]:
    """Return what came out, benchmark by benchmark, then for held-out training runs."""
    lines = []
    for name in read_record(folder / "bank" / "bank.json")["benchmarks"]:
        row = summary(load_benchmark(folder, name, simulated=False, reference=False))
        lines.append(
            f"{row['name']}: {row['selected']} of {row['items']} items, RMSE {row['rmse']:.2f} "
            f"points (SE {row['se']:.2f}) on {row['test_subjects']} test models, "
            f"{100 * row['coverage']:.0f} % of {100 * row['level']:.0f} % intervals hold"
        )
    for row in held_out_errors(folder):
        lines.append(
            f"held-out runs, {row['benchmark']}, {row['measure']}: {row['n_items']:.1f} of "
            f"{row['n_full']} items, RMSE {row['rmse']:.2f} on {row['n']} checkpoints, "
            f"{100 * row['coverage']:.0f} % of {100 * row['level']:.0f} % intervals hold"
        )
    return lines
