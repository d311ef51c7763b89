"""Processes that tests start and kill."""

import subprocess
import sys
import time


def check_child_dies_with(parent: str) -> None:
    """Run code whose child prints `on`, kill it, and see that the child ends too."""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"on\n"
        running.kill()
        start = time.monotonic()
        assert running.stdout.read() == b""  # closed, once nobody holds it any more
    assert time.monotonic() - start < 30
