"""Standing by until this collector may book, and no write after it may not any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from spanledger.lease import InStore, Keeper, Lease, LeaseSettings, identity, wait_for
from spanledger_core.calls import CallKey
from spanledger_core.clock import Clock
from spanledger_core.errors import SpanledgerError
from spanledger_core.rows import CallRow
from spanledger_exporter.store import Store, open_store
from spanledger_exporter.writer import Booking

_TIMES: Final = LeaseSettings()


class ToldToStop(SpanledgerError):
    """The process was told to stop while it stood by."""


class LeaseLost(SpanledgerError):
    """Another collector books into this database now; this process should end, and stand by when started again."""


class Showing(Protocol):
    """Makes a context in which the world is told what is waited for."""

    def __call__(self, why: str) -> AbstractContextManager[None]:
        """Tell it."""


class Holding:
    """The right to book, kept by a thread until `stop`."""

    def __init__(self, lease: Lease, settings: LeaseSettings, line: Store) -> None:
        self.lost: LeaseLost | None = None
        self.check = lease.check
        self._line = line
        self._keeper = Keeper(lease, settings, self._lose)
        self._keeper.start()

    def _lose(self) -> None:
        self.lost = LeaseLost("another collector books into this database now")

    def stop(self) -> None:
        """Give it back."""
        self._keeper.stop()
        self._line.close()


def stand_by(
    store: Store,
    data_dir: Path,
    clock: Clock,
    stopping: Event,
    *,
    showing: Showing,
    settings: LeaseSettings = _TIMES,
) -> Holding:
    """Returns once this collector may book into the database of `store`. Raises `ToldToStop`."""
    line = _line_of_its_own(store, settings, clock)
    lease = Lease(InStore(line), identity(data_dir, clock), clock, settings)
    try:
        with showing("another collector may book into this database: waiting for its lease"):
            if not wait_for(lease, settings, stopping):
                raise ToldToStop("told to stop while standing by")
    except BaseException:
        line.close()
        raise
    return Holding(lease, settings, line)


def _line_of_its_own(store: Store, settings: LeaseSettings, clock: Clock) -> Store:
    """A renewal that hangs must end while there is time for another; inserts may take minutes."""
    patience_s = max(1.0, settings.hold_s / 2)
    quick = replace(store.settings, connect_timeout_s=patience_s, query_timeout_s=patience_s)
    return open_store(store.address, quick, clock)


class Fenced:
    """A store for a writer that may lose the right to write."""

    def __init__(self, store: Booking, check: Callable[[], None]) -> None:
        self._store = store
        self._check = check
        self.rebuild_rollups = store.rebuild_rollups
        self.sweep = store.sweep
        self.unrolled_hours = store.unrolled_hours

    def book(self, rows: Sequence[CallRow], tombstones: Sequence[tuple[CallKey, int]], token: str) -> None:
        """Write, while the lease is held. Raises `StoreUnavailable` where it is not."""
        self._check()
        self._store.book(rows, tombstones, token)
