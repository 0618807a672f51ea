"""The store in memory: whole while it is open, gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

from spanledger_core.clock import SystemClock
from spanledger_core.rows import CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store


def test_every_thread_sees_the_one_store_in_memory(row: Callable[..., CallRow]) -> None:
    address = StoreAddress.parse("chdb://memory", Path())
    with open_store(address, StoreSettings(retention_days=20_000), SystemClock()) as store:
        store.migrate()
        store.book([row(number) for number in range(10)], [], "1")
        seen: list[object] = []
        threads = [Thread(target=lambda: seen.append(store.query("SELECT count() FROM calls"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [[(10,)]] * 4
    with open_store(address, StoreSettings(), SystemClock()) as store:
        assert store.migrate()
        assert store.query("SELECT count() FROM calls") == [(0,)]
