"""How far runs of reprice have come: the table `reprice_runs`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

from spanledger_core.clock import Clock
from spanledger_exporter.sql import query_text

_TABLE: Final = "reprice_runs"
_COLUMNS: Final = (
    "run_id", "price_book", "range_from", "range_to", "done_until", "is_finished", "calls", "calls_changed", "noted_at",
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Run(NamedTuple):
    """One run, as it was when it began or was taken up."""

    run_id: str
    price_book: str
    first_us: int
    last_us: int
    done_us: int
    """Calls that start before it have the amounts of the book."""
    calls: int
    calls_changed: int


class Store(Protocol):
    """A store that can be asked and written to."""

    def query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement."""

    def lease(self) -> AbstractContextManager[Client]:
        """A handle for one thread."""


class Runs:
    """Takes up what was interrupted, and notes how far it has come."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, price_book: str, first_us: int, last_us: int) -> Run:
        """A new run, or the last one with the same book that broke off within this range."""
        asked = {"book": price_book, "first": first_us, "last": last_us}
        for run_id, begun_us, done_us, calls, changed in self._store.query(query_text("reprice_unfinished"), asked):
            return Run(run_id, price_book, begun_us, last_us, done_us, calls, changed)
        return Run(self._clock.token(), price_book, first_us, last_us, first_us, 0, 0)

    def note(self, run: Run, done_us: int, calls: int, changed: int, *, is_finished: bool) -> None:
        """Everything before `done_us` is done; `calls` and `changed` since the run began or was taken up."""
        row = [
            run.run_id, run.price_book, _at(run.first_us), _at(run.last_us), _at(done_us), is_finished,
            run.calls + calls, run.calls_changed + changed, _at(self._clock.now_ns() // 1000),
        ]  # fmt: skip
        with self._store.lease() as client:
            client.insert(_TABLE, [row], column_names=_COLUMNS)


def _at(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
