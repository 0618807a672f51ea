"""The store is down, loses replies or refuses: real spool, booker and writer, and a real store behind a bad line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bench.faults.traffic import requests
from spanledger.booking import Booker, Ledger
from spanledger.reconcile import Memory, Reconciler
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core.clock import SystemClock
from spanledger_core.errors import Busy, StoreRefused, StoreUnavailable
from spanledger_core.facts import FactBatch
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import parse_traces
from spanledger_core.rows import CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.batches import Tombstone, token_of
from spanledger_exporter.blocks import Block
from spanledger_exporter.dead_letters import DeadLetters
from spanledger_exporter.outbox import Outbox, complete
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_exporter.writer import BatchWriter, WriterSettings
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import PriceBook, load_book

CLOCK = SystemClock()
OF_VERSIONS = "SELECT count() FROM llm_costs WHERE version IN {versions:Array(UInt64)}"
BOOKED = "SELECT trace_id, span_id, agent_id, toString(cost_usd), arraySort(absorbed_spans) FROM calls ORDER BY ALL"
HOURS = "SELECT agent_id, model, sum(calls), toString(sum(cost_usd)) FROM hourly GROUP BY ALL ORDER BY ALL"


class BadLine:
    """A store behind a line that can be cut, and that can lose replies or whole kinds of batches."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False
        self.lose_replies = False
        self.refuse: Callable[[Sequence[CallRow]], bool] = lambda rows: False
        self.attempts = 0
        self.versions: list[list[int]] = []
        """Of every batch that was written."""
        self.prepared: tuple[Sequence[CallRow], list[int]] = ([], [])
        self.find_booked = self._guarded(store.find_booked)
        self.rebuild_rollups = self._guarded(store.rebuild_rollups)
        self.sweep = self._guarded(store.sweep)
        self.unrolled_hours = self._guarded(store.unrolled_hours)

    def _guarded(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **named: Any) -> Any:
            if self.down:
                raise StoreUnavailable("the store cannot be reached: connection refused")
            return ask(*arguments, **named)

        return asked

    def prepare(self, rows: Sequence[CallRow], tombstones: Sequence[Tombstone], token: str) -> Sequence[Block]:
        self.prepared = rows, [row[-1] for row in rows] + [version for _, version in tombstones]
        return self.store.prepare(rows, tombstones, token)

    def insert(self, block: Block) -> None:
        rows, versions = self.prepared
        self.attempts += 1
        if self.down:
            raise StoreUnavailable("the store cannot be reached: connection refused")
        if self.refuse(rows):
            raise StoreRefused("Code: 469. DB::Exception: Constraint `no_such_agent` is violated", 469)
        self.store.insert(block)
        self.versions.append(versions)
        if self.lose_replies and self.attempts % 2:
            raise StoreUnavailable("connection reset by peer")


class Plant:
    """Spool, booker and writer as `serve` connects them."""

    def __init__(
        self, folder: Path, line: BadLine, prices: PriceBook, *, close_timeout_s: float = 30.0, **spool: Any
    ) -> None:
        self.spool = DiskSpool(folder / "spool", SpoolSettings(**{"retry_after_s": 0.01} | spool), CLOCK)
        metrics = Metrics(CollectorRegistry())
        self.dead_letters = folder / "dead"
        settings = WriterSettings(
            self.dead_letters,
            flush_rows=100,
            flush_interval_s=0.05,
            max_pending_rows=200,
            submit_wait_s=0.05,
            close_timeout_s=close_timeout_s,
        )
        outbox = Outbox(folder / "outbox", line.store.identity)
        self.spool.confirm(complete(outbox, line.insert, 0))
        outbox.clear()
        self.writer = BatchWriter(line, settings, CLOCK, metrics, outbox=outbox, on_flushed=self.spool.confirm)
        self.writer.start()
        reconcile = Reconciler(line.find_booked, Memory(0, CLOCK.now_ns() // 1000), lambda: False)
        self.ledger = Ledger(Assembler(), prices, CLOCK, metrics, horizon_s=3600, reconcile=reconcile)
        self.booker = Booker(self.spool, self.ledger, self.writer, CLOCK)
        self.booker.start()
        self.running = True

    def send(self, batches: Sequence[FactBatch]) -> None:
        """As a sender that comes back when it is told to."""
        for batch in batches:
            while True:
                try:
                    self.spool.append(batch)
                    break
                except Busy as busy:
                    time.sleep(busy.retry_after_s)

    def settle(self) -> None:
        wait_for(lambda: self.spool.waiting_facts == 0)
        assert self.writer.flush(30)

    def stop(self) -> None:
        if not self.running:
            return
        self.running = False
        self.spool.close()
        self.booker.join(30, lambda: self.writer.trouble)
        self.writer.close()
        self.spool.release()


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return load_book()


@pytest.fixture(scope="module")
def batches() -> list[FactBatch]:
    normaliser = Normaliser(NormaliserSettings(), CLOCK)
    return [normaliser.batch(parse_traces(body)) for body in islice(requests(11, CLOCK.now_ns), 48)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreAddress]:
    folder = tmp_path_factory.mktemp("engine")
    address = StoreAddress.parse(f"chdb://{folder}", folder)
    with open_store(address, StoreSettings(), CLOCK):
        yield address


@pytest.fixture(scope="module")
def wanted(engine: StoreAddress, batches: list[FactBatch], prices: PriceBook) -> tuple[list[Any], list[Any]]:
    """The books of the same batches without any trouble, every change written by itself."""
    ledger = Ledger(Assembler(), prices, CLOCK, Metrics(CollectorRegistry()), horizon_s=3600)
    with open_store(replace(engine, database="wanted"), StoreSettings(), CLOCK) as store:
        store.migrate()
        hours = set()
        for batch in batches:
            rows, tombstones, _ = ledger.book(batch.facts)
            store.book(rows, tombstones, token_of(rows, tombstones))
            hours |= {row[0] // 3_600_000_000 * 3600 for row in rows}
        store.rebuild_rollups(hours)
        return store.query(BOOKED), store.query(HOURS)


@pytest.fixture
def line(engine: StoreAddress, request: pytest.FixtureRequest) -> Iterator[BadLine]:
    address = replace(engine, database=f"of_{abs(hash(request.node.nodeid)):x}")
    with open_store(address, StoreSettings(), CLOCK) as store:
        store.migrate()
        yield BadLine(store)


@pytest.fixture
def plant(line: BadLine, prices: PriceBook, tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    made: list[Plant] = []

    def make(**settings: Any) -> Plant:
        made.append(Plant(tmp_path, line, prices, **settings))
        return made[-1]

    yield make
    line.down = False
    line.refuse = lambda rows: False
    for each in made:
        each.stop()


def test_after_an_outage_the_books_are_complete_without_a_restart(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    running = plant()
    running.send(batches[:12])
    line.down = True
    sender = threading.Thread(target=running.send, args=(batches[12:],))
    sender.start()
    sender.join(30)
    assert not sender.is_alive()  # senders notice nothing
    wait_for(lambda: "connection refused" in running.writer.trouble)
    assert running.writer.pending_rows <= 200
    assert running.spool.waiting_facts > 0
    assert "connection refused" in running.writer.trouble
    line.down = False
    running.settle()
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted
    assert running.writer.trouble == ""


def test_a_long_outage_fills_the_spool_which_then_refuses_with_a_delay_and_holds_no_more_memory(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    line.down = True
    running = plant(max_bytes=15_000, memory_facts=100)
    refused = []
    for batch in batches:
        try:
            running.spool.append(batch)
        except Busy as busy:
            refused.append((batch, busy))
    assert refused
    assert all(busy.retry_after_s > 0 for _, busy in refused)
    assert "spool.max_bytes" in str(refused[0][1])
    assert running.spool.waiting_bytes <= 15_000
    assert running.writer.pending_rows <= 200
    line.down = False
    running.send([batch for batch, _ in refused])
    running.settle()
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted


def test_lost_replies_book_nothing_twice(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    line.lose_replies = True
    running = plant()
    running.send(batches)
    running.settle()
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted


def test_batches_never_overtake_each_other(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    running = plant()
    for number, batch in enumerate(batches):
        line.down = number % 12 < 4
        running.send([batch])
    line.down = False
    running.settle()
    assert len(line.versions) > 3
    assert all(max(earlier) < min(later) for earlier, later in pairwise(line.versions))
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted


def test_a_refused_batch_is_set_aside_whole_and_the_rest_goes_on(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    refusals: list[Sequence[CallRow]] = []

    def refuse(rows: Sequence[CallRow]) -> bool:
        """One batch, whenever it comes."""
        if rows and len(refusals) < 3 and (not refusals or rows is refusals[0] or list(rows) == list(refusals[0])):
            refusals.append(rows)
            return True
        return False

    line.refuse = refuse
    running = plant()
    running.send(batches)
    running.settle()
    letters = DeadLetters(running.dead_letters, 1 << 30)
    assert len(letters.paths()) == 1
    letter = letters.read(letters.paths()[0])
    assert "no_such_agent" in letter.reason
    assert json.dumps(letter.rows) == json.dumps(refusals[0])
    versions = [row[-1] for row in letter.rows]
    assert line.store.query(OF_VERSIONS, {"versions": versions}) == [(0,)]
    # the cause is gone: booked from the letter, the books are complete
    line.store.book(letter.rows, letter.tombstones, token_of(letter.rows, letter.tombstones))
    line.store.rebuild_rollups({row[0] // 3_600_000_000 * 3600 for row in letter.rows})
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted


def test_a_store_that_comes_up_after_the_collector_is_waited_for(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    line.down = True
    running = plant()
    running.send(batches)
    time.sleep(0.3)
    assert running.booker.alive
    line.down = False
    running.settle()
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted


def test_stopped_during_an_outage_the_next_process_books_the_rest(
    plant: Callable[..., Plant], line: BadLine, batches: list[FactBatch], wanted: Any
) -> None:
    first = plant(close_timeout_s=0.2)
    first.send(batches[:24])
    wait_for(lambda: first.spool.confirmed > 0)
    line.down = True
    first.send(batches[24:])
    began = time.monotonic()
    first.stop()
    assert time.monotonic() - began < 20
    line.down = False
    second = plant()
    second.settle()
    assert (line.store.query(BOOKED), line.store.query(HOURS)) == wanted
