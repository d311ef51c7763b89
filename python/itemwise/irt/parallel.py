"""Threads over blocks of arrays: NumPy and BLAS release the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="itemwise")


def map_ordered(function: Callable, parts: Sequence, threads: int) -> list:
    """Apply `function` to each part, in threads where there are several, in order."""
    if threads == 1 or len(parts) == 1:
        return [function(part) for part in parts]
    return list(_pool(threads).map(function, parts))
