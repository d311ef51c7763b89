"""How far long work with a model is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

EVERY = 60.0
"""Seconds between two lines of a log."""


class Progress:
    """Count what is done and show it.

    Parameters
    ----------
    total : int, optional
    unit : str
        What is counted, as one.
    title : str
    every : float
        Seconds between two lines where there is no terminal; 0 writes each step.
    leave : bool
        Whether the bar stays when all is done.

    Examples
    --------
    >>> with Progress(1172, "item", "org/model") as progress:
    ...     progress.update(8)
    """

    def __init__(self, total: int | None, unit: str, title: str, every: float = EVERY,
                 leave: bool = True):  # fmt: skip
        self._bar = tqdm(total=total, unit=unit, desc=title, disable=None, leave=leave)
        self._logged = self._bar.disable
        self._total, self._unit, self._title, self._every = total, unit, title, every
        self._start = self._said = time.monotonic()
        self.n, self._known = 0, ""

    def update(self, n: int = 1) -> None:
        """Count `n` more."""
        self.n += n
        self._bar.update(n)
        now = time.monotonic()
        if self._logged and now - self._said >= self._every:
            self._said = now
            of = f" of {self._total}" if self._total else ""
            known = f"; {self._known}" if self._known else ""
            print(f"{self._title}: {self.n}{of} {self._unit}s, "
                  f"{(now - self._start) / 60:.1f} minutes{known}",
                  file=sys.stderr, flush=True)  # fmt: skip

    def know(self, text: str) -> None:
        """Say what is known so far."""
        self._known = text
        self._bar.set_postfix_str(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
