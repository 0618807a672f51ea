"""Objects on their way are not searched for garbage, and what is garbage is found all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from spanledger.garbage import Garbage
from spanledger_core.clock import ManualClock

HOUR_S = 3600.0


class Ring:
    """What reference counting cannot free."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def garbage(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Garbage]:
    monkeypatch.setattr("spanledger.garbage._LOOK_S", 3600.0)  # only when the tests say so
    with Garbage(clock) as garbage:
        yield garbage


def dropped() -> weakref.ref[Ring]:
    return weakref.ref(Ring())


def test_few_objects_are_looked_at(garbage: Garbage) -> None:
    ring = dropped()
    assert ring() is not None
    garbage.look()
    assert ring() is None


def test_many_objects_are_not_until_an_hour_has_passed_and_a_quiet_second_comes(
    garbage: Garbage, clock: ManualClock
) -> None:
    frozen = gc.get_freeze_count()
    traces = [[number] for number in range(30_000)]
    ring = dropped()
    garbage.look()
    assert gc.get_freeze_count() >= frozen + len(traces)
    clock.advance(HOUR_S)
    more = [[number] for number in range(30_000)]
    garbage.look()
    assert ring() is not None
    garbage.look()
    assert ring() is None
    assert len(traces) == len(more)


def test_without_a_quiet_second_it_comes_after_four_hours(garbage: Garbage, clock: ManualClock) -> None:
    kept = []
    ring = dropped()
    for _ in range(4):
        kept.append([[number] for number in range(30_000)])
        garbage.look()
        assert ring() is not None
        clock.advance(HOUR_S)
    kept.append([[number] for number in range(30_000)])
    garbage.look()
    assert ring() is None


def test_afterwards_the_interpreter_decides_again(clock: ManualClock) -> None:
    with Garbage(clock):
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
