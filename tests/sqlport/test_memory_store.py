"""The endpoint over a store that lives in memory, under another name than the usual one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry

from spanledger.config.units import Address
from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlSettings
from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store


def test_a_store_in_memory_is_served_while_it_is_written(tmp_path: Path) -> None:
    """Handles of the endpoint and of the writer share one engine in one process."""
    address = StoreAddress.parse("chdb://memory", tmp_path)
    # the same rows each time, also where midnight passes between two of them
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    seed = (Path(__file__).parent / "seed.sql").read_text().replace("yesterday()", f"toDate('{yesterday}')")
    with open_store(address, StoreSettings(), SystemClock()) as store:
        store.migrate()
        server = SqlServer(
            SqlSettings(endpoint=Address("127.0.0.1", 0)),
            ":memory:",
            address.database,
            Metrics(CollectorRegistry()),
            SystemClock(),
        )
        server.start()
        try:
            with store.lease() as client, httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http:
                writer = threading.Thread(target=lambda: [client.command(seed) for _ in range(5)])
                writer.start()
                # of calls, not of physical rows: merges may drop copies of the same row at any moment
                seen = [int(http.post("/", content="SELECT count() FROM calls").text) for _ in range(20)]
                writer.join()
                assert seen == sorted(seen)
                assert http.post("/", content="SELECT count() FROM calls").text == "300\n"
        finally:
            server.stop()
