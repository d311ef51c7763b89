"""The robustness drill: faults injected into whole runs, what each said, what was lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from common import markdown, write_evidence
from kills import (
    UNLOCK,
    compare_tables,
    copy_project,
    kill_at_random,
    own_code,
    run_of,
    start_run,
)

from itemwise.tables.contract import open_parquet

N_KILLS = 10
RESULTS = "results/kills"
DAY = 86_400
LATE = (
    "select_items", "score_forms", "fit_process", "fit_joint_process", "fit_readout",
    "draw_baseline", "simulate_cat", "bank", "report.html",
)  # fmt: skip
"""What is removed of a finished run to have one that is half done."""


class Drill:
    """A finished run without faults, and what happened to its disturbed copies."""

    def __init__(self, folder: Path):
        self.folder, self.clean = folder, folder / "clean"
        self.rows: list[dict] = []
        copy_project(self.clean)
        began = time.monotonic()
        if start_run(self.clean).wait() != 0:
            raise SystemExit("the run without faults failed")
        self.seconds = time.monotonic() - began

    def copy(self, half: bool = False) -> Path:
        """Return a copy of the finished run, or of what its first half left."""
        place = self.folder / f"case{len(self.rows)}"
        shutil.copytree(self.clean, place, symlinks=True)
        if half:
            for name in LATE:
                path = place / RESULTS / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return place

    def note(self, fault: str, injected: int, said: str, place: Path, killed: bool = False) -> None:
        """Compare the tables of a case with those of the run without faults; keep the row.

        What is killed cannot remove its temporary file; everything else has to.
        """
        different, compared = compare_tables(self.clean, place)
        left = [path.name for path in place.rglob(".*.tmp")]
        survived = not different and (killed or not left)
        self.rows.append(
            {
                "fault": fault,
                "injected": injected,
                "what was said": said.replace("|", "\\|"),
                "tables compared": compared,
                "lost or different": ", ".join(different) or "none",
                "temporary files left": len(left),
                "survived": "yes" if survived else "NO",
            }
        )
        print(self.rows[-1], flush=True)


def drill() -> None:
    """Inject every fault, finish each run by the same command, compare the tables."""
    with tempfile.TemporaryDirectory() as folder:
        begun = Drill(Path(folder))
        for fault in (kills_anywhere, two_runs, full_disk, read_only, clocks, corruption):
            fault(begun)
    text = f"""\
Each case is a copy of the small simulated run of two benchmarks ({begun.seconds:.0f} s
undisturbed on 2 cores); a fault is injected, the remedy that the message names is followed,
and the same command finishes the run. Then every table is compared with that of the run
without faults, value by value.

{markdown(pd.DataFrame(begun.rows))}

After the kills, on the full disks and in the read-only folder every table that was there was
read before the remedy: none was half-written. A table deleted from a finished run is written
anew when something needs it, or when it is named: `snakemake ... -- results/.../x.parquet`.
Not covered: records are JSON, which shows cuts but not every changed digit. The log of a stage
takes no message while the disk that holds it is full; the run then ends with the space left.
"""
    write_evidence("drill", "Robustness drill", text, "make prove")
    failed = [row["fault"] for row in begun.rows if row["survived"] != "yes"]
    if failed:
        raise SystemExit(f"not survived: {failed}")


def run_again(place: Path, *options: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the pipeline in a case to its end; what it printed is in `stdout`."""
    return subprocess.run(
        [*run_of(), "--cores", "2", *options],
        cwd=place,
        env=own_code(place) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def finish(place: Path, **variables: str) -> None:
    """Finish a run; whatever prevents it ends the drill."""
    done = run_again(place, **variables)
    if done.returncode != 0:
        raise SystemExit(f"{place} could not be finished:\n{done.stdout[-3000:]}")


def error_of(place: Path, printed: str, pattern: str) -> str:
    """Return the first message that has the pattern, from the logs, else from Snakemake."""
    logs = sorted((place / RESULTS / "logs").rglob("*.log"), key=lambda path: -path.stat().st_mtime)
    lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    for line in [*lines, *printed.splitlines()]:
        if re.search(pattern, line):
            return f"`{line.strip().replace(str(place), '...')}`"
    return ""


def kills_anywhere(begun: Drill) -> None:
    """Kill Snakemake and its stage at random moments of the whole run."""
    place = begun.folder / "killed"
    copy_project(place)
    counts = kill_at_random(place, N_KILLS, begun.seconds)
    _assert_whole(place)
    finish(place)
    said = "; ".join(f"{name}: {n}" for name, n in counts.items())
    n_killed = counts["SIGKILL"] + counts["SIGTERM"]
    begun.note("killed at random moments", n_killed, said, place, killed=True)


def two_runs(begun: Drill) -> None:
    """Start a second run in the folder of a first."""
    place = begun.copy(half=True)
    first = start_run(place)
    while not any((place / ".snakemake" / "locks").glob("*")):
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGSTOP)  # it is still at work when the second starts
    second = run_again(place)
    os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert first.wait() == 0
    said = error_of(place, second.stdout, "cannot be locked")
    assert said, second.stdout
    begun.note("a second run in the same folder", 1, said, place)


def full_disk(begun: Drill) -> None:
    """Give the results, or the whole folder with Snakemake's notes, too small a disk."""
    if not _is_root("full disk"):
        return
    needed = _kilobytes(begun.clean / "results")
    everything = _kilobytes(begun.clean)
    cases = [("results", share) for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9)]
    cases += [(".", share) for share in (0.1, 0.5, 0.9)]
    for name, share in cases:
        place = begun.folder / f"disk{name}{share}"
        small = place / name
        small.mkdir(parents=True)
        kilobytes = share * needed + (everything - needed if name == "." else 0)
        with _mounted(small, int(kilobytes)):
            shutil.copytree(begun.clean, place, symlinks=True, dirs_exist_ok=True, ignore=_results)
            refused = run_again(place)
            assert refused.returncode != 0, "the disk was not too small"
            said = error_of(place, refused.stdout, "No space left on|left on its disk")
            _assert_whole(place)
            subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
            _unlock(place)
            finish(place)
            where = "the results" if name == "results" else "the whole folder"
            begun.note(f"disk of {where} full, room for {share:.0%}", 1, said, place)


def read_only(begun: Drill) -> None:
    """Make the results read-only when the run is half done."""
    if not _is_root("read-only results"):
        return
    place = begun.copy(half=True)
    moved = place / "kept"
    (place / "results").rename(moved)
    (place / "results").mkdir()
    with _mounted(place / "results", 100_000):
        shutil.copytree(moved, place / "results", dirs_exist_ok=True)
        shutil.rmtree(moved)
        subprocess.run(["mount", "-o", "remount,ro", str(place / "results")], check=True)
        refused = run_again(place)
        assert refused.returncode != 0
        said = error_of(place, refused.stdout, "Read-only")
        _assert_whole(place)
        subprocess.run(["mount", "-o", "remount,rw", str(place / "results")], check=True)
        _unlock(place)
        finish(place)
        begun.note("results read-only", 1, said, place)


def clocks(begun: Drill) -> None:
    """Finish half a run whose files carry times of a wrong clock.

    Times of files are what a run sees of a clock that was set. (libfaketime would step the
    clock of a process, but Python's sleep fails under it.)
    """
    shifts = {
        "results from a day ahead": ("results", DAY),
        "results from a year ago": ("results", -365 * DAY),
        "code and configuration from a day ahead": (".", DAY),
    }
    for label, (under, shift) in shifts.items():
        place = begun.copy(half=True)
        for path in (place / under).rglob("*"):
            if path.is_file() and (under == "results" or "results" not in path.parts):
                status = path.stat()
                os.utime(path, (status.st_atime + shift, status.st_mtime + shift))
        said = "nothing"
        first = run_again(place)
        if first.returncode != 0:
            said = error_of(place, first.stdout, "clock skew")
            _touch_what_is_ahead(place)
            finish(place)
        again = run_again(place, "--dry-run").stdout
        assert "Nothing to be done" in again, again
        begun.note(label, 1, said, place)


def corruption(begun: Drill) -> None:
    """Damage a file of a finished run and run a stage that reads it; delete it and finish."""
    damages = {
        "one bit flipped": _flip,
        "cut to half": lambda content: content[: len(content) // 2],
        "emptied": lambda content: b"",
        "another table under its name": lambda content: (
            begun.clean / RESULTS / "split_subjects/splits.parquet"
        ).read_bytes(),
    }
    read_by = {
        "build_responses/one.parquet": "cut_sets",
        "training/one.parquet": "fit_irt",
        "fit_irt/one.parquet": "score_subjects",
        "select_items/one.parquet": "fit_readout",
        "fit_readout/one.terms.parquet": "simulate_cat",
    }
    for name, consumer in read_by.items():
        for label, damage in damages.items():
            _corrupt(begun, name, consumer, label, damage)
    for label in ("cut to half", "emptied"):
        _corrupt(begun, "select_items/one.json", "fit_readout", label, damages[label])
    other = (begun.clean / RESULTS / "fit_irt/two.parquet").read_bytes()
    # Its items and the responses do not belong together; the message is about both.
    _corrupt(
        begun,
        "fit_irt/one.parquet",
        "score_subjects",
        "that of another benchmark",
        lambda _: other,
        named="items have no column in the responses",
    )


def _corrupt(
    begun: Drill,
    name: str,
    consumer: str,
    label: str,
    damage: Callable[[bytes], bytes],
    named: str | None = None,
) -> None:
    """Damage one file; the stage that reads it must refuse and name it, or what is `named`."""
    place = begun.copy()
    results = place / RESULTS
    for output in [*results.glob(f"{consumer}/one.*"), results / "report.html"]:
        output.unlink()  # the run was interrupted before them
    shutil.rmtree(results / "bank")
    path = results / name
    path.write_bytes(damage(path.read_bytes()))
    refused = run_again(place)
    said = error_of(place, refused.stdout, rf"error: .*{re.escape(named or name)}")
    if refused.returncode == 0 or not said:
        said = f"NOT DETECTED by {consumer}" if refused.returncode == 0 else "no message names it"
        print(refused.stdout[-3000:])
    path.unlink()
    finish(place)
    begun.note(f"{name} {label}, read by {consumer}", 1, said, place)
    if "`" not in said:
        begun.rows[-1]["survived"] = "NO"


def _flip(content: bytes) -> bytes:
    """Flip one bit in the middle."""
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 4
    return bytes(damaged)


def _touch_what_is_ahead(place: Path) -> None:
    """Give files from the future the present time: `touch`."""
    for path in place.rglob("*"):
        if path.is_file() and path.stat().st_mtime > time.time():
            path.touch()


def _is_root(fault: str) -> bool:
    if os.geteuid() == 0:
        return True
    print(f"{fault}: skipped, only root can mount a small or read-only file system")
    return False


def _results(folder: str, names: list[str]) -> set[str]:
    """Say what is not copied: results, and what Snakemake noted of them."""
    return {"results", ".snakemake"} & set(names)


def _kilobytes(folder: Path) -> int:
    """Return what a folder takes on a disk with blocks of 4 KB."""
    return sum(4 * -(-path.stat().st_size // 4096) for path in folder.rglob("*") if path.is_file())


def _assert_whole(place: Path) -> None:
    """Read every table that is there."""
    for path in (place / "results").rglob("*.parquet"):
        open_parquet(path)


def _unlock(place: Path) -> None:
    """Remove a lock that Snakemake could not remove itself."""
    subprocess.run(UNLOCK, cwd=place, env=own_code(place), check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _mounted(folder: Path, kilobytes: int) -> Iterator[None]:
    """Mount a small file system."""
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs"]
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
