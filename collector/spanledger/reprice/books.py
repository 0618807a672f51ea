"""Where a reprice writes: into a store that it has to itself, or into that of the collector it runs in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol

import tenacity

from spanledger_core.errors import StoreUnavailable
from spanledger_core.rows import CallRow
from spanledger_exporter.batches import token_of
from spanledger_exporter.store import Store

_WRITE_OUT_S: Final = 60.0
_RETRY_S: Final = 120.0


def book(store: Store, rows: Sequence[CallRow]) -> None:
    """Write rows once, trying again for a while where the store is away."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StoreUnavailable),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=10.0),
        stop=tenacity.stop_after_delay(_RETRY_S),
        reraise=True,
    )
    retrying(store.book, rows, [], token_of(rows, []))


class OwnBooks:
    """A store that no collector of this machine has open."""

    def __init__(self, store: Store, history_moves: Callable[[], None]) -> None:
        self._store = store
        self._history_moves = history_moves
        self._hours: set[int] = set()
        # a server may have a collector elsewhere; the embedded store is open in one process only
        self.leaves_provisional = store.address.kind == "server"

    def paused(self) -> AbstractContextManager[None]:
        """There is nobody to pause."""
        return nullcontext()

    def begin(self) -> None:
        """Tell whoever starts a collector on this data directory; find the hours that a crash left behind."""
        self._history_moves()
        self._hours.update(self._store.unrolled_hours())

    def book(self, rows: Sequence[CallRow]) -> None:
        """Write rows."""
        book(self._store, rows)

    def rebuild(self, hours: Collection[int]) -> None:
        """Remember the hours."""
        self._hours.update(hours)

    def settle(self) -> None:
        """Rebuild them."""
        if self._hours:
            self._store.rebuild_rollups(self._hours)
            self._hours.clear()


class Booker(Protocol):
    """Who books in this process."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is booked meanwhile."""


class Writer(Protocol):
    """Who writes to the store in this process."""

    def write_out(self, timeout_s: float) -> bool:
        """Write everything submitted by now; False if that took longer."""

    def rebuild(self, hours: Collection[int]) -> None:
        """Rebuild the rollups of hours when their turn comes."""

    def flush(self, timeout_s: float) -> bool:
        """Write everything, bring the rollups up to it; False if that took longer."""


class SharedBooks:
    """The store of the running collector, which goes on booking between two pages."""

    leaves_provisional = False

    def __init__(
        self,
        store: Store,
        booker: Booker,
        writer: Writer,
        history_moves: Callable[[], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` raises `StoreUnavailable` where this collector may not write any more."""
        self._check = check
        self._store = store
        self._booker = booker
        self._writer = writer
        self._history_moves = history_moves

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Booking waits, and everything it booked stands in the store."""
        with self._booker.paused():
            if not self._writer.write_out(_WRITE_OUT_S):
                raise StoreUnavailable("the store takes nothing at the moment; run it again, it goes on from here")
            yield

    def begin(self) -> None:
        """Corrections ask the store from now on."""
        with self._booker.paused():
            self._history_moves()

    def book(self, rows: Sequence[CallRow]) -> None:
        """Write rows."""
        self._check()
        book(self._store, rows)

    def rebuild(self, hours: Collection[int]) -> None:
        """Leave it to the thread that rebuilds rollups."""
        self._writer.rebuild(hours)

    def settle(self) -> None:
        """Wait for that thread. A crash before it is done is found at the next start."""
        if not self._writer.flush(_WRITE_OUT_S):
            raise StoreUnavailable("the rollups take long to follow; run it again, it goes on from here")
