"""What benchmarks and proofs share: where data are, how evidence is written."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.tables.files import write_text

EVIDENCE = ROOT / "docs" / "evidence"
MATRICES = {
    "arc_primary": "4PL",
    "arc_secondary": "2PL",
    "gsm8k_primary": "2PL",
    "gsm8k_secondary": "2PL",
}
"""Real response matrices and the model that was published for each."""


def data_folder() -> Path:
    """Return the folder of real data.

    Raises
    ------
    UserError
        It is not there.
    """
    folder = Path(os.environ.get("ITEMWISE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "leaderboard").is_dir():
        raise UserError(f"{folder}: holds no leaderboard/; set ITEMWISE_DATA to the real data")
    os.environ["ITEMWISE_DATA"] = str(folder.resolve())  # configurations of proofs name it
    return folder


def write_evidence(name: str, title: str, text: str, command: str) -> None:
    """Write one page of evidence, saying what wrote it, where and when."""
    head = (
        f"# {title}\n\nWritten by `{command}` on {datetime.now(UTC):%Y-%m-%d}; itemwise "
        f"{version('itemwise')}, Python {platform.python_version()}, {os.cpu_count()} cores.\n\n"
    )
    write_text(head + text.strip() + "\n", EVIDENCE / f"{name}.md")
    print(f"wrote {EVIDENCE / name}.md")


def markdown(table: pd.DataFrame) -> str:
    """Return a data frame as a Markdown table."""
    rows = [
        list(table.columns),
        ["---"] * len(table.columns),
        *table.astype(str).to_numpy().tolist(),
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
