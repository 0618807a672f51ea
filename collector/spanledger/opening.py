"""Opening the store to book into it: reached, migrated, and on a server's database held by no other collector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import NamedTuple

import structlog

from spanledger import systemd, wiring
from spanledger.config.model import Config
from spanledger.health import TELEMETRY_GRACE_S, telemetry_server
from spanledger.ownership import own
from spanledger.standby import Holding, once_reached, stand_by
from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.budgets import replace_budgets
from spanledger_exporter.store import Store, open_store

_log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """What goes on while a store is waited for."""

    metrics: Metrics
    stopping: Event
    """Set when the process is told to stop."""
    refresh: Callable[[], None]
    """Brings the gauges up to date: what waits in the spool waits on."""


def open_for_booking(
    config: Config, address: StoreAddress, clock: Clock, parts: ExitStack, waiting: Waiting
) -> tuple[Store, Holding | None]:
    """The open store, and on a server's database the right to book into it. `parts` closes both.

    A server is waited for as long as it takes, and so is the lease; only an embedded store can fail.
    Raises `ConfigError`, `StoreError`, or `ToldToStop`.
    """
    reach = partial(_reach, config, address, clock, waiting.metrics)
    showing = partial(_telemetry_while_waiting, config, waiting)
    holding = None
    if address.kind == "embedded":
        if address.path is not None:
            # two folders of data may lead to one store
            parts.enter_context(own(address.path, "store"))
        store = parts.enter_context(reach())
    else:
        store = parts.enter_context(once_reached(reach, clock, waiting.stopping, showing))
        holding = stand_by(store, config.data_dir, clock, waiting.stopping, showing=showing)
        parts.callback(holding.stop)
        once_reached(store.migrate, clock, waiting.stopping, showing)
    _load_budgets(config, store, clock)
    return store, holding


def _reach(config: Config, address: StoreAddress, clock: Clock, metrics: Metrics) -> Store:
    with ExitStack() as opened:
        store = opened.enter_context(open_store(address, wiring.store_settings(config), clock, metrics))
        if address.kind == "embedded":
            store.migrate()
        else:
            store.meet()
        opened.pop_all()
    return store


def _load_budgets(config: Config, store: Store, clock: Clock) -> None:
    budgets = wiring.budgets(config)
    if budgets is not None:
        written, withdrawn = replace_budgets(store, budgets, clock)
        _log.info("budgets loaded", lines=len(budgets), written=written, withdrawn=withdrawn)


@contextmanager
def _telemetry_while_waiting(config: Config, waiting: Waiting, part: str, why: str) -> Iterator[None]:
    """Alive, and not ready. For systemd this is all of starting: it would not wait for what others must do."""
    systemd.notify(f"READY=1\nSTATUS=waiting: {part}", os.environ)
    server = telemetry_server(waiting.metrics, dict, lambda: {part: why}, waiting.refresh)
    server.start(str(config.telemetry.endpoint), "telemetry.endpoint")
    try:
        yield
    finally:
        server.stop(TELEMETRY_GRACE_S)
