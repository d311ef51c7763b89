"""The files that a configuration names: all there, and what lies in its folders."""

from __future__ import annotations

from pathlib import Path

from itemwise.errors import UserError
from itemwise.responses.sources import source_files


def check_paths(config: dict) -> None:
    """Refuse a configuration whose files do not exist, before anything runs.

    Parameters
    ----------
    config : dict
        As `config.resolve` returns it.

    Raises
    ------
    UserError
        Names the config key and the path.
    """
    named = {"subject_metadata": config["subject_metadata"]}
    for name, benchmark in config["benchmarks"].items():
        for key in ("full_scores", "item_metadata"):
            named[f"benchmarks.{name}.{key}"] = benchmark[key]
    for key, path in named.items():
        if path is not None and not Path(path).exists():
            raise UserError(
                f"config: key '{key}': {path}: no such file; correct the path (it is looked for "
                f"from {Path.cwd()}), or leave the key out"
            )


def source_listing(config: dict) -> dict[str, list[Path]]:
    """Return the files of every source path; those of folders and patterns are several.

    Raises
    ------
    UserError
        Names the config key, and the path that does not exist or holds no table.
    """
    found = {}
    for name, benchmark in config["benchmarks"].items():
        for path in benchmark["sources"] if isinstance(benchmark["sources"], list) else []:
            try:
                found[path] = source_files([path])
            except UserError as error:
                key = f"benchmarks.{name}.sources"
                raise UserError(f"config: key '{key}': {error}") from None
    return found
