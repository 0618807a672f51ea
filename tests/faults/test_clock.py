"""The clock is set back, also across a restart: a correction still outranks the row that it corrects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bench.faults.traffic import requests
from spanledger.booking import Ledger
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.facts import Fact
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import parse_traces
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.batches import token_of
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import PriceBook, load_book

BOOKED = "SELECT trace_id, span_id, agent_id FROM calls ORDER BY ALL"
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return load_book()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(StoreAddress.parse(f"chdb://{tmp_path}", tmp_path), StoreSettings(), SystemClock()) as opened:
        opened.migrate()
        yield opened


@pytest.fixture(scope="module")
def records() -> list[tuple[Fact, ...]]:
    """Calls first, the spans that name their agents later."""
    normaliser, source = Normaliser(NormaliserSettings(), SystemClock()), requests(12, SystemClock().now_ns)
    return [normaliser.batch(parse_traces(next(source))).facts for _ in range(30)]


def ledger(store: Store, prices: PriceBook, clock: ManualClock) -> Ledger:
    """Of a process that starts now."""
    return Ledger(
        Assembler(),
        prices,
        clock,
        Metrics(CollectorRegistry()),
        horizon_s=HOUR_S,
        booked_until_us=store.booked_until_us(),
    )


def book(store: Store, booking: Ledger, facts: tuple[Fact, ...]) -> None:
    rows, tombstones, _ = booking.book(facts)
    store.book(rows, tombstones, token_of(rows, tombstones))


def test_set_back_by_an_hour_and_restarted_corrections_still_win(
    store: Store, prices: PriceBook, records: list[tuple[Fact, ...]]
) -> None:
    clock = ManualClock(SystemClock().now_ns())
    before = ledger(store, prices, clock)
    for facts in records[:15]:
        book(store, before, facts)
    clock.advance(-HOUR_S)
    after = ledger(store, prices, clock)
    for facts in records[:15]:
        after.remember(facts)
    for facts in records[15:]:
        book(store, after, facts)
    undisturbed = ledger(store, prices, ManualClock(SystemClock().now_ns()))
    rows = [row for facts in records for row in undisturbed.book(facts)[0]]
    wanted = {(row[3], row[4]): row[7] for row in rows}
    assert {(trace, span): agent for trace, span, agent in store.query(BOOKED)} == wanted
    assert len(store.query(BOOKED)) == len(wanted)


def test_set_back_while_running_versions_still_grow(
    store: Store, prices: PriceBook, records: list[tuple[Fact, ...]]
) -> None:
    clock = ManualClock(SystemClock().now_ns())
    booking = ledger(store, prices, clock)
    versions = []
    for facts in records:
        rows, tombstones, _ = booking.book(facts)
        versions += [[row[-1] for row in rows] + [version for _, version in tombstones]]
        clock.advance(-60)
    flat = [sorted(each) for each in versions if each]
    assert all(earlier[-1] < later[0] for earlier, later in pairwise(flat))


def test_a_far_jump_ahead_and_back_again_is_survived(
    store: Store, prices: PriceBook, records: list[tuple[Fact, ...]]
) -> None:
    clock = ManualClock(SystemClock().now_ns())
    clock.advance(10 * 365 * 24 * HOUR_S)
    book(store, ledger(store, prices, clock), records[0])
    until = store.booked_until_us()
    clock.advance(-10 * 365 * 24 * HOUR_S)
    book(store, ledger(store, prices, clock), records[1])
    assert store.booked_until_us() > until
