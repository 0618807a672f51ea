"""Batches into the physical table: labels, columns, tokens, one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreError, StoreRefused, StoreUnavailable
from spanledger_core.metrics import Metrics
from spanledger_core.rows import PHYSICAL_COLUMNS, CallRow
from spanledger_exporter.batches import DAY_US, Batch, Columns, Tombstone, misfits
from spanledger_exporter.blocks import Block, native
from spanledger_exporter.connections import Connections
from spanledger_exporter.partitions import PartitionRegistry
from spanledger_exporter.settings import MAX_PARTITIONS_PER_INSERT, StoreSettings
from spanledger_exporter.sql import query_text, render
from spanledger_exporter.wire import CHECKED, CheckedZstd

_TABLE: Final = "llm_costs"
_MAX_DOUBTFUL: Final = 1000


class RowsUnfit(StoreRefused):
    """Rows with a value that does not fit its column; the others of the batch can be booked without them."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        position, reason = next(iter(reasons.items()))
        super().__init__(f"{len(reasons)} rows do not fit the table, the first at {position}: {reason}")
        self.reasons = dict(reasons)
        """Position in `rows` -> why."""


class Stale(StoreUnavailable):
    """The partition labels in a block may have changed since it was made, or its file is gone: it must be made anew."""


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
        self._doubtful: dict[str, None] = {}
        """Tokens of inserts that failed: nobody knows what of them is there."""
        self._epoch = 0
        """Grows when schema and labels may have changed."""

    def book(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> None:
        """See `Store.book`."""
        with self._lock:
            for block in self.prepare(rows, tombstones, token):
                self.insert(block)

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> list[Block]:
        """See `Store.prepare`."""
        if not rows and not tombstones:
            return []
        with self._lock:
            columns = self._table_columns()
            try:
                return self._blocks(Batch.of(rows, tombstones, columns), columns, token)
            except DataError as error:
                unfit = misfits(columns, rows)
                raise RowsUnfit(unfit) if unfit else StoreRefused(f"a tombstone does not fit: {error}") from error

    def insert(self, block: Block) -> None:
        """See `Store.insert`."""
        with self._lock:
            if block.epoch not in (None, self._epoch):
                raise Stale("the partitions of a batch may have changed: making it anew")
            if isinstance(block.body, Path) and not block.body.exists():
                raise Stale("somebody deleted the file of a batch: making it anew")
            # The engine notes the token of a part before the part is there. After a failure in between it believes to
            # have what it has not: the token has done its duty, and what was written is written a second time, as the
            # same version of the same row.
            sent = block._replace(token="") if block.token in self._doubtful else block
            try:
                with self._connections.lease() as client:
                    self._send(client, sent)
            except StoreError:
                self._doubt(block.token)
                raise
            self._doubtful.pop(block.token, None)
        if self._metrics is not None:
            self._metrics.rows_inserted.labels(_TABLE).inc(block.rows)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is booked meanwhile; afterwards schema and labels are read again."""
        with self._lock:
            self._forget()
            try:
                yield
            finally:
                self._forget()

    def _doubt(self, token: str) -> None:
        if len(self._doubtful) >= _MAX_DOUBTFUL:
            del self._doubtful[next(iter(self._doubtful))]
        self._doubtful[token] = None

    def _forget(self) -> None:
        self._columns = None
        self._partitions.forget()
        self._epoch += 1

    def _table_columns(self) -> Columns:
        if self._columns is None:
            with self._connections.lease() as client:
                described = client.query(f"DESCRIBE TABLE {_TABLE}").result_rows
            self._columns = Columns.of_table({row[0]: row[1] for row in described})
        return self._columns

    def _blocks(self, batch: Batch, columns: Columns, token: str) -> list[Block]:
        labels = self._partitions.labels(batch.agents)
        blocks = []
        for days in _fitting(labels):
            values = batch.columns(days, labels)
            body = native(PHYSICAL_COLUMNS, columns.types, values)
            blocks.append(Block(batch.token(token, days), days[0], len(values[0]), body, self._epoch))
        return blocks

    def _send(self, client: Client, block: Block) -> None:
        settings = self._settings(block)
        if self._connections.is_embedded and isinstance(block.body, Path):
            client.command(
                render(query_text("insert_file"), {"columns": PHYSICAL_COLUMNS, "path": str(block.body), **settings})
            )
            return
        body, compression = bytes(block.read()), None
        if not self._connections.is_embedded:
            body, compression = CheckedZstd().compress_block(body), CHECKED
        client.raw_insert(_TABLE, PHYSICAL_COLUMNS, body, settings, "Native", compression)

    def _settings(self, block: Block) -> dict[str, str | int]:
        """What is written today is merged today: collapsing versions and making filters as it is written costs a
        quarter of an insert and is done again by the merge. Parts of older days may never be merged; one that was
        collapsed needs no FINAL."""
        yesterday = self._clock.now_ns() // (DAY_US * 1000) - 1
        is_old = block.first_day < yesterday
        settings: dict[str, str | int] = {
            "insert_deduplicate": int(bool(block.token)),
            "insert_deduplication_token": block.token,
            "optimize_on_insert": int(is_old),
        }
        if self._connections.is_embedded:  # servers of other versions may not know it
            settings["materialize_skip_indexes_on_insert"] = int(is_old)
        return settings


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
