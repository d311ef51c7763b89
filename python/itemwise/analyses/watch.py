"""A training in progress: which checkpoints of a folder are complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")


@dataclass
class Watch:
    """Looks at a folder again and again.

    A checkpoint is complete when it holds a configuration and weights, and none of its files
    changed between two looks. One that changes later counts as new.

    Attributes
    ----------
    folder : path
    """

    folder: Path
    _seen: dict[Path, tuple] = field(default_factory=dict)
    _given: dict[Path, tuple] = field(default_factory=dict)

    def look(self) -> list[Path]:
        """Return checkpoints that are complete and were not returned before."""
        complete = []
        for path in sorted(path.parent for path in Path(self.folder).glob("*/config.json")):
            state = _state(path)
            if state is not None and self._seen.get(path) == state != self._given.get(path):
                complete.append(path)
                self._given[path] = state
            self._seen[path] = state
        return complete


def _state(path: Path) -> tuple | None:
    """Return names, sizes and times of a checkpoint's files; None without weights."""
    try:
        if not any(next(path.glob(pattern), None) for pattern in WEIGHTS):
            return None
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    except FileNotFoundError:  # a temporary file went away while we looked
        return None
