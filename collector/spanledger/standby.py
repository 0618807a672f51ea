"""Waiting until this collector can and may book, and no write after it may not any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Final, Protocol, TypeVar

import structlog
import tenacity

from spanledger.lease import InStore, Keeper, Lease, LeaseSettings, identity, wait_for
from spanledger_core.calls import CallKey
from spanledger_core.clock import Clock
from spanledger_core.errors import SpanledgerError, StoreUnavailable
from spanledger_core.ratelimit import OncePerKind
from spanledger_core.rows import CallRow
from spanledger_exporter.blocks import Block
from spanledger_exporter.faults import passing_errors
from spanledger_exporter.store import Store, open_store
from spanledger_exporter.writer import Booking

_log = structlog.get_logger(__name__)
_TIMES: Final = LeaseSettings()
_ASK_AGAIN_MAX_S: Final = 30.0

_Reached = TypeVar("_Reached")


class ToldToStop(SpanledgerError):
    """The process was told to stop while it waited."""


class LeaseLost(SpanledgerError):
    """Another collector books into this database now; this process should end, and stand by when started again."""


class Showing(Protocol):
    """Makes a context in which the world is told what is waited for."""

    def __call__(self, part: str, why: str) -> AbstractContextManager[None]:
        """Tell it: which part is not ready, and why."""


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


def once_reached(reach: Callable[[], _Reached], clock: Clock, stopping: Event, showing: Showing) -> _Reached:
    """What `reach` returns once it no longer raises `StoreUnavailable`. Raises `ToldToStop`."""
    once = OncePerKind(clock)
    with ExitStack() as shown:
        told = ""

        def wait(state: tenacity.RetryCallState) -> None:
            nonlocal told
            error = state.outcome.exception() if state.outcome is not None else None
            event, why = _waited_for(error)
            if why != told:
                shown.close()
                shown.enter_context(showing("store", why))
                told = why
            if once.admit(why) is not None:
                _log.warning(event, error=str(error))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreUnavailable),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=_ASK_AGAIN_MAX_S),
            stop=tenacity.stop_when_event_set(stopping),
            sleep=tenacity.sleep_using_event(stopping),
            before_sleep=wait,
        )
        try:
            return retrying(reach)
        except tenacity.RetryError as given_up:
            raise ToldToStop("told to stop while waiting for the store") from given_up


def _waited_for(error: BaseException | None) -> tuple[str, str]:
    """The event for the log, and what the world is told: no words of the store, which may name users."""
    code = error.code if isinstance(error, StoreUnavailable) else None
    if code is None:
        return "the store cannot be reached, waiting for it", "it cannot be reached; the log says why"
    passing = passing_errors().get(code)
    remedy = passing.remedy if passing is not None else ""
    return "the store does not take us, waiting", f"it does not take us: {remedy or 'the log says why'}"


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
        with showing("standby", "another collector may book into this database: waiting for its lease"):
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

    def prepare(
        self, rows: Sequence[CallRow], tombstones: Sequence[tuple[CallKey, int]], token: str
    ) -> Sequence[Block]:
        """The blocks of a batch, while the lease is held: partitions are registered for them."""
        self._check()
        return self._store.prepare(rows, tombstones, token)

    def insert(self, block: Block) -> None:
        """Write, while the lease is held. Raises `StoreUnavailable` where it is not."""
        self._check()
        self._store.insert(block)
