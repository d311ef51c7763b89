"""The resolved configuration of a run, as the workflow wrote it: `results/<run>/config.yaml`."""

from __future__ import annotations

from pathlib import Path

import yaml

from itemwise.errors import UserError


def read_resolved(path: str | Path) -> dict:
    """Read a resolved configuration: every key, defaults included.

    Raises
    ------
    UserError
        No such file, or not what the workflow writes.
    """
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); run snakemake, which writes it, or check --config"
        ) from error
    if not isinstance(config, dict) or "benchmarks" not in config:
        raise UserError(f"{path}: is no resolved configuration; run snakemake, which writes it")
    return config
