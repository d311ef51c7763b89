"""The terminal: lines above a bar, and the ends of logs."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from tqdm import tqdm

from itemwise.cli.terminal import styled

TAIL = 15
"""Lines of a failed job's log that are shown."""


class Screen:
    """Lines on standard error, above a bar where it is a terminal."""

    def __init__(self, stream, plain: bool):
        self.stream = stream
        self.plain = plain  # no colour
        self.bar = None
        self.lock = threading.RLock()
        self.over = threading.Event()

    def say(self, text: str = "", *styles: str) -> None:
        """Print a line."""
        if styles and not self.plain:
            text = styled(text, *styles, stream=self.stream)
        with self.lock:
            self.hide_bar()
            print(text, file=self.stream, flush=True)
            self.tick()

    def start_bar(self, total: int) -> None:
        """Show a bar, if this is a terminal; it moves once a second, so that it is seen to live."""
        if not self.stream.isatty() or os.environ.get("TERM") == "dumb":
            return
        shape = "{percentage:3.0f}% |{bar:20}| {n_fmt} of {total_fmt} jobs, {elapsed}{postfix}"
        self.bar = tqdm(
            total=total, file=self.stream, leave=False, dynamic_ncols=True, bar_format=shape
        )
        threading.Thread(target=self._keep_ticking, daemon=True).start()

    def _keep_ticking(self) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            while not self.over.wait(1):
                self.tick()

    def tick(self) -> None:
        """Draw the bar again."""
        with self.lock:
            if self.bar is not None:
                self.bar.refresh()

    def hide_bar(self) -> None:
        """Clear the bar's line."""
        with self.lock:
            if self.bar is not None:
                self.bar.clear()

    def move_bar(self, done: int, at_work: list[str]) -> None:
        """Say how many jobs are done, and which rules are at work."""
        with self.lock:
            if self.bar is not None:
                self.bar.n = done
                self.bar.set_postfix_str(", ".join(at_work))

    def close(self) -> None:
        """Take the bar away."""
        self.over.set()
        with self.lock:
            if self.bar is not None:
                self.bar.close()
                self.bar = None


def tail(path: str) -> list[str]:
    """Return the last lines of a log; of a line that was drawn over, what was drawn last."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 20_000))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return [f"({path}: {error.strerror})"]
    lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in lines if line][-TAIL:] or ["(its log is empty)"]
