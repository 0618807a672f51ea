"""Batches into the physical table: labels, columns, tokens, one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Final

from clickhouse_connect.driver.exceptions import DataError
from clickhouse_connect.driver.insert import InsertContext

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreRefused
from spanledger_core.metrics import Metrics
from spanledger_core.rows import PHYSICAL_COLUMNS, CallRow
from spanledger_exporter.batches import DAY_US, Batch, Columns, Tombstone, misfits
from spanledger_exporter.connections import Connections
from spanledger_exporter.partitions import PartitionRegistry
from spanledger_exporter.settings import MAX_PARTITIONS_PER_INSERT, StoreSettings

_TABLE: Final = "llm_costs"


class RowsUnfit(StoreRefused):
    """Rows with a value that does not fit its column; the others of the batch can be booked without them."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        position, reason = next(iter(reasons.items()))
        super().__init__(f"{len(reasons)} rows do not fit the table, the first at {position}: {reason}")
        self.reasons = dict(reasons)
        """Position in `rows` -> why."""


class Booking:
    """What writes `llm_costs`."""

    def __init__(
        self, connections: Connections, settings: StoreSettings, clock: Clock, metrics: Metrics | None
    ) -> None:
        self._connections = connections
        self._partitions = PartitionRegistry(connections, settings)
        self._clock = clock
        self._metrics = metrics
        self._columns: Columns | None = None
        self._lock = RLock()

    def book(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> None:
        """See `Store.book`."""
        if not rows and not tombstones:
            return
        with self._lock:
            columns = self._table_columns()
            try:
                self._insert(Batch.of(rows, tombstones, columns), columns, token)
            except (DataError, StoreRefused) as error:
                if not isinstance(error, DataError) and not isinstance(error.__cause__, DataError):
                    raise
                unfit = misfits(columns, rows)
                raise RowsUnfit(unfit) if unfit else StoreRefused(f"a tombstone does not fit: {error}") from error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is booked meanwhile; afterwards schema and labels are read again."""
        with self._lock:
            self._columns = None
            self._partitions.forget()
            try:
                yield
            finally:
                self._columns = None
                self._partitions.forget()

    def _table_columns(self) -> Columns:
        if self._columns is None:
            with self._connections.lease() as client:
                described = client.query(f"DESCRIBE TABLE {_TABLE}").result_rows
            self._columns = Columns.of_table({row[0]: row[1] for row in described})
        return self._columns

    def _insert(self, batch: Batch, columns: Columns, token: str) -> None:
        labels = self._partitions.labels(batch.agents)
        for days in _fitting(labels):
            context = InsertContext(
                _TABLE,
                PHYSICAL_COLUMNS,
                columns.types,
                batch.columns(days, labels),
                column_oriented=True,
                settings=self._settings(days) | {"insert_deduplication_token": batch.token(token, days)},
                block_size=len(batch.rows),
            )
            count = context.row_count
            with self._connections.lease() as client:
                client.data_insert(context)
            if self._metrics is not None:
                self._metrics.rows_inserted.labels(_TABLE).inc(count)

    def _settings(self, days: Sequence[int]) -> dict[str, str | int]:
        """Collapsing a block's versions as it is written costs a fifth of an insert, and what is written today is
        merged today anyway. Parts of older days may never be, and a part that was collapsed needs no FINAL."""
        yesterday = self._clock.now_ns() // (DAY_US * 1000) - 1
        return {"insert_deduplicate": 1, "optimize_on_insert": int(days[0] < yesterday)}


def _fitting(labels: Mapping[int, Mapping[str, str]]) -> Iterator[list[int]]:
    """Days that can be inserted together, in order: the same for the same batch, however often it is tried."""
    together: list[int] = []
    partitions = 0
    for day, of_agent in sorted(labels.items()):
        touched = len(set(of_agent.values()))
        if together and partitions + touched > MAX_PARTITIONS_PER_INSERT:
            yield together
            together, partitions = [], 0
        together.append(day)
        partitions += touched
    if together:
        yield together
