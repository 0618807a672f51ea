"""One booking process per database: claims, renewals, standbys, and holders that were slow or stood still."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import pytest

from spanledger.lease import InStore, Keeper, Lease, LeaseSettings, identity, wait_for
from spanledger.standby import Fenced, Holding, ToldToStop, stand_by
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.errors import StoreUnavailable
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.blocks import Block
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

TIMES = LeaseSettings()


class Line:
    """A store's tables, reached over a line that can be slow or cut."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self._tables = InStore(store)
        self._clock = clock
        self.down = False
        self.insert_takes_s = 0.0

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self.down:
            raise StoreUnavailable("cut")
        return self._tables.query(sql)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if self.down:
            raise StoreUnavailable("cut")
        self._tables.insert(table, columns, rows)
        self._clock.advance(self.insert_takes_s)


@pytest.fixture(scope="module")
def engine() -> Iterator[Store]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # times matter here, not the disk's
    with TemporaryDirectory(dir=memory) as folder:
        address = StoreAddress.parse(f"chdb://{folder}", Path(folder))
        with open_store(address, StoreSettings(), SystemClock()) as store:
            store.migrate()
            yield store


@pytest.fixture
def store(engine: Store) -> Store:
    with engine.lease() as client:
        client.command("TRUNCATE TABLE booking_lease")
    return engine


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lease(store: Store, clock: ManualClock) -> Callable[[str], tuple[Lease, Line]]:
    def make(holder: str) -> tuple[Lease, Line]:
        line = Line(store, clock)
        return Lease(line, holder, clock, TIMES), line

    return make


Make = Callable[[str], tuple[Lease, Line]]


def acquire(lease: Lease, clock: ManualClock, within_s: float = 60.0) -> bool:
    end = clock.monotonic_s() + within_s
    while clock.monotonic_s() < end:
        if lease.try_acquire():
            return True
        clock.advance(1.0)
    return False


def test_the_first_to_ask_holds_it_and_says_so(lease: Make, clock: ManualClock) -> None:
    first, _ = lease("first")
    with pytest.raises(StoreUnavailable, match="booking lease"):
        first.check()
    assert acquire(first, clock, within_s=5)
    first.check()
    assert first.generation == 1


def test_a_standby_waits_as_long_as_the_holder_renews(lease: Make, clock: ManualClock) -> None:
    (first, _), (second, _) = lease("first"), lease("second")
    assert acquire(first, clock)
    for _ in range(30):
        clock.advance(TIMES.renew_s)
        assert first.renew()
        assert not second.try_acquire()
    assert second.holder() == "first"
    assert not second.held


def test_a_standby_takes_over_when_the_holder_dies_and_never_before_that_one_has_stopped(
    lease: Make, clock: ManualClock
) -> None:
    (first, line), (second, _) = lease("first"), lease("second")
    assert acquire(first, clock)
    assert not second.try_acquire()
    line.down = True
    waited = 0.0
    while not second.try_acquire():
        if first.held:
            with pytest.raises(StoreUnavailable):
                first.renew()
        clock.advance(0.5)
        waited += 0.5
        assert not (first.held and second.held)
    assert TIMES.expire_s <= waited <= TIMES.expire_s + TIMES.settle_s + 1
    assert second.held
    assert second.generation == 2
    line.down = False
    assert not first.renew()
    assert not first.held


def test_a_holder_that_stood_still_finds_out_before_it_books_again(lease: Make, clock: ManualClock) -> None:
    (first, _), (second, _) = lease("first"), lease("second")
    assert acquire(first, clock)
    second.try_acquire()
    clock.advance(100)  # the machine was asleep
    with pytest.raises(StoreUnavailable):
        first.check()
    assert acquire(second, clock)
    assert not first.renew()


def test_of_two_claims_to_one_generation_the_earlier_counts(lease: Make, clock: ManualClock) -> None:
    (first, _), (second, _) = lease("first"), lease("second")
    assert not second.try_acquire()  # both have seen nobody, and claim
    assert not first.try_acquire()
    clock.advance(TIMES.settle_s)
    assert not first.try_acquire()
    assert second.try_acquire()
    assert (first.held, second.held) == (False, True)


def test_a_claim_that_took_too_long_is_none_and_nobody_trusts_it(lease: Make, clock: ManualClock) -> None:
    (slow, line), (quick, _) = lease("slow"), lease("quick")
    line.insert_takes_s = TIMES.settle_s
    assert not slow.try_acquire()
    line.insert_takes_s = 0.0
    assert not quick.try_acquire()
    for _ in range(10):
        clock.advance(1.0)
        assert not slow.try_acquire()
        assert not quick.try_acquire()
    assert acquire(quick, clock) or acquire(slow, clock)
    assert quick.held != slow.held


def test_what_is_given_back_is_taken_without_waiting(lease: Make, clock: ManualClock) -> None:
    (first, _), (second, _) = lease("first"), lease("second")
    assert acquire(first, clock)
    second.try_acquire()
    first.release()
    assert not first.held
    assert acquire(second, clock, within_s=TIMES.settle_s + 2)


def test_the_same_data_directory_takes_over_from_itself_after_a_crash(lease: Make, clock: ManualClock) -> None:
    before, _ = lease("one")
    assert acquire(before, clock)
    after, _ = lease("one")
    assert acquire(after, clock, within_s=TIMES.settle_s + 2)
    assert after.generation == 2
    assert not before.renew()


@pytest.mark.parametrize("holders", [2, 5])
def test_never_two_at_once_whatever_fails(lease: Make, clock: ManualClock, holders: int) -> None:
    import random

    chance = random.Random(holders)
    made = [lease(f"holder {number}") for number in range(holders)]
    held_by: list[int] = []
    for _ in range(150):
        clock.advance(chance.choice((0.3, 1.0, 2.0)))
        at = chance.randrange(holders)
        one, line = made[at]
        line.down = chance.random() < 0.25
        line.insert_takes_s = chance.choice((0.0, 0.0, 0.2, 3.0))
        try:
            if one.held:
                one.renew()
            elif one.try_acquire():
                held_by.append(at)
        except StoreUnavailable:
            pass
        assert sum(each.held for each, _ in made) <= 1
    assert held_by


def test_the_keeper_renews_gives_back_and_tells_when_the_lease_is_lost(store: Store) -> None:
    quick = LeaseSettings(renew_s=0.05, settle_s=0.4, hold_s=2.0, expire_s=3.0)
    clock, lost = SystemClock(), Event()
    first = Lease(InStore(store), "first", clock, quick)
    assert wait_for(first, quick, Event())
    keeper = Keeper(first, quick, lost.set)
    keeper.start()
    lost.wait(0.5)
    assert first.held
    keeper.stop()
    assert not lost.is_set()
    second = Lease(InStore(store), "second", clock, quick)
    assert wait_for(second, quick, Event())  # at once: it was given back
    keeper = Keeper(second, quick, lost.set)
    keeper.start()
    usurper = Lease(InStore(store), "second", clock, quick)  # the same identity twice: the later process wins
    assert wait_for(usurper, quick, Event())
    assert lost.wait(60)
    assert not second.held
    keeper.stop()
    usurper.release()


QUICK = LeaseSettings(renew_s=0.05, settle_s=1.0, hold_s=3.0, expire_s=5.0)


class CutLine(InStore):
    """A line that is up or down, and that can lose the reply to an insert."""

    down = False
    lose_a_reply = False

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self.down:
            raise StoreUnavailable("cut")
        return super().query(sql)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if self.down:
            raise StoreUnavailable("cut")
        super().insert(table, columns, rows)
        if self.lose_a_reply:
            self.lose_a_reply = False
            raise StoreUnavailable("connection reset by peer")


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        Event().wait(0.05)
    raise AssertionError("did not happen in time")


def test_a_holder_goes_on_after_an_outage_that_was_longer_than_its_hold(store: Store) -> None:
    line, lost = CutLine(store), Event()
    lease = Lease(line, "only", SystemClock(), QUICK)
    assert wait_for(lease, QUICK, Event())
    keeper = Keeper(lease, QUICK, lost.set)
    keeper.start()
    line.down = True
    until(lambda: not lease.held)
    lost.wait(0.5)
    with pytest.raises(StoreUnavailable):
        lease.check()  # nothing is booked meanwhile
    line.lose_a_reply = True  # of the claim, when the store is back
    line.down = False
    until(lambda: lease.held)
    lost.wait(2.0)
    until(lambda: lease.held)
    assert lease.generation >= 2  # what a standby could have begun to claim meanwhile does not count
    keeper.stop()
    assert not lost.is_set()


def test_a_holder_that_was_cut_off_alone_has_lost_it_to_the_standby(store: Store) -> None:
    line, lost = CutLine(store), Event()
    lease = Lease(line, "first", SystemClock(), QUICK)
    assert wait_for(lease, QUICK, Event())
    keeper = Keeper(lease, QUICK, lost.set)
    keeper.start()
    line.down = True
    second = Lease(InStore(store), "second", SystemClock(), QUICK)
    assert wait_for(second, QUICK, Event())
    assert not lease.held
    assert not lost.is_set()
    line.down = False
    assert lost.wait(10)
    assert not lease.held
    keeper.stop()


def test_standing_by_ends_when_told_to_stop(lease: Make, clock: ManualClock, store: Store) -> None:
    first, _ = lease("first")
    assert acquire(first, clock)
    stopping = Event()
    stopping.set()
    assert not wait_for(Lease(InStore(store), "second", SystemClock()), TIMES, stopping)


def test_a_standby_shows_that_it_waits_and_books_only_after_the_holder_has_gone(store: Store, tmp_path: Path) -> None:
    quick = LeaseSettings(renew_s=0.05, settle_s=1.0, hold_s=10.0, expire_s=15.0)
    shown: list[str] = []

    @contextmanager
    def showing(part: str, why: str) -> Iterator[None]:
        assert part == "standby"
        shown.append(why)
        yield
        shown.append("")

    def hold(name: str) -> Holding:
        (tmp_path / name).mkdir(exist_ok=True)
        return stand_by(store, tmp_path / name, SystemClock(), Event(), showing=showing, settings=quick)

    first = hold("first")
    booked_by_second: list[float] = []

    def second() -> None:
        holding = hold("second")
        Fenced(store, holding.check).prepare([], [], "a token")
        booked_by_second.append(1)
        holding.stop()

    waiting = Thread(target=second)
    waiting.start()
    waiting.join(3)
    assert waiting.is_alive()
    assert not booked_by_second
    Fenced(store, first.check).prepare([], [], "a token")
    first.stop()
    waiting.join(20)
    assert booked_by_second
    assert shown[-1] == ""
    assert "another collector" in shown[0]
    for write in (
        lambda lost: lost.prepare([], [], "a token"),
        lambda lost: lost.insert(Block("a token", 0, 0, b"")),
    ):
        with pytest.raises(StoreUnavailable):
            write(Fenced(store, first.check))
    assert first.lost is None


def test_told_to_stop_a_standby_ends(store: Store, tmp_path: Path) -> None:
    stopping = Event()
    stopping.set()
    with pytest.raises(ToldToStop):
        stand_by(store, tmp_path, SystemClock(), stopping, showing=lambda part, why: nullcontext())


def test_an_identity_stays_with_its_data_directory(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    clock = SystemClock()
    assert identity(tmp_path / "a", clock) == identity(tmp_path / "a", clock)
    assert identity(tmp_path / "a", clock) != identity(tmp_path / "b", clock)
