"""Booking: facts in the order of their commits -> assembly -> price -> rows for the store.

The same path serves the running collector (a thread that follows the spool) and `replay` (record by record). One
record is one step of assembly, always: replaying several records as one would leave rows behind that no tombstone
withdraws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from threading import Event, Lock, Thread
from typing import NamedTuple, Protocol

import structlog

from spanledger.forgotten import Forgotten
from spanledger.reconcile import Settled, keep_amounts
from spanledger.remarks import Booked, Remarks
from spanledger_core.calls import Call, CallKey, Change, Priced
from spanledger_core.clock import Clock
from spanledger_core.errors import Busy, StoreError
from spanledger_core.facts import Fact
from spanledger_core.metrics import Metrics
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.rows import CALL_COLUMNS, CallRow, generation_of, row_version
from spanledger_core.stages import SpoolRecord
from spanledger_processor.pricing.lines import PriceLine
from spanledger_processor.rows import call_row

_log = structlog.get_logger(__name__)
_READ_RECORDS = 64
_READ_TIMEOUT_S = 0.2
_ASK_AGAIN_S = 0.5
_ASK_AGAIN_MAX_S = 30.0
_JOIN_STEP_S = 0.25
_TROUBLE_S = 5.0
_VERSION = CALL_COLUMNS.index("version")

_new = tuple.__new__
"""A named tuple's own constructor is a Python function and costs four times as much as filling the tuple."""


class Assemble(Protocol):
    """What booking needs of assembly."""

    def add(self, facts: Sequence[Fact], now_s: float) -> Sequence[Change]:
        """One spool record in, the changes it causes out."""


class Price(Protocol):
    """What booking needs of a price book."""

    def price(self, call: Call) -> Priced:
        """What a call costs."""

    def lines_behind(self, call: Call) -> Iterator[PriceLine]:
        """The lines that can make its price."""

    def usd_rate(self, currency: str) -> Decimal:
        """US dollars for one unit of a currency that a line names."""


class Prove(Protocol):
    """Keeps the price lines that rows name."""

    def note(self, prices: Price, call: Call, priced: Priced) -> None:
        """A row of `call` is about to be written; `prices` made its price."""


class Write(Protocol):
    """What booking needs of the store's writer."""

    def submit(self, rows: Sequence[CallRow], tombstones: Sequence[tuple[CallKey, int]], sequence: int) -> None:
        """Queue rows for the store. Raises `Busy` when the queue is full."""


class Reconcile(Protocol):
    """Asks the store about calls that may be booked already."""

    def settle(self, changes: Sequence[Change]) -> Sequence[Settled]:
        """The changes to make, given what is booked. Raises `StoreError` if the store cannot be asked."""

    def remember(self, facts: Sequence[Fact]) -> None:
        """These facts were booked before a restart, and assembly knows them again."""


class Follow(Protocol):
    """A spool, seen by its reader."""

    @property
    def drained(self) -> bool:
        """True once closed and everything was read."""

    def read(self, limit: int, timeout_s: float) -> Sequence[SpoolRecord]:
        """The next records in order."""

    def accuse(self, sequence: int, reason: str) -> None:
        """Booking failed with this record. Twice is enough: then it is set aside, and no longer in the way."""


class BookedNote(NamedTuple):
    """What forwarded spans may say about a call, as known by now. `cost` is integer picodollars."""

    cost: int | None
    cost_status: str
    agent_id: str


class Annotate(Protocol):
    """Wants to know what was booked for the spans of a record."""

    def booked(self, sequence: int, notes: Mapping[tuple[bytes, bytes], BookedNote]) -> None:
        """The record is booked; `notes` by (trace_id, span_id)."""


class Ledger:
    """Turns one spool record into row changes. Not thread-safe: one booker owns it."""

    def __init__(
        self,
        assembler: Assemble,
        prices: Price,
        clock: Clock,
        metrics: Metrics,
        *,
        horizon_s: float,
        reconcile: Reconcile | None = None,
        prove: Prove | None = None,
        forgotten: Forgotten | None = None,
        booked_until_us: int = 0,
    ) -> None:
        """Rows are booked later than `booked_until_us` (microseconds since 1970), whatever the clock says."""
        self.prices = prices
        self._assembler = assembler
        self._clock = clock
        self._metrics = metrics
        self._horizon_us = int(horizon_s * 1e6)
        self._reconcile = reconcile
        self._prove = prove
        self._forgotten = forgotten
        self._version_us = booked_until_us
        self._once = OncePerKind(clock, interval_s=3600.0)
        self._remarks = Remarks(metrics, self._once)

    def book(self, facts: Sequence[Fact]) -> tuple[list[CallRow], list[tuple[CallKey, int]], list[Booked]]:
        """Rows to write, keys to withdraw (with their versions), and what was booked at which price."""
        settled = self._settle(self._not_forgotten(self._assemble(facts)))
        prices = self.prices  # once: another thread may put a new book there
        now_us = self._clock.now_ns() // 1000
        booked_ms, settles_ms = now_us // 1000, (now_us + self._horizon_us) // 1000
        # strictly increasing, so that of two changes to one key the later wins whatever the clock does
        version_us = max(self._version_us, now_us - 1)
        self._version_us = version_us + len(settled)
        rows: list[CallRow] = []
        withdrawn: list[tuple[CallKey, int]] = []
        booked: list[Booked] = []
        for (_, key, call), before in settled:
            version_us += 1
            # as often moved as the row it follows: nothing below that generation has any effect on it
            version = version_us if before is None else row_version(version_us, generation_of(before[_VERSION]))
            if call is None:
                withdrawn.append((key, version))
                continue
            priced = prices.price(call)
            row = call_row(call, priced, booked_ms, settles_ms, version)
            rows.append(row if before is None else keep_amounts(row, before))
            booked.append((key, call, priced))
        if self._prove is not None:
            for call, priced in {priced.price_ids: (call, priced) for _, call, priced in booked}.values():
                self._prove.note(prices, call, priced)
        self._remarks.on(booked)
        if withdrawn:
            self._metrics.corrections.labels("withdrawn").inc(len(withdrawn))
        return rows, withdrawn, booked

    def _settle(self, changes: Sequence[Change]) -> Sequence[Settled]:
        """Waits while the store cannot be asked: the spool keeps what arrives meanwhile."""
        if self._reconcile is None:
            return [_new(Settled, (change, None)) for change in changes]
        delay_s = _ASK_AGAIN_S
        while True:
            try:
                return self._reconcile.settle(changes)
            except StoreError as error:
                if self._once.admit("lookup") is not None:
                    _log.warning("cannot look calls up in the store, waiting", error=str(error), code=error.code)
                self._clock.sleep(delay_s)
                delay_s = min(2 * delay_s, _ASK_AGAIN_MAX_S)

    def _not_forgotten(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Without calls of persons whose rows are erased, and without tombstones of what these calls were."""
        if not self._forgotten:
            return changes
        gone = [change.call for change in changes if change.call and self._forgotten.covers(change.call)]
        spans = {span for call in gone for span in ((call.trace_id, call.span_id), *call.absorbed)}
        return [change for change in changes if (change.key.trace_id, change.key.span_id) not in spans]

    def remember(self, facts: Sequence[Fact]) -> None:
        """Let assembly see what was booked before a restart; what it makes of it stands in the store already."""
        self._assemble(facts)
        if self._reconcile is not None:
            self._reconcile.remember(facts)

    def _assemble(self, facts: Sequence[Fact]) -> Sequence[Change]:
        return self._assembler.add(facts, self._clock.monotonic_s())


class Booker:
    """A thread that follows the spool and hands rows to the writer. Stops when the spool is closed and drained."""

    def __init__(
        self,
        spool: Follow,
        ledger: Ledger,
        writer: Write,
        clock: Clock,
        annotate: Annotate | None = None,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._writer = writer
        self._clock = clock
        self._annotate = annotate
        self._thread = Thread(target=self._run, name="spanledger-booking", daemon=True)
        self._at = 0
        self._leaving = Event()
        self._turn = Lock()
        self._gate = Event()
        self._gate.set()
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin following the spool."""
        self._thread.start()

    def join(self, timeout_s: float, trouble: Callable[[], str] = lambda: "") -> bool:
        """Wait until the closed spool is drained; False if that took too long, or the store has been in trouble.

        What was not booked by then waits in the spool for the next process.
        """
        troubled_s = 0.0
        for _ in range(int(timeout_s / _JOIN_STEP_S)):
            self._thread.join(_JOIN_STEP_S)
            troubled_s = troubled_s + _JOIN_STEP_S if trouble() else 0.0
            if not self._thread.is_alive() or troubled_s >= _TROUBLE_S:
                break
        self._leaving.set()
        return not self._thread.is_alive()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is booked meanwhile; what was booked before has been handed to the writer."""
        self._gate.clear()
        try:
            with self._turn:
                yield
        finally:
            self._gate.set()

    @property
    def alive(self) -> bool:
        """True while booking goes on."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                records = self._spool.read(_READ_RECORDS, _READ_TIMEOUT_S)
                for record in records:
                    if self._leaving.is_set():
                        return  # one record left out would be confirmed with the next
                    self._at = record.sequence
                    # a lock alone would be taken again before anybody who waits for it wakes up
                    self._gate.wait()
                    with self._turn:
                        self._book(record)
                if not records:
                    if self._spool.drained or self._leaving.is_set():
                        return
                    with self._turn:
                        self._ledger.remember(())  # time goes on: what is too old leaves memory
        except BaseException as error:
            # the border of the stage: a booker that dies silently would look like an idle one
            self.failed = error
            _log.exception("booking stopped", remedy="report this with the log; spans wait in the spool")
            if isinstance(error, Exception) and not isinstance(error, MemoryError):
                self._spool.accuse(self._at, repr(error))
            raise

    def _book(self, record: SpoolRecord) -> None:
        if record.booked:
            self._ledger.remember(record.batch.facts)
            return
        rows, withdrawn, booked = self._ledger.book(record.batch.facts)
        while True:
            try:
                self._writer.submit(rows, withdrawn, record.sequence)
                break
            except Busy as busy:
                if self._leaving.is_set():
                    return
                self._clock.sleep(busy.retry_after_s)
        if self._annotate is not None:
            self._annotate.booked(record.sequence, _notes(booked))


def _notes(booked: Sequence[Booked]) -> dict[tuple[bytes, bytes], BookedNote]:
    return {
        (key.trace_id, key.span_id): BookedNote(priced.cost, priced.cost_status, key.agent_id)
        for key, _, priced in booked
    }
