"""One suite for every store: the embedded engine, the same engine over HTTP, a server where one can be had."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bench.faults.doors import DoorProcess
from spanledger_core.clock import SystemClock
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

START_US = 1_790_000_000_000_000
SERVER_IMAGE = "clickhouse/clickhouse-server:25.8-alpine"

BLANK: dict[str, Any] = {
    "timestamp": START_US,
    "duration_ns": 1_500_000_000,
    "trace_id": "0" * 31 + "1",
    "span_id": "0" * 15 + "1",
    "agent_id": "planner",
    "agent_name": "planner",
    "agent_source": "span",
    "service_name": "shop",
    "provider": "openai",
    "operation": "chat",
    "request_model": "gpt-5",
    "response_model": "gpt-5-2025-08-07",
    "model": "gpt-5",
    "input_tokens": 1000,
    "output_tokens": 200,
    "cost_usd": 3_250_000_000,
    "input_cost_usd": 1_250_000_000,
    "output_cost_usd": 2_000_000_000,
    "cache_read_cost_usd": 0,
    "cache_write_cost_usd": 0,
    "other_cost_usd": 0,
    "cost_status": "priced",
    "status": "ok",
    "price_ids": ["openai/gpt-5/input"],
    "ingested_at": START_US // 1000,
    "settles_at": START_US // 1000 + 3_600_000,
    "version": START_US,
}
UNKNOWN = {
    "time_to_first_token_ns",
    "is_streaming",
    "list_cost_usd",
    "cache_savings_usd",
    "estimated_cost_usd",
    "reported_cost_usd",
    "sampling_probability",
}
ZERO = {name for name in CALL_COLUMNS if name.endswith("_tokens")} | {"is_aggregate"}


def make_row(number: int = 1, **values: Any) -> CallRow:
    """A row of its own for every `number`; columns by name."""
    given = BLANK | {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"} | values
    empty = {"units": {}, "attributes": {}, "absorbed_spans": []}
    row = []
    for name in CALL_COLUMNS:
        nothing = None if name in UNKNOWN else 0 if name in ZERO else empty.get(name, "")
        row.append(given.get(name, nothing))
    return tuple(row)


@pytest.fixture
def row() -> Callable[..., CallRow]:
    return make_row


def server_dsn(request: pytest.FixtureRequest) -> str:
    """A ClickHouse server: from the environment, else a container where Docker runs, else skip with the reason."""
    if dsn := os.environ.get("SPANLEDGER_TEST_CLICKHOUSE"):
        return dsn
    if not Path("/var/run/docker.sock").exists() and "DOCKER_HOST" not in os.environ:
        pytest.skip("no ClickHouse server: SPANLEDGER_TEST_CLICKHOUSE is not set and Docker is not here")
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    container = (
        DockerContainer(SERVER_IMAGE)
        .with_exposed_ports(8123)
        .with_env("CLICKHOUSE_USER", "tester")
        .with_env("CLICKHOUSE_PASSWORD", "a:b@c/d")
        .with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
        .waiting_for(HttpWaitStrategy(8123, "/ping"))
    )
    try:
        container.start()
    except DockerException as error:
        pytest.skip(f"no ClickHouse server: Docker does not work ({error})")
    request.addfinalizer(container.stop)
    host = container.get_container_host_ip()
    return f"clickhouse://tester:a%3Ab%40c%2Fd@{host}:{container.get_exposed_port(8123)}/spanledger"


OVER_HTTP = {"columns", "faults", "lookup", "migrations", "partitions", "rollups", "sweep", "writer"}
"""What every run asks over HTTP too: the files that hold what a store promises. The others where EVERYTHING is set."""
EVERYTHING = "SPANLEDGER_TEST_ALL_OVER_HTTP"


@pytest.fixture(scope="module", params=["chdb", "http", pytest.param("server", marks=pytest.mark.clickhouse)])
def engine(request: pytest.FixtureRequest) -> Iterator[StoreAddress]:
    """Where the module's databases live. The embedded engine opens one directory per process: one per module.

    `http` is that engine too, in a process of its own, and the store reaches it as it reaches a server: all of our
    side of the server path, without a server. In memory where there is such a place: the suite makes thousands of small
    synced files.
    """
    with TemporaryDirectory(prefix="spanledger-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        if request.param == "http":
            name = request.module.__name__.rpartition("test_")[2]
            if name not in OVER_HTTP and EVERYTHING not in os.environ:
                pytest.skip(f"asked over HTTP only where {EVERYTHING} is set, for the time it takes")
            with DoorProcess(Path(folder), "tester", "a:b@c/d") as door:
                yield StoreAddress.parse(door.dsn(), Path(folder))
            return
        dsn = f"chdb://{folder}" if request.param == "chdb" else server_dsn(request)
        yield StoreAddress.parse(dsn, Path(folder))


@pytest.fixture(scope="module")
def admin(engine: StoreAddress) -> Iterator[Store]:
    """Holds the engine open for the module."""
    with open_store(replace(engine, database="default"), StoreSettings(), SystemClock()) as store:
        yield store


@pytest.fixture
def address(engine: StoreAddress, admin: Store, request: pytest.FixtureRequest) -> Iterator[StoreAddress]:
    """A database that does not exist yet, of this test only. Its name needs quoting."""
    name = f"t`{abs(hash(request.node.nodeid)):x}"
    yield replace(engine, database=name)
    with admin.lease() as client:
        client.command("DROP DATABASE IF EXISTS {name:Identifier} SYNC", {"name": name})


@pytest.fixture
def open_here(address: StoreAddress) -> Iterator[Callable[..., Store]]:
    """Opens the test's store, migrated; closed after the test if it is still open."""
    opened: list[Store] = []

    def open_it(*, migrate: bool = True, **settings: Any) -> Store:
        # the rows keep their date while the calendar goes on: they must not expire one day
        kept = {"retention_days": 20_000, "rollup_retention_days": 20_000} | settings
        store = open_store(address, StoreSettings(**kept), SystemClock())
        opened.append(store)
        if migrate:
            store.migrate()
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_here: Callable[..., Store]) -> Store:
    return open_here()
