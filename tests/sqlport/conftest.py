"""A real store with a few calls in it, and the endpoint over it on a free port."""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from spanledger.config.units import Address
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.budgets import Budget, replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

USERS = (
    SqlUser("default"),
    SqlUser("grafana", "pass word"),
    SqlUser("auditor", "sha256:" + hashlib.sha256(b"hashed").hexdigest()),
    SqlUser("acme", "pw", tenant="acme"),
)

HERE = Path(__file__).parent
Serve = Callable[..., SqlServer]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    address = StoreAddress.parse(f"chdb://{folder}/store", folder)
    with open_store(address, StoreSettings(), SystemClock()) as opened:
        opened.migrate()
        with opened.lease() as client:
            client.command((HERE / "seed.sql").read_text())
            hours = client.query("SELECT DISTINCT toUnixTimestamp(toStartOfHour(timestamp)) FROM calls").result_columns[
                0
            ]
        opened.rebuild_rollups(hours)
        budgets = [Budget("total", "", "day", Decimal(1), tenant_id=tenant) for tenant in ("", "acme", "other")]
        replace_budgets(opened, budgets, SystemClock())
        yield opened


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture(scope="module")
def serve(store: Store, metrics: Metrics) -> Iterator[Serve]:
    """Start an endpoint with settings of its own; stopped after the module."""
    started: list[SqlServer] = []

    def start(**settings: Any) -> SqlServer:
        settings = {"endpoint": Address("127.0.0.1", 0), "users": USERS, **settings}
        path = str(store.address.path)
        server = SqlServer(SqlSettings(**settings), path, store.address.database, metrics, SystemClock())
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(serve: Serve) -> SqlServer:
    return serve()


@pytest.fixture(scope="module")
def http(server: SqlServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def ask(http: httpx.Client) -> Callable[..., httpx.Response]:
    """POST a query; further arguments become parameters of the address."""

    def ask(sql: str, **params: str) -> httpx.Response:
        return http.post("/?" + urllib.parse.urlencode(params), content=sql)

    return ask
