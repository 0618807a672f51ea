"""The store: where booked calls live."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, overload

from clickhouse_connect.driver.client import Client

from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics
from spanledger_core.rows import CallRow
from spanledger_exporter import folding, migrations
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.batches import Tombstone, token_of
from spanledger_exporter.blocks import Block
from spanledger_exporter.booking import Booking
from spanledger_exporter.connections import Connections
from spanledger_exporter.hours import HOUR_S, runs
from spanledger_exporter.lookup import Found, SpanId, find
from spanledger_exporter.parts import keep_small_parts_cheap
from spanledger_exporter.rollups import Rollups
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.sql import SqlValue, query_text, quote_identifier
from spanledger_exporter.sweep import decide, suspects

_EPOCH: Final = date(1970, 1, 1).toordinal()


class Store:
    """An open store, safe to use from any number of threads. Only one process may write a database at a time."""

    def __init__(
        self, address: StoreAddress, settings: StoreSettings, clock: Clock, metrics: Metrics | None = None
    ) -> None:
        self.address = address
        self.settings = settings
        self._clock = clock
        self._metrics = metrics
        self._connections = Connections(address, settings.connect_timeout_s, settings.query_timeout_s, clock)
        self._booking = Booking(self._connections, settings, clock, metrics)
        self._rollups = Rollups(self._connections, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def migrate(self) -> list[str]:
        """Bring the schema up to what this program knows, finish folds that were interrupted.

        Returns the names of the migrations applied now. Every process that writes calls it first.
        Raises `ConfigError` if the database is newer than the program, or an applied file has changed.
        """
        self._create_database()
        with self._booking.paused(), self._connections.lease() as client:
            todo = migrations.pending(migrations.known_migrations(), migrations.applied_migrations(client))
            values: dict[str, SqlValue] = {
                "retention_days": self.settings.retention_days,
                "rollup_retention_days": self.settings.rollup_retention_days,
            }
            migrations.apply(client, todo, values)
            migrations.set_retention(client, self.settings.retention_days, self.settings.rollup_retention_days)
            if self.address.kind == "embedded":
                keep_small_parts_cheap(client)
            folding.resume(client)
        return [f"{migration.version:04d}_{migration.name}" for migration in todo]

    def meet(self) -> None:
        """Make sure that there is a schema in which one can wait for the lease; any change to it waits for that too.

        A collector of an earlier version that books meanwhile must find its tables as it knows them. Raises as
        `migrate` does.
        """
        self._create_database()
        with self._connections.lease() as client:
            applied = migrations.applied_migrations(client)
        migrations.pending(migrations.known_migrations(), applied)
        if not any(name == "lease" for name, _ in applied.values()):
            self.migrate()

    def book(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> None:
        """Write calls and withdraw others. Sent again with the same `token` it changes nothing, nor torn or doubled.

        Values are written as they are (`spanledger_core.rows.CallRow`). Raises `RowsUnfit` before anything is written
        if rows cannot be, `StoreUnavailable` if it may succeed later, `StoreRefused` if it never will.
        """
        self._booking.book(rows, tombstones, token)

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> list[Block]:
        """What `book` would insert, block by block; an agent's partition is registered before this returns.

        The same changes make the same blocks. Raises as `book` does.
        """
        return self._booking.prepare(rows, tombstones, token)

    def insert(self, block: Block) -> None:
        """Write a block. Sent again it changes nothing, nor torn or doubled.

        Raises `StoreUnavailable` if it may succeed later, `Stale` if it must be prepared again for that, `StoreRefused`
        if it never will.
        """
        self._booking.insert(block)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is booked, swept or folded meanwhile; whoever wants to waits."""
        with self._booking.paused():
            yield

    def rebuild_rollups(self, hours: Collection[int] | Mapping[int, int]) -> None:
        """Make `hourly` and `hourly_customer` say what `calls` says, for `hours` (seconds since 1970, UTC).

        A mapping says of each hour which minutes have changed, a bit for each: where that is enough, no more is read.
        """
        if self._metrics is None:
            return self._rollups.rebuild(hours)
        with self._metrics.rollup_seconds.time():
            return self._rollups.rebuild(hours)

    def maintain(self) -> list[date]:
        """What an old store needs once a day: drop expired days, fold old ones; the days folded now."""
        today = self._today()
        with self.lease() as client:
            folding.drop_expired(client, today - timedelta(days=self.settings.retention_days))
            days = folding.days_to_fold(client, today - timedelta(days=self.settings.literal_days))
        for day in days:
            self.fold(day)
        return days

    @property
    def literal_since_day(self) -> int:
        """The first day (days since 1970) that nobody has folded by now."""
        return (self._today() - timedelta(days=self.settings.literal_days)).toordinal() - _EPOCH

    def fold(self, day: date, on_step: Callable[[str], None] = lambda done: None) -> None:
        """Fold the partitions by agent of `day` into one. Readers see the same sums at every moment."""
        with self._booking.paused(), self.lease() as client:
            folding.fold(client, day, on_step)

    @property
    def identity(self) -> str:
        """Of its table of calls: another one for every store that was ever made."""
        named = "SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = 'llm_costs'"
        return str(self.query(named)[0][0])

    def sweep(self, hours: Collection[int]) -> set[int]:
        """Withdraw what was booked twice in `hours` (as `rebuild_rollups` takes them); the hours whose rollups changed.

        The better-informed row stays. Harmless to repeat: a row that comes back is withdrawn again.
        """
        changed: set[int] = set()
        for run in runs(hours):
            changed |= self._sweep(run[0], run[-1])
        return changed

    def unrolled_hours(self) -> list[int]:
        """Hours (as `rebuild_rollups` takes them) that a crash may have left written and not rebuilt."""
        return [hour for (hour,) in self.query(query_text("unrolled_hours"))]

    def booked_until_us(self) -> int:
        """When the last row was booked that stands in the store, tombstones included; microseconds since 1970."""
        return int(self.query(query_text("booked_until"))[0][0])

    def find_booked(
        self,
        spans: Collection[SpanId],
        response_ids: Collection[str] = (),
        window_us: tuple[int, int] | None = None,
    ) -> Found:
        """What stands in the store for these spans, as calls of their own or absorbed, and for these response ids.

        `window_us` bounds the start of the calls (microseconds since 1970, inclusive): it makes the lookup several
        times cheaper.
        """
        if not spans and not response_ids:
            return Found({}, {})
        with self.lease() as client:
            return find(client, spans, response_ids, window_us)

    @overload
    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, fmt: None = None
    ) -> list[tuple[Any, ...]]: ...

    @overload
    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, fmt: str) -> bytes: ...

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, fmt: str | None = None
    ) -> list[tuple[Any, ...]] | bytes:
        """Rows of `sql`, or its result in a ClickHouse output format. Unqualified names are those of the store."""
        with self.lease() as client:
            if fmt is None:
                return [tuple(row) for row in client.query(sql, dict(parameters or {})).result_rows]
            return client.raw_query(sql, dict(parameters or {}), fmt=fmt)

    @contextmanager
    def lease(self) -> Iterator[Client]:
        """A client handle for one thread, for what `query` does not do; errors come out classified."""
        with self._connections.lease() as client:
            yield client

    def ping(self) -> None:
        """Raises `StoreUnavailable` unless the store answers."""
        self.query("SELECT 1")

    def close(self) -> None:
        """Close all connections; an embedded engine can then be opened by another process."""
        self._connections.close()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC).date()

    def _sweep(self, first: int, last: int) -> set[int]:
        found = self.query(query_text("sweep"), {"first": first, "last": last})
        spans, responses = suspects([(trace, span, response) for trace, span, response in found])
        window_us = ((first - 2 * HOUR_S) * 1_000_000, (last + 3 * HOUR_S) * 1_000_000)
        swept = decide(self.find_booked(spans, responses, window_us))
        tombstones = swept.tombstones(self._clock.now_ns() // 1000)
        self.book([], tombstones, token_of([], tombstones))
        if self._metrics is not None:
            self._metrics.corrections.labels("swept").inc(len(swept.losers))
            self._metrics.assembly_events.labels("response_id_conflict").inc(swept.conflicts)
        return swept.hours

    def _create_database(self) -> None:
        name = self.address.database
        with self._connections.without_database() as client:
            if client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": name}).result_rows:
                return
            # What servers make by default suits them (Atomic, Replicated, Shared); the embedded engine must be told.
            engine = " ENGINE = Atomic" if self.address.kind == "embedded" else ""
            client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}{engine}")


def open_store(address: StoreAddress, settings: StoreSettings, clock: Clock, metrics: Metrics | None = None) -> Store:
    """Open the store at `address`; a context manager. Raises `StoreUnavailable`."""
    return Store(address, settings, clock, metrics)
