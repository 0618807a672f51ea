"""`spanledger serve`: the parts of one collector, started in the order of the data's way out, stopped in reverse.

Start: spool, store, writer, booking, health, SQL port, receivers last: nothing is taken before it can be kept. Stop:
receivers first (requests under way are answered), then what was taken is booked and flushed, then the store closes.
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import start_new_thread
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from spanledger import address, systemd, wiring
from spanledger.booking import Booker, Ledger
from spanledger.cli.terminal import output
from spanledger.config.exposure import exposure_warnings
from spanledger.config.model import Config
from spanledger.configured_prices import price_book
from spanledger.control import ControlServer, Job
from spanledger.forget import Eraser, ForgetJob
from spanledger.forgotten import Forgotten
from spanledger.forwarding import Forwarding
from spanledger.garbage import Garbage
from spanledger.greeting import say_how_to_use
from spanledger.handing import StoreJob
from spanledger.health import TELEMETRY_GRACE_S, telemetry_server
from spanledger.opening import Waiting, open_for_booking
from spanledger.ownership import own
from spanledger.pipeline import Pipeline
from spanledger.prices_in_force import PricesInForce
from spanledger.reconcile import Memory, Reconciler, is_empty
from spanledger.reloading import Part, Reloading
from spanledger.replay import ReplayJob
from spanledger.reprice.books import SharedBooks
from spanledger.reprice.command import RepriceJob
from spanledger.reprice.proof import Proofs, ProvenStore
from spanledger.scratch import scratch
from spanledger.spool.disk import DiskSpool
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlUser
from spanledger.standby import Fenced, Holding, ToldToStop
from spanledger_core.clock import Clock, SystemClock
from spanledger_core.errors import ConfigError, SpanledgerError, StoreError
from spanledger_core.metrics import Metrics
from spanledger_core.placement import keep_together
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.forward import OtlpForwarder
from spanledger_exporter.outbox import Outbox, complete
from spanledger_exporter.store import Store
from spanledger_exporter.upkeep import Upkeep
from spanledger_exporter.writer import BatchWriter
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.pricing.book import PriceBook
from spanledger_receiver.auth import Access
from spanledger_receiver.grpc_server import OtlpGrpcServer
from spanledger_receiver.http_server import OtlpHttpServer
from spanledger_receiver.malloc import tune_malloc

_log = structlog.get_logger(__name__)
_GRACE_S = 5.0
_BOOKING_GRACE_S = 60.0
_WATCH_S = 0.5
SWITCH_INTERVAL_S = 0.0005
"""How long a thread waits for its turn while booking computes, instead of Python's 5 ms: a request waits several times
before it is acknowledged."""
_LOCAL_USER = "spanledger-local"
_SPOOL_NEARLY_FULL = 0.95


class Service:
    """One running collector."""

    def __init__(self, config: Config, clock: Clock, stopping: Event) -> None:
        """`stopping` is set when the process is told to stop."""
        self._config = config
        self._clock = clock
        self._stopping = stopping
        self._holding: Holding | None = None
        self._local_user: SqlUser | None = None
        """For commands on this machine, where the SQL port asks for a password."""
        self._sql_users: tuple[SqlUser, ...] = ()
        self.sql_url = ""
        """Of the SQL port, which an embedded store has."""
        self._parts = ExitStack()
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.metrics = Metrics(registry)
        self.store_address = StoreAddress.parse(config.store_url, config.data_dir)
        self._access = Access(wiring.tokens(config))
        self._counted: dict[str, int] = {}
        """What of assembly's own counts the metrics have by now."""
        self._certified: list[OtlpGrpcServer | OtlpHttpServer | SqlServer] = []
        """Servers that may have certificates."""
        self._not_taking = "starting"
        """Why no spans are taken; empty while they are. Health answers earlier than the receivers, and longer."""

    # ---- start

    def start(self) -> None:
        """Start every part; on a server's database not before no other collector books into it.

        Raises `ConfigError`, `StoreError` or `ToldToStop`; what was started by then is stopped again.
        """
        with self._parts as parts:
            config, clock, metrics = self._config, self._clock, self.metrics
            garbage = parts.enter_context(Garbage(clock))
            parts.enter_context(own(config.data_dir))
            parts.enter_context(scratch(config.data_dir))
            prices = price_book(config)
            self._in_force = PricesInForce(
                config.data_dir / "price-book.json", config.assembly.horizon.total_seconds(), clock
            )
            self._in_force.use(prices.version)
            spool = self._spool = DiskSpool(wiring.spool_dir(config), wiring.spool_settings(config), clock)
            parts.callback(spool.release)
            waiting = Waiting(metrics, self._stopping, self._refresh_spool)
            store, self._holding = open_for_booking(config, self.store_address, clock, parts, waiting)
            self._store = store
            self._may_write = (lambda: None) if self._holding is None else self._holding.check
            upkeep = Upkeep(store)
            upkeep.start()
            parts.callback(upkeep.close)
            self._proofs = Proofs(store, clock)
            self._forgotten = Forgotten(config.assembly.horizon.total_seconds())
            self._meet(store, spool)
            self._writer = self._start_writer(store, spool)
            self._assembler = Assembler(wiring.assembly_settings(config))
            forwarding = self._start_forwarding()
            self._start_booking(spool, prices, forwarding)
            normaliser = Normaliser(wiring.normaliser_settings(config), clock)
            pipeline = Pipeline(normaliser, spool, metrics, clock, forwarding)
            self._start_telemetry()
            self._start_sql()
            self._start_control(pipeline)
            self._start_receivers(pipeline)
            self._start_reloading()
            # what was made until now lives as long as the process
            garbage.look_at_all()
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            self._parts = parts.pop_all()

    def _start_writer(self, store: Store, spool: DiskSpool) -> BatchWriter:
        writer = BatchWriter(
            Fenced(ProvenStore(store, self._proofs), self._may_write),
            wiring.writer_settings(self._config),
            self._clock,
            self.metrics,
            outbox=self._outbox,
            on_flushed=spool.confirm,
        )
        writer.start()
        self._parts.callback(writer.close)
        return writer

    def _start_forwarding(self) -> Forwarding | None:
        settings = wiring.forward_settings(self._config)
        if settings is None:
            return None
        forwarder = OtlpForwarder(settings, self.metrics, self._clock)
        self._parts.callback(forwarder.close, _GRACE_S)
        return Forwarding(forwarder, self.metrics, settings.max_queue_bytes)

    def _start_booking(self, spool: DiskSpool, prices: PriceBook, forwarding: Forwarding | None) -> None:
        horizon_s = self._config.assembly.horizon.total_seconds()
        self._ledger = Ledger(
            self._assembler,
            prices,
            self._clock,
            self.metrics,
            horizon_s=horizon_s,
            reconcile=Reconciler(self._store.find_booked, self._memory, self._in_force.moved_ns),
            booked_until_us=self._booked_until_us,
            prove=self._proofs,
            forgotten=self._forgotten,
        )
        self._booker = Booker(spool, self._ledger, self._writer, self._clock, forwarding)
        self._booker.start()
        self._parts.callback(self._booker.join, _BOOKING_GRACE_S, lambda: self._writer.trouble)
        self._parts.callback(spool.close)

    def _meet(self, store: Store, spool: DiskSpool) -> None:
        """What the store, the outbox and the spool know of earlier processes.

        Booking remembers from the oldest record that the spool still has. An empty store holds nothing older, and
        what the spool keeps was not booked in this one. Rows are booked later than all that stand in the store, though
        the clock may have been set back meanwhile: else a correction would lose against the row it corrects.
        """
        now_ns, kept_since_ns = self._clock.now_ns(), spool.kept_since_ns
        since_ns = now_ns if kept_since_ns is None else min(kept_since_ns, now_ns)
        self._outbox = outbox = Outbox(wiring.outbox_dir(self._config), store.identity)
        if is_empty(store):
            since_ns = 0
            if spool.confirmed:
                _log.warning("the store is empty: what the spool still keeps is booked again")
                spool.book_again()
        else:
            fenced = Fenced(store, self._may_write)
            spool.confirm(complete(outbox, fenced.insert, store.literal_since_day, spool.confirmed))
        try:
            outbox.clear()
        except OSError as error:
            raise ConfigError([f"data_dir: cannot empty the outbox: {error}"]) from error
        self._booked_until_us = store.booked_until_us()
        self._memory = Memory(since_ns, max(now_ns // 1000, self._booked_until_us + 1))

    def _start_telemetry(self) -> None:
        server = telemetry_server(self.metrics, self._alive, self._ready, self._refresh)
        server.start(str(self._config.telemetry.endpoint), "telemetry.endpoint")
        self._parts.callback(server.stop, TELEMETRY_GRACE_S)

    def _start_sql(self) -> None:
        if self.store_address.kind != "embedded":
            return
        config, password = self._config, self._clock.token()
        self._local_user = local = SqlUser(_LOCAL_USER, password) if config.sql.users else None
        self._renew_users()
        path = str(self.store_address.path) if self.store_address.path else ":memory:"
        server = SqlServer(
            wiring.sql_settings(config),
            path,
            self.store_address.database,
            self.metrics,
            self._clock,
            users=lambda: self._sql_users,
        )
        server.start()
        self._parts.callback(server.stop)
        self._certified.append(server)
        scheme = "https" if config.sql.tls else "http"
        self.sql_url = f"{scheme}://{config.sql.endpoint._replace(port=server.port)}"
        address.publish(
            config.data_dir,
            address.SqlAddress(
                self.sql_url,
                os.getpid(),
                self.store_address.database,
                store=path,
                user=local.name if local else "",
                password=password if local else "",
            ),
        )
        self._parts.callback(address.withdraw, config.data_dir, os.getpid())

    def _start_control(self, pipeline: Pipeline) -> None:
        replay = ReplayJob(pipeline, self._spool, self._writer, self._store, self._clock)
        books = SharedBooks(self._store, self._booker, self._writer, self._in_force.history_moved, self._may_write)
        eraser = Eraser(self._config, self._store, books, self._clock, self._spool.shrank)
        jobs: dict[str, Job] = {
            "store": StoreJob(self.store_address),
            "replay": replay,
            "reprice": RepriceJob(self._config, self._store, books, self._clock),
            "forget": ForgetJob(eraser, self._forgotten),
        }
        server = ControlServer(self._config.data_dir, jobs)
        server.start()
        self._parts.callback(server.stop)

    def _start_receivers(self, pipeline: Pipeline) -> None:
        grpc = OtlpGrpcServer(wiring.grpc_settings(self._config), pipeline, self.metrics, self._clock, self._access)
        http = OtlpHttpServer(wiring.http_settings(self._config), pipeline, self.metrics, self._clock, self._access)
        for server in (grpc, http):
            server.start()
            self._parts.callback(server.stop, _GRACE_S)
            self._certified.append(server)
        self._not_taking = ""

    def _start_reloading(self) -> None:
        config = self._config
        parts = (
            Part("prices", config.prices.files, self._renew_prices),
            Part("tokens", wiring.token_files(config), lambda: self._access.replace(wiring.tokens(config))),
            Part("users", wiring.password_files(config), self._renew_users),
            Part("certificates", wiring.certificate_files(config), self._renew_certificates),
        )
        self._reloading = Reloading(parts, self.metrics)
        self._reloading.start()
        self._parts.callback(self._reloading.stop)

    def _renew_prices(self) -> None:
        prices = price_book(self._config)
        self._in_force.use(prices.version)
        self._ledger.prices = prices

    def _renew_users(self) -> None:
        self._sql_users = wiring.sql_users(self._config, self._local_user)

    def _renew_certificates(self) -> None:
        for server in self._certified:
            server.renew_certificates()

    # ---- running

    @property
    def failed(self) -> BaseException | None:
        """Why booking ended by itself, if it did."""
        lost = self._holding.lost if self._holding is not None else None
        return self._booker.failed or lost

    def reload(self) -> None:
        """Have prices, tokens, passwords and certificates read again; does not wait."""
        self._reloading.ask()

    def _alive(self) -> dict[str, str]:
        return {} if self._booker.alive else {"booking": f"stopped: {self._booker.failed}"}

    def _ready(self) -> dict[str, str]:
        faults = self._alive()
        if self._not_taking:
            faults["receivers"] = self._not_taking
        limit = self._config.spool.max_bytes
        if self._spool.waiting_bytes > _SPOOL_NEARLY_FULL * limit:
            faults["spool"] = f"{self._spool.waiting_bytes} of {limit} bytes wait to be booked"
        elif self._spool.trouble:
            faults["spool"] = f"cannot write: {self._spool.trouble}"
        return faults

    def _refresh_spool(self) -> None:
        metrics = self.metrics
        metrics.spool_facts.set(self._spool.waiting_facts)
        metrics.spool_bytes.set(self._spool.waiting_bytes)
        metrics.spool_kept_bytes.set(self._spool.kept_bytes)
        metrics.booking_lag_seconds.set(self._spool.waiting_s)

    def _refresh(self) -> None:
        metrics = self.metrics
        self._refresh_spool()
        metrics.assembly_traces.set(self._assembler.traces)
        metrics.assembly_bytes.set(self._assembler.bytes)
        for kind, count in self._assembler.stats.items():
            metrics.assembly_events.labels(kind).inc(count - self._counted.get(kind, 0))
            self._counted[kind] = count

    def stop(self) -> None:
        """Stop every part in reverse order: nothing that was acknowledged is left behind."""
        self._not_taking = "stopping"
        self._parts.close()


def run(config: Config, file: Path | None = None) -> int:
    """Serve until told to stop; the exit status of the command. `file` is where the configuration was read from."""
    tune_malloc()
    if config.one_cpu:
        keep_together()
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        # in a thread: this one may be inside the event, and would wait for itself
        signal.signal(name, lambda *_: start_new_thread(stop.set, ()))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what it asks to read again is about to be read
    for warning in exposure_warnings(config):
        _log.warning("exposed", what=warning)
    service = Service(config, SystemClock(), stop)
    try:
        service.start()
    except ConfigError as error:
        for fault in error.faults:
            _log.error("cannot start", fault=fault)
        return 2
    except ToldToStop:
        return 0
    except (StoreError, SpanledgerError) as error:
        _log.error("cannot start", fault=str(error), store=str(service.store_address))
        return 1
    signal.signal(signal.SIGHUP, lambda *_: service.reload())
    say_how_to_use(config, file, service.store_address, service.sql_url, output())
    systemd.notify("READY=1", os.environ)
    while not stop.wait(_WATCH_S) and service.failed is None:
        pass
    systemd.notify("STOPPING=1", os.environ)
    _log.info("stopping: booking what was taken")
    service.stop()
    return 0 if service.failed is None else 1
