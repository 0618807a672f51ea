"""Moving history on purpose: booked calls get the amounts of the present book, in pages, as new versions.

Only rows whose amounts differ are written, so a second run changes nothing. A row's new version is made of its old one
(`recall.next_version`): a run that was killed and is started again ends as one that was not. How far a run has come
stands in `reprice_runs`, so that it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

from spanledger.reprice import pages, proof
from spanledger.reprice.changes import Changes
from spanledger.reprice.proof import Proofs
from spanledger.reprice.recall import AT, recalled, repriced
from spanledger.reprice.runs import Run, Runs
from spanledger_core.calls import Call, Priced
from spanledger_core.clock import Clock
from spanledger_core.rows import CallRow
from spanledger_exporter.hours import hours_of

_NOTE_EVERY_S: Final = 5.0


class Book(proof.Book, Protocol):
    """A price book."""

    version: str

    def price(self, call: Call) -> Priced:
        """What a call costs."""


class Store(Protocol):
    """A store to read from."""

    def query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement."""

    def lease(self) -> AbstractContextManager[Client]:
        """A handle for one thread."""


class Books(Protocol):
    """Where rows are written, and who else writes there."""

    leaves_provisional: bool
    """True where another process books into the same store: what it may still correct is left alone."""

    def paused(self) -> AbstractContextManager[None]:
        """Nobody else books meanwhile, and what was booked before can be read."""

    def begin(self) -> None:
        """Amounts are about to move: whoever corrects calls must look what they are."""

    def book(self, rows: Sequence[CallRow]) -> None:
        """Write rows. Raises `StoreError`."""

    def rebuild(self, hours: Collection[int]) -> None:
        """These hours were written to: their rollups must follow."""

    def settle(self) -> None:
        """Returns when the rollups have followed."""


class Asked(NamedTuple):
    """A stretch of history, [first, last), microseconds since 1970 UTC."""

    first_us: int
    last_us: int
    dry: bool


class Step(NamedTuple):
    """How far it has come, in physical rows."""

    done: int
    total: int


class Outcome(NamedTuple):
    """What was, or would be, changed."""

    changes: Changes
    resumed_us: int | None
    """Where an interrupted run was taken up."""


class Moved(NamedTuple):
    """A call whose amounts change."""

    old: CallRow
    new: CallRow
    call: Call
    priced: Priced


class Reprice:
    """One run over a stretch of history."""

    def __init__(self, store: Store, book: Book, books: Books, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._books = books
        self._clock = clock
        self._proofs = Proofs(store, clock)
        self._runs = Runs(store, clock)
        self._changes = Changes()

    def run(self, asked: Asked, tell: Callable[[Step], None]) -> Outcome:
        """Look at every call, and write those that change unless the run is dry. Raises `StoreError`."""
        run = None if asked.dry else self._runs.begin(self._book.version, asked.first_us, asked.last_us)
        resumed_us = run.done_us if run is not None and run.done_us > asked.first_us else None
        if run is not None:
            self._books.begin()
        found = pages.days(self._store, resumed_us or asked.first_us, asked.last_us)
        total, done = sum(day.rows for day in found), 0
        noted_s = self._clock.monotonic_s()
        for day in found:
            for page in pages.pages(self._store, day):
                self._page(page, asked.dry)
                done += page.rows
                tell(Step(done, total))
                if run is not None and self._clock.monotonic_s() - noted_s >= _NOTE_EVERY_S:
                    self._note(run, page.last_us)
                    noted_s = self._clock.monotonic_s()
        if run is not None:
            self._note(run, asked.last_us, is_finished=True)
        return Outcome(self._changes, resumed_us)

    def _note(self, run: Run, done_us: int, *, is_finished: bool = False) -> None:
        """Only what the rollups say too is done."""
        self._books.settle()
        changed = self._changes.total.calls
        self._runs.note(run, done_us, self._changes.looked_at, changed, is_finished=is_finished)

    def _page(self, page: pages.Span, dry: bool) -> None:
        rows = self._rows(page)
        moved = self._moved(rows)
        if moved and not dry:
            # looked at without holding anybody up; what is to be written is read again while nobody else writes
            with self._books.paused():
                rows = self._rows(page)
                moved = self._settled(self._moved(rows))
                self._write(moved)
        self._changes.looked_at += len(rows)
        self._changes.add((each.old, each.new) for each in moved)

    def _write(self, moved: Sequence[Moved]) -> None:
        for each in moved:
            self._proofs.note(self._book, each.call, each.priced)
        fresh = [each.new for each in moved]
        if fresh:
            self._proofs.write()
            self._books.book(fresh)
            self._books.rebuild(hours_of(fresh, []))

    def _rows(self, page: pages.Span) -> list[CallRow]:
        with self._store.lease() as client:
            return pages.rows_of(client, page)

    def _moved(self, rows: Sequence[CallRow]) -> list[Moved]:
        moved = []
        for row in rows:
            call = recalled(row)
            priced = self._book.price(call)
            new = repriced(row, priced)
            if new is not None:
                moved.append(Moved(row, new, call, priced))
        return moved

    def _settled(self, moved: list[Moved]) -> list[Moved]:
        if not self._books.leaves_provisional:
            return moved
        now_ms = self._clock.now_ns() // 1_000_000
        settled = [each for each in moved if each.old[AT["settles_at"]] <= now_ms]
        self._changes.provisional += len(moved) - len(settled)
        return settled
