"""The table `price_lines`: every price line that a row names is there before the row is.

Lines are written when they are first used: a book has tens of thousands, a fleet's traffic a few hundred. Booking notes
the lines of what it prices, and the thread that writes rows writes what was noted before the rows themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any, Final, Protocol

import structlog
from clickhouse_connect.driver.client import Client

from spanledger_core.calls import Call, CallKey, Priced
from spanledger_core.clock import Clock
from spanledger_core.rows import CallRow
from spanledger_exporter.blocks import Block
from spanledger_exporter.sql import query_text
from spanledger_processor.pricing.lines import Layer, PriceLine

_log = structlog.get_logger(__name__)
_TABLE: Final = "price_lines"
_SAID: Final = (
    "price_id", "provider", "model", "variant", "bucket", "tier_min", "unit_size", "unit_price", "currency",
    "effective_from", "effective_to", "schedule", "contract", "source", "confidence", "kind",
)  # fmt: skip
"""Columns of the table that are fields of a line by the same name."""
COLUMNS: Final = (*_SAID, "layer", "usd_rate", "first_used")
_MAX_SEEN: Final = 100_000
"""Combinations of ids remembered; beyond this they are looked at again."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Book(Protocol):
    """A price book, as far as its lines are to be written down."""

    def lines_behind(self, call: Call) -> Iterator[PriceLine]:
        """The lines that can make the price of a call."""

    def usd_rate(self, currency: str) -> Decimal:
        """US dollars for one unit of a currency that a line names."""


class Handles(Protocol):
    """A store that can be written to."""

    def lease(self) -> AbstractContextManager[Client]:
        """A handle for one thread."""


class Proofs:
    """Notes the lines that rows name and writes those that are not in the table. Safe to use from several threads."""

    def __init__(self, store: Handles, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._seen: set[tuple[str, ...]] = set()
        self._noted: dict[tuple[str, Decimal], PriceLine] = {}
        self._written: set[tuple[str, Decimal]] = set()

    def note(self, prices: Book, call: Call, priced: Priced) -> None:
        """A row of `call` is about to be written; `prices` made its price."""
        if priced.price_ids in self._seen:
            return
        wanted = set(priced.price_ids)
        found = {line.price_id: line for line in prices.lines_behind(call) if line.price_id in wanted}
        if len(found) < len(wanted):
            _log.error("a price line is not to be found", price_ids=sorted(wanted - found.keys()))
        with self._lock:
            for line in found.values():
                known = (line.price_id, prices.usd_rate(line.currency))
                if known not in self._written:
                    self._noted[known] = line
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            self._seen.add(priced.price_ids)

    def write(self) -> None:
        """Write what was noted. Raises `StoreError`: it stays noted then."""
        with self._lock:
            noted = dict(self._noted)
        if not noted:
            return
        first_used = _EPOCH + timedelta(microseconds=self._clock.now_ns() // 1000)
        with self._store.lease() as client:
            ids = sorted({price_id for price_id, _ in noted})
            there = client.query(query_text("known_price_lines"), {"ids": ids}).result_rows
            known = {(price_id, rate.normalize()) for price_id, rate in there}
            rows = [
                [*(getattr(line, name) for name in _SAID), line.layer.label, rate, first_used]
                for (price_id, rate), line in noted.items()
                if (price_id, rate.normalize()) not in known
            ]
            if rows:
                client.insert(_TABLE, rows, column_names=COLUMNS)
        with self._lock:
            self._written.update(noted)
            for done in noted:
                self._noted.pop(done, None)


class Rows(Protocol):
    """What the writer needs of a store."""

    def prepare(
        self, rows: Sequence[CallRow], tombstones: Sequence[tuple[CallKey, int]], token: str
    ) -> Sequence[Block]:
        """What writes calls and withdraws others."""

    def insert(self, block: Block) -> None:
        """Write a block, once per token."""

    def rebuild_rollups(self, hours: Collection[int]) -> None:
        """Make the rollups say what the calls say, for `hours`."""

    def sweep(self, hours: Collection[int]) -> set[int]:
        """Withdraw what was booked twice in `hours`; the hours that changed."""

    def unrolled_hours(self) -> Collection[int]:
        """Hours whose rollups may be behind their calls."""


class ProvenStore:
    """A store for a writer: the price lines of a batch go first."""

    def __init__(self, store: Rows, proofs: Proofs) -> None:
        self._store = store
        self._proofs = proofs
        self.insert = store.insert
        self.rebuild_rollups = store.rebuild_rollups
        self.sweep = store.sweep
        self.unrolled_hours = store.unrolled_hours

    def prepare(
        self, rows: Sequence[CallRow], tombstones: Sequence[tuple[CallKey, int]], token: str
    ) -> Sequence[Block]:
        """Write the lines noted by now, then make the blocks: once these are on disk, any process may insert them."""
        self._proofs.write()
        return self._store.prepare(rows, tombstones, token)


def line_of(row: Mapping[str, Any]) -> PriceLine:
    """The line that a row of the table, read as JSON, holds."""
    return PriceLine(
        layer=Layer[row["layer"].upper()],
        provider=row["provider"],
        model=row["model"],
        bucket=row["bucket"],
        unit_price=Decimal(row["unit_price"]),
        kind=row["kind"],
        unit_size=int(row["unit_size"]),
        currency=row["currency"],
        variant=row["variant"],
        tier_min=int(row["tier_min"]),
        effective_from=_instant(row["effective_from"]),
        effective_to=_instant(row["effective_to"]),
        schedule=row["schedule"],
        contract=row["contract"],
        source=row["source"],
        confidence=row["confidence"],
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def lines_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[PriceLine, Decimal]]]:
    """Price id -> the line and the rates of its currency it was used with."""
    found: dict[str, list[tuple[PriceLine, Decimal]]] = {}
    for row in rows:
        found.setdefault(row["price_id"], []).append((line_of(row), Decimal(row["usd_rate"])))
    return found
