"""`spanledger replay`: OTLP files through the same path as live spans, one request one step of assembly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from spanledger import control, wiring
from spanledger.booking import Ledger
from spanledger.cli.stores import open_configured
from spanledger.cli.target import running_collector
from spanledger.config.model import Config
from spanledger.configured_prices import price_book
from spanledger.garbage import Garbage
from spanledger.pipeline import Pipeline
from spanledger.reconcile import Memory, Reconciler, is_empty
from spanledger.reprice.proof import Proofs, ProvenStore
from spanledger_core.clock import Clock, SystemClock
from spanledger_core.errors import Busy, ConfigError
from spanledger_core.facts import Refusal
from spanledger_core.metrics import Metrics
from spanledger_core.refusals import REASONS
from spanledger_core.rows import row_version
from spanledger_core.stages import Receipt
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.store import Store
from spanledger_exporter.writer import BatchWriter
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_receiver.files import FileRequest, SkippedFile, expand, read_requests, total_bytes

_WAIT_S: Final = 0.05
_FLUSH_S: Final = 60.0


class Confirming(Protocol):
    """A spool, as far as one can wait for it."""

    @property
    def confirmed(self) -> int:
        """The last sequence whose rows are in the store."""


class Refused:
    """Refused spans by reason, each with the first example."""

    def __init__(self) -> None:
        self._by_reason: dict[str, Refusal] = {}

    def add(self, refusals: Iterable[Refusal]) -> None:
        """Count some more."""
        for refusal in refusals:
            before = self._by_reason.get(refusal.reason)
            self._by_reason[refusal.reason] = (
                refusal if before is None else before._replace(spans=before.spans + refusal.spans)
            )

    def lines(self) -> list[str]:
        """One sentence for each reason."""
        return [
            f"refused {refusal.spans} spans: {reason} ({REASONS[reason]}), for example {refusal.example}"
            for reason, refusal in self._by_reason.items()
        ]


def booked_since(store: Store, version: int) -> Summary:
    """What stands in the store with this or a later version."""
    sql = files(__package__).joinpath("replay.sql").read_text(encoding="utf-8")
    calls, dollars, unpriced = store.query(sql, {"first": version})[0]
    return Summary(int(calls), Decimal(dollars or 0), int(unpriced))


class Summary(NamedTuple):
    """What the store holds of this replay."""

    calls: int
    dollars: Decimal
    unpriced: int


class Replay:
    """One run over files. Not a second implementation: the stages are those of `serve`, driven in this thread."""

    def __init__(self, config: Config, prices: Sequence[Path], store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        booked_until_us = store.booked_until_us()
        self._first_version = row_version(max(clock.now_ns() // 1000, booked_until_us + 1))
        metrics = Metrics(CollectorRegistry())
        proofs = Proofs(store, clock)
        self._normaliser = Normaliser(wiring.normaliser_settings(config), clock)
        self._ledger = Ledger(
            Assembler(wiring.assembly_settings(config)),
            price_book(config, prices),
            clock,
            metrics,
            horizon_s=config.assembly.horizon.total_seconds(),
            reconcile=Reconciler(store.find_booked, self._memory(), lambda: 0),
            booked_until_us=booked_until_us,
            prove=proofs,
        )
        self._writer = BatchWriter(ProvenStore(store, proofs), wiring.writer_settings(config), clock, metrics)
        self._requests = 0
        self.spans = 0
        self.refused = Refused()

    def _memory(self) -> Memory:
        """This process remembers nothing: calls that the store has already keep their rows and their amounts."""
        return Memory(0 if is_empty(self._store) else self._clock.now_ns(), self._first_version)

    def __enter__(self) -> Replay:
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def take(self, item: FileRequest) -> None:
        """One request: facts, calls, rows."""
        batch = self._normaliser.batch(item.request)
        self.refused.add(batch.refusals)
        self.refused.add(item.refusals)
        self.spans += len(batch.facts) + batch.refused + sum(refusal.spans for refusal in item.refusals)
        self._requests += 1
        rows, withdrawn, _ = self._ledger.book(batch.facts)
        while True:
            try:
                self._writer.submit(rows, withdrawn, self._requests)
                return
            except Busy as busy:
                self._clock.sleep(busy.retry_after_s)

    def summary(self) -> Summary:
        """After everything is written: what of this run stands in the store."""
        return booked_since(self._store, self._first_version)


def run(config: Config, paths: list[Path], store: str | None, prices: list[Path], console: Console) -> int:
    """Replay `paths` into the store, or have the collector do it that has the store open; the exit status."""
    del store  # stands in the configuration by now
    clock = SystemClock()
    started_s = clock.monotonic_s()
    address = StoreAddress.parse(config.store_url, config.data_dir)
    running = running_collector(config.data_dir, address.path) if address.kind == "embedded" else None
    if running is not None:
        outcome = _hand_over(config, paths, prices, console)
    else:
        with ExitStack() as parts:
            parts.enter_context(Garbage(clock))
            opened = parts.enter_context(open_configured(config))
            opened.migrate()
            replay = Replay(config, prices, opened, clock)
            with replay:
                skipped = _feed(replay.take, paths, _bar(console))
            outcome = Outcome(replay.spans, replay.summary(), skipped, replay.refused.lines())
    _show(outcome, clock.monotonic_s() - started_s, console)
    return 1 if outcome.skipped.named else 0


class Skipped(NamedTuple):
    """What was not read."""

    lines: Sequence[str]
    """What and why."""
    named: bool
    """Whether a whole file is among it that was asked for by its own name."""


class Outcome(NamedTuple):
    """What a replay ends with."""

    spans: int
    summary: Summary
    skipped: Skipped
    refused: Sequence[str]
    by: str = ""
    """Who did it, where that was not this process."""


def _hand_over(config: Config, paths: Sequence[Path], prices: Sequence[Path], console: Console) -> Outcome:
    """Let the running collector read the files."""
    if prices:
        raise ConfigError(
            ["--prices: the running collector prices with its own book; add the files to its prices.files, or stop it"]
        )
    absolute = [str(path.absolute()) for path in paths]
    with _bar(console) as advance:
        for told in control.ask(config.data_dir, "replay", paths=absolute):
            if "result" in told:
                result = told["result"]
                summary = Summary(result["calls"], Decimal(result["dollars"]), result["unpriced"])
                skipped = Skipped(*result["skipped"])
                return Outcome(result["spans"], summary, skipped, result["refused"], "the running collector")
            advance(told["done"], told["total"])
    raise ConnectionError("the collector ended before the job did")


def _show(outcome: Outcome, seconds: float, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    for line in (*outcome.skipped.lines, *outcome.refused):
        say(line)
    by = f", by {outcome.by} (calls include what else it booked meanwhile)" if outcome.by else ""
    calls, dollars, unpriced = outcome.summary
    rate = outcome.spans / max(seconds, 1e-9)
    say(f"{outcome.spans} spans read ({rate:,.0f}/s), {calls} calls, {dollars:f} USD, {unpriced} unpriced{by}")


Advance = Callable[[int, int], None]
"""Bytes done, bytes in all."""


def _feed(take: Callable[[FileRequest], None], paths: Sequence[Path], bar: AbstractContextManager[Advance]) -> Skipped:
    """Every request in the files to `take`; what was skipped and why."""
    found = expand(paths)
    total = total_bytes(found)
    skipped: list[str] = []
    named = False
    with bar as advance:
        for item in read_requests(found):
            if isinstance(item, SkippedFile):
                where = f"{item.path}:{item.line}" if item.line else str(item.path)
                skipped.append(f"skipped {where}: {item.reason}")
                named |= not item.line and item.path in paths
            else:
                take(item)
            advance(item.bytes_done, total)
    return Skipped(skipped, named)


@contextmanager
def _bar(console: Console) -> Iterator[Advance]:
    """A progress bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("replay"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replay", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class ReplayJob:
    """The collector's side of a replay that was handed over: the files go the way of every received request."""

    def __init__(self, pipeline: Pipeline, spool: Confirming, writer: BatchWriter, store: Store, clock: Clock) -> None:
        self._pipeline = pipeline
        self._spool = spool
        self._writer = writer
        self._store = store
        self._clock = clock

    def __call__(self, asked: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Read `paths`; returns when everything is in the store."""
        first_version = row_version(self._clock.now_ns() // 1000)
        refused = Refused()
        counts = {"spans": 0, "last": 0}

        def take(item: FileRequest) -> None:
            receipt, sequence = self._commit(item)
            refused.add(item.refusals)
            counts["spans"] += receipt.accepted + receipt.rejected + sum(each.spans for each in item.refusals)
            counts["last"] = max(counts["last"], sequence)

        paths = [Path(path) for path in asked["paths"]]
        skipped = _feed(take, paths, nullcontext(lambda done, total: tell({"done": done, "total": total})))
        while self._spool.confirmed < counts["last"]:
            self._clock.sleep(_WAIT_S)
        self._writer.flush(_FLUSH_S)
        calls, dollars, unpriced = booked_since(self._store, first_version)
        return {
            "spans": counts["spans"],
            "calls": calls,
            "dollars": str(dollars),
            "unpriced": unpriced,
            "skipped": list(skipped),
            "refused": refused.lines(),
        }

    def _commit(self, item: FileRequest) -> tuple[Receipt, int]:
        while True:
            try:
                return self._pipeline.commit(item.request)
            except Busy as busy:
                self._clock.sleep(busy.retry_after_s)
