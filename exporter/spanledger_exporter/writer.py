"""Changes to the store in the background: collected into batches, retried until they are in, or set aside by name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Final, NamedTuple, Protocol

import structlog

from spanledger_core.clock import Clock
from spanledger_core.errors import Busy
from spanledger_core.metrics import Metrics
from spanledger_core.rows import CallRow
from spanledger_exporter.batches import Tombstone, newest
from spanledger_exporter.dead_letters import DeadLetters
from spanledger_exporter.delivery import Book, Delivery
from spanledger_exporter.hours import minutes_of
from spanledger_exporter.hourwork import HourWork
from spanledger_exporter.outbox import Outbox

_log = structlog.get_logger(__name__)
_BUSY_RETRY_S: Final = 0.5
_CLOSE_LEAST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """When batches leave, and the bounds of what waits."""

    dead_letter_dir: Path
    """Where batches go that the store will never take."""
    flush_rows: int = 20_000
    flush_interval_s: float = 3.0
    max_pending_rows: int = 100_000
    submit_wait_s: float = 1.0
    """How long `submit` waits for room before it raises `Busy`."""
    rollup_delay_s: float = 2.0
    """How long changes of an hour are collected before its rollups are rebuilt."""
    sweep_delay_s: float = 60.0
    """How long changes of an hour are collected before it is searched for double bookings."""
    close_timeout_s: float = 30.0
    max_dead_letter_bytes: int = 1 << 30


class Booking(Book, Protocol):
    """What the writer needs of a store."""

    def rebuild_rollups(self, hours: Collection[int] | Mapping[int, int]) -> None:
        """Make the rollups say what the calls say, for `hours` or minutes of them."""

    def sweep(self, hours: Collection[int]) -> set[int]:
        """Withdraw what was booked twice in `hours`; the hours that changed."""

    def unrolled_hours(self) -> Collection[int]:
        """Hours whose rollups may be behind their calls."""


class _Submission(NamedTuple):
    rows: Sequence[CallRow]
    tombstones: Sequence[Tombstone]
    sequence: int
    at_s: float

    @property
    def changes(self) -> int:
        return len(self.rows) + len(self.tombstones)


class BatchWriter:
    """One thread that writes what any number of threads submit, in the order of submission."""

    def __init__(
        self,
        store: Booking,
        settings: WriterSettings,
        clock: Clock,
        metrics: Metrics | None = None,
        *,
        outbox: Outbox | None = None,
        on_flushed: Callable[[int], None] = lambda sequence: None,
    ) -> None:
        """`outbox` fixes the batch under way before it is inserted; None where its rows can be made again at will."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._on_flushed = on_flushed
        self._rollups = HourWork("rollups", store.rebuild_rollups, settings.rollup_delay_s, clock)
        self._sweep = HourWork(
            "sweep", lambda hours: self._rollups.mark(store.sweep(hours)), settings.sweep_delay_s, clock
        )
        self._changed = Condition()
        self._pending: deque[_Submission] = deque()
        self._pending_changes = 0
        self._submitted = 0
        self._delivered = 0
        """Submissions so far, and those of them that are in the store."""
        self._wanted = 0
        """So many are to be delivered at once."""
        self._closing = False
        self._giving_up = Event()
        dead_letters = DeadLetters(settings.dead_letter_dir, settings.max_dead_letter_bytes)
        self._delivery = Delivery(
            store, outbox or Outbox(None), dead_letters, clock, giving_up=self._giving_up, metrics=metrics
        )
        self._thread = Thread(target=self._run, name="spanledger-writer", daemon=True)

    @property
    def trouble(self) -> str:
        """Why the store takes nothing at the moment; empty while it does."""
        return self._delivery.trouble

    @property
    def pending_rows(self) -> int:
        """Changes that wait, without the batch on its way."""
        return self._pending_changes

    @property
    def _taken(self) -> int:
        """Submissions that are or were on their way."""
        return self._submitted - len(self._pending)

    def start(self) -> None:
        """Begin. Hours that an earlier run left behind come first, and what it set aside is tried again."""
        for work in (self._rollups, self._sweep):
            work.start(left_behind=self._store.unrolled_hours)
        self._thread.start()

    def submit(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], sequence: int) -> None:
        """Queue changes. `on_flushed(sequence)` tells when they, and all submitted before them, are in the store.

        Raises `Busy` if there is no room within `submit_wait_s`. More changes than fit at all are taken alone.
        """
        submission = _Submission(rows, tombstones, sequence, self._clock.monotonic_s())
        room = self._settings.max_pending_rows - submission.changes
        with self._changed:
            if self._closing:
                raise Busy("the writer is closing", _BUSY_RETRY_S)
            if not self._changed.wait_for(
                lambda: not self._pending or self._pending_changes <= room, self._settings.submit_wait_s
            ):
                raise Busy(f"{self._pending_changes} rows wait for the store", _BUSY_RETRY_S)
            self._pending.append(submission)
            self._pending_changes += submission.changes
            self._submitted += 1
            # in between there is nothing to do but to count them, and waking up costs more
            if len(self._pending) == 1 or self._pending_changes >= self._settings.flush_rows:
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Write everything submitted by now, settle what it doubled, bring the rollups up to it.

        False if one of the three took longer than `timeout_s`.
        """
        return self.write_out(timeout_s) and self._sweep.settle(timeout_s) and self._rollups.settle(timeout_s)

    def write_out(self, timeout_s: float) -> bool:
        """Write everything submitted by now, whatever comes meanwhile; False if that took longer than `timeout_s`."""
        with self._changed:
            wanted = self._wanted = self._submitted
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._delivered >= wanted, timeout_s)

    def rebuild(self, hours: Collection[int]) -> None:
        """Rebuild the rollups of `hours`, which somebody else wrote to, when their turn comes."""
        self._rollups.mark(hours)

    def close(self) -> None:
        """Write what waits, then end. What the store does not take in `close_timeout_s` was never flushed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is None:
            return
        end_s = self._clock.monotonic_s() + self._settings.close_timeout_s
        self._thread.join(self._settings.close_timeout_s)
        self._giving_up.set()
        self._thread.join()
        for work in (self._sweep, self._rollups):
            # a store that took no rows until now will not take these either; the next start finds what is left
            work.close(max(_CLOSE_LEAST_S, end_s - self._clock.monotonic_s()))

    def _run(self) -> None:
        self._mark(self._delivery.book_again())
        while True:
            batch = self._next_batch()
            if not batch:
                return
            if not self._deliver(batch):
                return
            self._confirm(batch[-1].sequence)
            with self._changed:
                self._delivered = self._taken
                self._changed.notify_all()

    def _next_batch(self) -> list[_Submission]:
        """Whole submissions up to `flush_rows`, once they are due; empty when closed and nothing is left."""
        with self._changed:
            while not self._is_due():
                if self._closing and not self._pending:
                    return []
                self._changed.wait(self._wait_s())
            batch: list[_Submission] = []
            changes = 0
            while self._pending and (not batch or changes + self._pending[0].changes <= self._settings.flush_rows):
                batch.append(self._pending.popleft())
                changes += batch[-1].changes
            self._pending_changes -= changes
            self._changed.notify_all()
            return batch

    def _is_due(self) -> bool:
        if not self._pending:
            return False
        full = self._pending_changes >= self._settings.flush_rows
        return full or self._closing or self._taken < self._wanted or self._wait_s() == 0

    def _wait_s(self) -> float | None:
        if not self._pending:
            return None
        age_s = self._clock.monotonic_s() - self._pending[0].at_s
        return max(0.0, self._settings.flush_interval_s - age_s)

    def _deliver(self, batch: Sequence[_Submission]) -> bool:
        """False if the batch could neither be booked nor set aside before giving up."""
        rows = [row for submission in batch for row in submission.rows]
        tombstones = [tombstone for submission in batch for tombstone in submission.tombstones]
        try:
            booked = self._delivery.deliver(*newest(rows, tombstones), batch[-1].sequence)
            hours = minutes_of(*booked) if booked is not None else {}
        except Exception as error:  # noqa: BLE001
            # The border of the stage: a fault of ours must neither stop the stream nor lose the batch.
            _log.exception("batch not booked")
            return self._delivery.set_aside(repr(error), rows, tombstones)
        self._mark(hours)
        return booked is not None

    def _mark(self, hours: Collection[int] | Mapping[int, int]) -> None:
        for work in (self._rollups, self._sweep):
            work.mark(hours)

    def _confirm(self, sequence: int) -> None:
        try:
            self._on_flushed(sequence)
        except Exception:  # noqa: BLE001
            # The border of the stage: what is not confirmed now is confirmed with the next batch.
            _log.exception("flushed rows not confirmed", sequence=sequence)
        self._delivery.settled()
