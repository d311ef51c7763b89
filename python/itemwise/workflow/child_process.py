"""Child processes that end when their parent does, however it ends.

A parent that is killed (`kill -9`, out of memory) tells its children nothing: they would go
on, and share a GPU with those of the command that is run again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

PARENT = "ITEMWISE_PARENT"
"""Environment variable: the process whose end is a child's end too."""
PAUSE = 0.5
"""Seconds between two looks at the parent."""


def run_child(words: list[str], environment: dict[str, str] | None = None, **options):
    """Run a command of this package to its end, as `subprocess.run`.

    Parameters
    ----------
    words : list of str
    environment : dict, optional
        Variables that are added to this process's.
    **options
        Of `subprocess.run`.

    Returns
    -------
    subprocess.CompletedProcess
    """
    known = {**os.environ, **(environment or {}), PARENT: str(os.getpid())}
    return subprocess.run(words, env=known, **options)


def die_with_parent() -> None:
    """Where this process was started by `run_child`, end it when its parent has ended."""
    parent = os.environ.pop(PARENT, None)  # what this process starts has another parent
    if parent is not None:
        die_with(int(parent))


def die_with(parent: int) -> None:
    """End this process when its parent, a process of that number, has ended."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process once it has another parent; looking works on every Unix."""
    while os.getppid() == parent:
        time.sleep(PAUSE)
    os.kill(os.getpid(), signal.SIGKILL)
