"""Python's threads stay on one CPU, the engine's run anywhere. A state of a process, so in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs a system that can say where threads run, and two CPUs",
)


def said(program: str, *arguments: str) -> list[int]:
    """What a program prints: numbers of CPUs."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [int(number) for number in done.stdout.split()]


HEAD = """
import os
from threading import Thread
from spanledger_core.placement import anywhere, keep_together
def count():
    print(len(os.sched_getaffinity(0)))
def of_thread():
    thread = Thread(target=count)
    thread.start()
    thread.join()
"""


def test_threads_follow_the_one_that_starts_them() -> None:
    cpus = len(os.sched_getaffinity(0))
    program = f"""{HEAD}
count()
keep_together()
count()
of_thread()
with anywhere():
    count()
    of_thread()
    with anywhere():
        count()
    count()
count()
"""
    assert said(program) == [cpus, 1, 1, cpus, cpus, cpus, cpus, 1]


def test_a_process_that_has_one_cpu_is_left_as_it_is() -> None:
    program = f"""{HEAD}
os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})
keep_together()
with anywhere():
    count()
count()
"""
    assert said(program) == [1, 1]


def test_collectors_in_containers_spread() -> None:
    program = """
import os
import socket
import sys
os.getpid = lambda: 1
socket.gethostname = lambda: sys.argv[1]
from spanledger_core.placement import keep_together
keep_together()
print(*os.sched_getaffinity(0))
"""
    chosen = [said(program, f"collector-{number}") for number in range(8)]
    assert len(set(map(tuple, chosen))) > 1


def test_where_it_is_forbidden_nothing_happens() -> None:
    program = f"""{HEAD}
def refuse(*_):
    raise PermissionError(1, "Operation not permitted")
os.sched_setaffinity = refuse
keep_together()
with anywhere():
    count()
count()
"""
    cpus = len(os.sched_getaffinity(0))
    assert said(program) == [cpus, cpus]


def test_a_process_that_was_moved_to_other_cpus_goes_on() -> None:
    program = f"""{HEAD}
keep_together()
def refuse(*_):
    raise OSError(22, "Invalid argument")
os.sched_setaffinity = refuse
with anywhere():
    count()
count()
"""
    assert said(program) == [1, 1]


def test_the_engines_threads_may_run_anywhere() -> None:
    program = f"""{HEAD}
keep_together()
from contextlib import suppress
from pathlib import Path
from spanledger_core.clock import SystemClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store
with open_store(StoreAddress.parse("chdb://memory", Path()), StoreSettings(), SystemClock()) as store:
    store.migrate()
    store.query("SELECT sum(number) FROM numbers_mt(10000000)")
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it may have ended
            if (task / "comm").read_text().startswith(("ThreadPool", "MergeMutate", "BgSchPool")):
                print(len(os.sched_getaffinity(int(task.name))))
    count()
"""
    *engine, ours = said(program)
    assert engine
    assert set(engine) == {len(os.sched_getaffinity(0))}
    assert ours == 1
