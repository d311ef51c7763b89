"""Start a project: a folder with a Snakefile, a configuration and a profile.

The Snakefile takes in the workflow of this installation as a Snakemake module. The
configuration is an example that runs at once, to be changed. Existing files stay.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from itemwise.errors import UserError, listed
from itemwise.paths import PACKAGE, ROOT
from itemwise.tables.files import write_text

FILES = {
    "Snakefile": PACKAGE / "workflow" / "project" / "Snakefile",
    "config.yaml": PACKAGE / "workflow" / "project" / "config.yaml",
    "profiles/default/profile.yaml": ROOT / "profiles" / "default" / "profile.yaml",
}
"""What a project begins with, and what each file is a copy of."""


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("folder", type=Path, help="the project's folder; made where it is missing")


def run(options) -> None:
    """Write the files, unless one of them is there."""
    folder = options.folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder")
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there:
        raise UserError(f"{folder}: holds {listed(there)} already; name another folder")
    for name, source in FILES.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(source.read_text(encoding="utf-8"), target)
    print(f"{folder}: {listed(list(FILES))}")
    print(f"Next: cd {shlex.quote(str(folder))} && snakemake --cores 2")
