"""Work that follows writing: collected, and never the larger part of a core."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from spanledger_core.clock import SystemClock
from spanledger_core.errors import StoreUnavailable
from spanledger_exporter.hourwork import HourWork


def test_costly_work_is_done_less_often() -> None:
    """Marks that come all the time: a work of 0.1 s may take a sixth of the time, not all of it."""
    runs: list[set[int]] = []

    def work(hours: Collection[int]) -> None:
        runs.append(set(hours))
        time.sleep(0.1)

    subject = HourWork("test", work, delay_s=0.01, clock=SystemClock())
    subject.start()
    ends = time.monotonic() + 1.5
    marked = 0
    while time.monotonic() < ends:
        marked += 1
        subject.mark({marked})
        time.sleep(0.01)
    subject.close(5.0)
    assert 2 <= len(runs) <= 5
    assert set().union(*runs) == set(range(1, marked + 1))


def test_an_outage_is_no_work_to_rest_from() -> None:
    """After seconds of vain tries the next hours need not wait five times as long."""
    runs: list[set[int]] = []
    until_s = time.monotonic() + 3.0

    def work(hours: Collection[int]) -> None:
        if time.monotonic() < until_s:
            raise StoreUnavailable("connection refused")
        runs.append(set(hours))

    subject = HourWork("test", work, delay_s=0.01, clock=SystemClock())
    subject.start()
    subject.mark({1})
    while not runs:
        time.sleep(0.01)
    subject.mark({2})
    ends = time.monotonic() + 12.0
    while len(runs) < 2 and time.monotonic() < ends:
        time.sleep(0.01)
    subject.close(5.0)
    assert runs == [{1}, {2}]
    assert time.monotonic() < ends


def test_settling_waits_for_what_was_marked_however_much_comes() -> None:
    """Under steady traffic there is always something marked or under way."""

    def work(hours: Mapping[int, int]) -> None:
        subject.mark([3600])  # an insert comes while it runs

    subject = HourWork("test", work, delay_s=30.0, clock=SystemClock())
    subject.start()
    subject.mark([0])
    subject.mark([])
    assert subject.settle(10)
    assert subject.settle(10)
    subject.mark([])
    assert subject.settle(10)
    subject.close(0.1)
