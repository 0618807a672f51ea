"""One booking process per database: a lease in the store itself, and a standby that takes over.

ClickHouse has no compare-and-set, so a claim is an insert, a wait that is longer than any insert that counts, and a
look at who came first. Nobody compares clocks of different machines: a holder lets a number grow, and a standby counts
on its own clock how long that number has stood still. A holder stops booking well before a standby may begin. When the
store was away for everybody, whoever held the lease before claims it anew and goes on. What
slips through nevertheless (a machine that stood still in the middle of an insert) is no loss: rows are booked by key
and version, and the sweep settles what was booked twice.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, NamedTuple, Protocol

import structlog

from spanledger_core.clock import Clock
from spanledger_core.errors import SpanledgerError, StoreError, StoreUnavailable
from spanledger_exporter.sql import query_text
from spanledger_exporter.store import Store

_log = structlog.get_logger(__name__)
_TABLE: Final = "booking_lease"
_IDENTITY: Final = "collector-id"


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Times, each well below the next."""

    renew_s: float = 3.0
    settle_s: float = 2.0
    """Between a claim and the look at who came first; a claim whose insert took longer than half of it is none."""
    hold_s: float = 9.0
    """A holder that could not renew for so long books no more."""
    expire_s: float = 15.0
    """A standby that saw no renewal for so long takes over."""


class Tables(Protocol):
    """What a lease needs of a store."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write rows."""


class LeaseTaken(SpanledgerError):
    """Another collector has held the lease since."""


class InStore:
    """The tables of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        return self._store.query(sql)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write rows, equal ones too."""
        with self._store.lease() as client:
            client.insert(table, rows, column_names=columns, settings={"insert_deduplicate": 0})


class _Claim(NamedTuple):
    generation: int
    holder: str
    beat: int
    released: bool
    claimed_us: int


class Lease:
    """The right to book into one database. For one thread, but for `held` and `check`."""

    def __init__(self, tables: Tables, holder: str, clock: Clock, settings: LeaseSettings | None = None) -> None:
        """`holder` is the same for every process of one data directory, of which only one can run."""
        self._tables = tables
        self._holder = holder
        self._clock = clock
        self._settings = settings or LeaseSettings()
        self._seen: _Claim | None = None
        self._seen_s = clock.monotonic_s()
        self._claimed_s: float | None = None
        self._dropped = 0
        self._asked_for = 0
        self._beat = 0
        self._claimed_us = 0
        self._good_until_s = float("-inf")
        self.generation = 0
        """Of the present or the last holding: later holders have greater ones."""

    # ---- getting it

    def try_acquire(self) -> bool:
        """One step towards holding the lease; call it again after `renew_s` until it is True. Raises `StoreError`."""
        now_s = self._clock.monotonic_s()
        if self._claimed_s is not None:
            if now_s - self._claimed_s < self._settings.settle_s:
                return False
            return self._look_who_came_first()
        counts = self._read()
        if counts != self._seen:
            self._seen, self._seen_s = counts, now_s
        if self._is_free(counts, now_s):
            self._claim(counts.generation + 1 if counts else 1)
        return False

    def _is_free(self, counts: _Claim | None, now_s: float) -> bool:
        if counts is None or counts.released:
            return True
        if counts.holder == self._holder and counts.generation != self._dropped:
            return True  # of an earlier process on our data directory, which must have ended
        return now_s - self._seen_s >= self._settings.expire_s

    def _claim(self, generation: int) -> None:
        asked_s = self._clock.monotonic_s()
        self._asked_for = generation  # though the answer may be lost: then the claim stands, and nobody holds it
        columns = ("generation", "holder", "beat", "released")
        self._tables.insert(_TABLE, columns, [(generation, self._holder, 1, False)])
        took_s = self._clock.monotonic_s() - asked_s
        if took_s > self._settings.settle_s / 2:
            # somebody who claimed later may have looked already, and not seen this one
            _log.warning("claim of the booking lease dropped: the store is slow", seconds=round(took_s, 1))
            self._dropped = generation
            return
        self.generation, self._beat, self._claimed_s = generation, 1, self._clock.monotonic_s()

    def _look_who_came_first(self) -> bool:
        asked_s = self._clock.monotonic_s()
        counts = self._read()
        self._claimed_s = None
        self._seen, self._seen_s = counts, asked_s
        if counts is None or not self._is_mine(counts):
            return False
        self._claimed_us = counts.claimed_us
        self._good_until_s = asked_s + self._settings.hold_s
        return True

    # ---- keeping it

    def renew(self) -> bool:
        """Let the number grow; False if the lease is somebody else's by now. Raises `StoreError`."""
        asked_s = self._clock.monotonic_s()
        counts = self._read()
        if counts is None or not self._is_mine(counts) or asked_s >= self._good_until_s:
            self._good_until_s = float("-inf")
            return False
        self._write(released=False)
        self._good_until_s = asked_s + self._settings.hold_s
        return True

    @property
    def held(self) -> bool:
        """True while nobody else can hold it."""
        return self._clock.monotonic_s() < self._good_until_s

    def check(self) -> None:
        """Raises `StoreUnavailable` unless it is held."""
        if not self.held:
            raise StoreUnavailable("the booking lease could not be renewed in time; another collector may hold it")

    def release(self) -> None:
        """Give it back: a standby need not wait. Raises `StoreError`."""
        if self.held:
            self._good_until_s = float("-inf")
            self._write(released=True)

    def regain(self) -> bool:
        """One step towards holding it again after an outage, as `try_acquire`. Raises `LeaseTaken`, `StoreError`."""
        counts = self._read()
        if counts is not None and (counts.holder != self._holder or counts.generation > self._asked_for):
            raise LeaseTaken("another collector books into this database now")
        return self.try_acquire()

    def holder(self) -> str:
        """Who holds it, as far as was seen; empty if nobody."""
        return "" if self._seen is None or self._seen.released else self._seen.holder

    def _is_mine(self, counts: _Claim) -> bool:
        return counts.generation == self.generation and counts.holder == self._holder and not counts.released

    def _write(self, *, released: bool) -> None:
        self._beat += 1
        columns = ("generation", "holder", "beat", "released", "claimed_us")
        self._tables.insert(_TABLE, columns, [(self.generation, self._holder, self._beat, released, self._claimed_us)])

    def _read(self) -> _Claim | None:
        rows = self._tables.query(query_text("lease"))
        return _Claim(*rows[0]) if rows else None


class Keeper:
    """A thread that renews a lease which is held, and says when somebody else has it.

    A store that cannot be asked is no reason to give up: nothing is booked meanwhile, and when it is back the lease is
    claimed anew, unless another collector was first.
    """

    def __init__(self, lease: Lease, settings: LeaseSettings, on_lost: Callable[[], None]) -> None:
        self._lease = lease
        self._settings = settings
        self._on_lost = on_lost
        self._lapsed = False
        self._ending = Event()
        self._thread = Thread(target=self._run, name="spanledger-lease", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and give the lease back if it is still held."""
        self._ending.set()
        self._thread.join()
        try:
            self._lease.release()
        except StoreError as error:
            _log.warning("booking lease not given back: a standby will wait for it to expire", error=str(error))

    def _run(self) -> None:
        while not self._ending.wait(self._pause_s()):
            try:
                kept = self._regained() if self._lapsed else self._renewed()
            except StoreError as error:
                _log.warning("booking lease not renewed", error=str(error))
                self._lapse_unless_held()
                continue
            if not kept:
                _log.error("booking lease lost: another collector books into this database now")
                self._on_lost()
                return

    def _pause_s(self) -> float:
        return min(self._settings.renew_s, self._settings.settle_s) if self._lapsed else self._settings.renew_s

    def _renewed(self) -> bool:
        """False if it is somebody else's by now."""
        if self._lease.renew():
            return True
        self._lapsed = True
        return self._regained()

    def _regained(self) -> bool:
        try:
            if self._lease.regain():
                self._lapsed = False
                _log.info("booking lease claimed anew after an outage of the store")
        except LeaseTaken:
            return False
        return True

    def _lapse_unless_held(self) -> None:
        if not self._lease.held and not self._lapsed:
            self._lapsed = True
            _log.warning("booking rests until the store answers: the lease could not be renewed in time")


def wait_for(lease: Lease, settings: LeaseSettings, stopping: Event) -> bool:
    """Try until the lease is held; False if told to stop before."""
    told = ""
    while not stopping.is_set():
        try:
            if lease.try_acquire():
                return True
            if lease.holder() not in ("", told):
                told = lease.holder()
                _log.info("standing by: another collector books into this database", holder=told)
        except StoreError as error:
            _log.warning("booking lease cannot be asked for", error=str(error))
        stopping.wait(min(settings.renew_s, settings.settle_s))
    return False


def identity(data_dir: Path, clock: Clock) -> str:
    """Who the collector of `data_dir` is: the machine's name for people, and something that no other has."""
    path = data_dir / _IDENTITY
    if not path.exists():
        new = path.with_suffix(".new")
        new.write_text(f"{socket.gethostname()}/{clock.token()}", encoding="utf-8")
        new.replace(path)
    return path.read_text(encoding="utf-8").strip()
