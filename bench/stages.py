"""CPU microseconds per received span of each stage alone, in this process, one thread."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from bench import payload
from spanledger.booking import Ledger
from spanledger.spool.codec import Reader, encode_batch
from spanledger.spool.disk import DiskSpool, SpoolSettings
from spanledger_core import otlp
from spanledger_core.calls import Change
from spanledger_core.clock import SystemClock
from spanledger_core.facts import FactBatch
from spanledger_core.metrics import Metrics
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings
from spanledger_processor.pricing.book import PriceBook, load_book
from spanledger_processor.rows import call_row

SPANS = 512
REQUESTS = 100
WARM_UP = 30
"""Requests that show the fleet once: what repeats (agents, models, processes) is met once in a process's life."""
CLOCK = SystemClock()
BOOKED_TWICE = "booking, agent named only above the call: every row twice"


class Stage(NamedTuple):
    """One measured line."""

    name: str
    us_per_span: float


def measured(name: str, spans: int, work: Callable[[], Any], runs: int = 3) -> Stage:
    """CPU of `work` over `spans` spans, user and system: the best of `runs`, so that other machines' work counts less.

    Garbage is collected as the collector does it.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    spent = []
    for _ in range(runs):
        started = process_time()
        work()
        spent.append(process_time() - started)
    return Stage(name, min(spent) / spans * 1e6)


def _parse_all(bodies: list[bytes]) -> None:
    for body in bodies:
        for group in otlp.parse_traces(body).resource_spans:
            for part in group.scope_spans:
                for span in part.spans:
                    otlp.Span.FromString(span)


def floor() -> float:
    """What protobuf's own parser takes for the spans of a load."""
    now_ns = CLOCK.now_ns()
    bodies = [payload.request(SPANS, seed=seed, now_ns=now_ns) for seed in range(REQUESTS)]
    return measured("floor", SPANS * REQUESTS, lambda: _parse_all(bodies)).us_per_span


def stages() -> Iterator[Stage]:
    """The floor first (protobuf's own parser over the same bytes), then each stage on the output of the one before."""
    now_ns = CLOCK.now_ns()
    bodies = [payload.request(SPANS, seed=seed, now_ns=now_ns) for seed in range(WARM_UP + REQUESTS)]
    spans = SPANS * REQUESTS
    yield measured("floor: protobuf parse", spans, lambda: _parse_all(bodies[WARM_UP:]))

    normaliser = Normaliser(NormaliserSettings(), CLOCK)
    for body in bodies[:WARM_UP]:
        normaliser.batch(otlp.parse_traces(body))
    requests = [otlp.parse_traces(body) for body in bodies[WARM_UP:]]
    yield measured("decode to facts", spans, lambda: [normaliser.batch(request) for request in requests])
    batches = [normaliser.batch(request) for request in requests]
    yield measured("spool: encode", spans, lambda: [encode_batch(batch) for batch in batches])
    records = [encode_batch(batch) for batch in batches]
    reader = Reader()
    yield measured("spool: read back", spans, lambda: [reader.decode(record) for record in records])
    with tempfile.TemporaryDirectory() as folder:
        spool = DiskSpool(Path(folder), SpoolSettings(), CLOCK)
        yield measured("spool: encode, commit, fsync", spans, lambda: [spool.append(batch) for batch in batches])
        spool.release()
    yield from _booking(batches, spans, now_ns)


def _assembled(batches: list[FactBatch]) -> list[Change]:
    assembler = Assembler()
    return [change for batch in batches for change in assembler.add(batch.facts, 1.0)]


def _booking(batches: list[FactBatch], spans: int, now_ns: int) -> Iterator[Stage]:
    yield measured("assembly", spans, lambda: _assembled(batches))
    book = load_book()
    calls = [change.call for change in _assembled(batches) if change.call is not None]
    priced = [book.price(call) for call in calls]
    pricing = measured("price", spans, lambda: [book.price(call) for call in calls])
    yield pricing
    yield Stage(f"  ({1e6 / (pricing.us_per_span * spans / len(calls)):,.0f} calls priced a second)", 0.0)
    yield measured("row", spans, lambda: [call_row(*pair, 1, 2, 3) for pair in zip(calls, priced, strict=True)])
    rows = [call_row(*pair, 1, 2, 3) for pair in zip(calls, priced, strict=True)]

    def booked() -> None:
        ledger = Ledger(Assembler(), book, CLOCK, Metrics(CollectorRegistry()), horizon_s=3600)
        for batch in batches:
            ledger.book(batch.facts)

    yield measured("booking: assembly, price, row", spans, booked)
    yield _booked_twice(book, now_ns)
    yield from _store(rows, spans)


def _booked_twice(book: PriceBook, now_ns: int) -> Stage:
    """The worst case: the agent is named only above its calls and comes when they are booked."""
    normaliser = Normaliser(NormaliserSettings(), CLOCK)
    seeds = range(REQUESTS)
    bodies = [payload.request(SPANS, seed=seed, now_ns=now_ns, named_above=True) for seed in seeds]
    bodies += [payload.agent_spans(SPANS, seed=seed, now_ns=now_ns) for seed in seeds]
    batches = [normaliser.batch(otlp.parse_traces(body)) for body in bodies]
    ledger = Ledger(Assembler(), book, CLOCK, Metrics(CollectorRegistry()), horizon_s=3600)
    written = 0

    def work() -> None:
        nonlocal written
        written += sum(len(ledger.book(batch.facts)[0]) for batch in batches)

    stage = measured(BOOKED_TWICE, sum(len(batch.facts) for batch in batches), work, runs=1)
    calls = REQUESTS * SPANS // 2
    if written != 2 * calls:
        raise SystemExit(f"{written} rows of {calls} calls")
    return stage


def _store(rows: list[Any], spans: int) -> Iterator[Stage]:
    hours = sorted({row[0] // 3_600_000_000 * 3600 for row in rows})
    settings = (
        (StoreSettings(), "embedded chDB, engine included"),
        (StoreSettings(partitioning="day"), "the same, partitioning: day"),
    )
    for setting, name in settings:
        with tempfile.TemporaryDirectory() as folder:
            address = StoreAddress.parse(f"chdb://{folder}/store", Path(folder))
            with open_store(address, setting, CLOCK) as store:
                store.migrate()
                store.book(rows[:1000], [], "warm up")
                insert = partial(_insert, store, rows[1000:])
                yield measured(f"insert into {name}", spans, insert, runs=1)
                if setting.partitioning == "agent":
                    yield measured("rollups", spans, partial(store.rebuild_rollups, hours))


def _insert(store: Store, rows: list[Any]) -> None:
    """Two batches of the size that a flush makes under load."""
    half = len(rows) // 2
    for start in range(0, len(rows), half or 1):
        store.book(rows[start : start + half], [], f"batch {start}")
