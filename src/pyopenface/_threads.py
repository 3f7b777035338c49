"""How many threads to use."""

from __future__ import annotations

import os

from pyopenface._options import whole_number

__all__ = ["thread_count"]

#: More are a mistake, and the engine takes no more.
MOST_THREADS = 1000


def thread_count(threads: int | None) -> int:
    """The number of threads to use: the given one, or as many as this process may use, at most 4."""
    if threads is None:
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(4, allowed)
    return whole_number("threads", threads, most=MOST_THREADS)
