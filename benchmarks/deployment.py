"""Conda and container: a dry run of the one, and the other built without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from common import markdown, write_evidence
from kills import compare_tables, copy_project, run_of, start_run

from itemwise.paths import ROOT

DEFINITION = ROOT / "envs" / "itemwise.def"
CONFIGURATIONS = ("simulated", "demo", "analysis360")
DEBIAN = "http://deb.debian.org/debian"
BIND = "APPTAINER_BIND"
"""As with Apptainer: paths of this machine, joined by commas, that the container sees too."""
ENTER = """\
root=$1; work=$2; shift 2
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc"
mkdir -p "$root$work" && mount --bind "$work" "$root$work"
for path in ${APPTAINER_BIND//,/ }; do
  if [ -d "$path" ]; then mkdir -p "$root$path"; else
    mkdir -p "$(dirname "$root$path")" && touch "$root$path"; fi
  mount --bind "$path" "$root$path" && mount -o remount,bind,ro "$root$path"
done
exec chroot "$root" "$@"
"""


def deployment() -> None:
    """Dry-run the conda environments; execute the container's definition on a bare Debian."""
    parts = ["## conda", conda(), "## The container's definition", container()]
    write_evidence("deployment", "conda and container", "\n\n".join(parts), "make prove")


def conda() -> str:
    """Let Snakemake say which environments a run would create."""
    if shutil.which("conda") is None:
        return "Not tried: no `conda` on the path."
    told = subprocess.run(["conda", "--version"], check=True, capture_output=True, text=True)
    rows = []
    for name in CONFIGURATIONS:
        command = [*run_of(f"config/{name}.yaml"), "--sdm", "conda", "--dry-run"]
        done = subprocess.run(
            [*command, "--cores", "2", "--forceall"], cwd=ROOT, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        said = done.stdout + done.stderr
        wanted = sorted(set(re.findall(r"Conda environment (\S+) will be created", said)))
        assert wanted, said[-2000:]
        jobs = re.search(r"^total\s+(\d+)$", said, re.MULTILINE)[1]
        rows.append({"configuration": name, "jobs": jobs, "would create": ", ".join(wanted)})
    return (
        f"`snakemake --sdm conda --dry-run`, {told.stdout.strip()}. The environments were read, "
        "not solved.\n\n" + markdown(pd.DataFrame(rows))
    )


def container() -> str:
    """Execute the definition's sections on a bare Debian, and run the pipeline inside."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        return "Not tried: needs root and Debian's `debootstrap`."
    sections = read_definition(DEFINITION.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root, clean, inside = folder / "root", folder / "clean", folder / "inside"
        for place in (clean, inside):
            copy_project(place)
        copy_tracked(".", inside)  # the container is run in a clone
        began = time.monotonic()
        install_base(sections["base"], root)
        copy_files(sections["files"], root)
        enter(root, folder, sections["post"], "/")
        built = time.monotonic() - began
        doctor = enter(root, folder, sections["environment"] + sections["test"], str(inside))
        run = "snakemake --configfile kills.yaml --cores 2 --quiet all"
        enter(root, folder, sections["environment"] + run, str(inside))
        assert start_run(clean).wait() == 0
        different, compared = compare_tables(clean, inside)
    if different:
        raise SystemExit(f"differ inside the container: {different}")
    return (
        f"No container engine was at hand: the sections of `{DEFINITION.relative_to(ROOT)}` were "
        f"executed by bash in a root file system that `debootstrap` made (`{sections['base']}`), "
        f"in namespaces of their own. Built in {built / 60:.1f} minutes; its test ended with "
        f"status 0. The small run of two benchmarks (`benchmarks/kills.py`) inside: "
        f"**{compared} tables compared with a run outside, {len(different)} different.**\n\n"
        f"```\n{doctor.strip()}\n```"
    )


def read_definition(text: str) -> dict[str, str]:
    """Return the base image and the sections of an Apptainer definition."""
    head, *parts = re.split(r"^%(\w+)[^\n]*\n", text, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return sections | {"base": re.search(r"^From: (\S+)$", head, re.MULTILINE)[1]}


def install_base(image: str, root: Path) -> None:
    """Make the root file system of a Debian image, `debian:12-slim` say."""
    release = {"12": "bookworm", "13": "trixie"}[re.fullmatch(r"debian:(\d+)-slim", image)[1]]
    command = ["debootstrap", "--variant=minbase", release, str(root), DEBIAN]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def copy_files(section: str, root: Path) -> None:
    """Copy what `%files` names: source and destination a line."""
    for line in section.strip().splitlines():
        source, destination = line.split()
        copy_tracked(source, root / destination.lstrip("/"))


def copy_tracked(source: str, place: Path) -> None:
    """Copy what a clone would hold of a folder."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", source],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, tracked):
        to = place / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to)


def enter(root: Path, work: Path, script: str, cwd: str) -> str:
    """Run a script inside, where only `work` and the bound paths are this machine's."""
    command = ["unshare", "--mount", "--pid", "--fork", "bash", "-euc", ENTER, "enter"]
    command += [str(root), str(work), "/bin/bash", "-euc", f"cd {cwd}\n{script}"]
    kept = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        BIND: os.environ.get(BIND, ""),
    }
    done = subprocess.run(
        command, env=environment | kept, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"inside, status {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout
