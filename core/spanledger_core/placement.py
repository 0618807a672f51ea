"""Which CPUs threads run on.

Python runs one thread at a time, on whichever CPU that thread is: with each turn the objects that one thread made and
the next one reads move from one CPU's caches to another's. Kept on one CPU, the collector needs an eighth less time for
a span (docs/performance.md). The engine's own threads need no interpreter: they use every CPU, and so does a thread of
ours while it is in the engine.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from socket import gethostname
from zlib import crc32

_everywhere: frozenset[int] = frozenset()
"""The CPUs that this process may use; empty while nothing is kept together."""


def keep_together() -> None:
    """From now on the calling thread, and every thread that it starts, runs on one CPU of those it may use.

    Nothing happens where there is only one, nor where the system has no such thing (it is Linux's) or forbids it.
    """
    global _everywhere  # noqa: PLW0603 - the CPUs of a process are a state of the process
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        _everywhere = frozenset(allowed)
        # several collectors on one machine spread; in containers each is number 1, of another host
        own = crc32(f"{gethostname()} {os.getpid()}".encode())
        _run_on({allowed[own % len(allowed)]})


@contextmanager
def anywhere() -> Iterator[None]:
    """Within it the calling thread, and every thread that it starts, runs on any CPU. For calls that need no Python."""
    if not _everywhere:
        yield
        return
    before = os.sched_getaffinity(0)
    _run_on(_everywhere)
    try:
        yield
    finally:
        _run_on(before)


def _run_on(cpus: Collection[int]) -> None:
    # a sandbox may forbid it, and the process may have been moved to other CPUs meanwhile: it only costs time
    with suppress(OSError):
        os.sched_setaffinity(0, cpus)
