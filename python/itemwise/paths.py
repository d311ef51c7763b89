"""Where the workflow lies: in the clone, or in the installed package.

A wheel holds the workflow beside the package's modules (`setup.py` puts it there); a clone has
no such folder, and its own files are used.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The package's own folder."""

INSTALLED = (PACKAGE / "_project").is_dir()
"""Whether a wheel brought the workflow; else the package runs from its clone."""

ROOT = PACKAGE / "_project" if INSTALLED else PACKAGE.parents[1]
"""The folder of `Snakefile`, `rules/`, `R/`, `config/`, `profiles/` and `envs/`."""


def from_here(path: Path) -> str:
    """Return a path as the working folder sees it: relative if it lies below, else absolute."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
