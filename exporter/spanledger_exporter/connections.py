"""Connections to the store: one library for the embedded engine and for servers, one handle per user at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreUnavailable
from spanledger_core.placement import anywhere
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.answers import pool_of
from spanledger_exporter.faults import classified
from spanledger_exporter.mending import Mender
from spanledger_exporter.wire import CHECKED

READ_SETTINGS: Final[dict[str, str | int]] = {
    # The engine decides so by itself since every column of PARTITION BY is in the sorting key; older servers do not.
    "do_not_merge_across_partitions_select_final": 1,
    "use_skip_indexes_if_final": 1,
}
_WRITE_SETTINGS: Final[dict[str, str | int]] = {
    # Our batches are large, and their deduplication tokens must be seen at once.
    "async_insert": 0,
}
_EMBEDDED: Final[dict[str, int]] = {
    # In the process of a collector the engine need not look at its memory twenty times a second, nor every other
    # moment for parts to merge: an insert tells it.
    "memory_worker_period_ms": 500,
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": 2,
}
"""Settings of the embedded engine itself."""


class Connections:
    """A pool of client handles. An embedded engine lives as long as one of its handles, so one is always kept."""

    def __init__(self, address: StoreAddress, connect_timeout_s: float, query_timeout_s: float, clock: Clock) -> None:
        self._address = address
        self._connect_timeout_s = connect_timeout_s
        self._query_timeout_s = query_timeout_s
        self._idle: deque[Client] = deque()
        self._lock = Lock()
        self._closed = False
        self._anchor: Client | None = None
        self._mender: Mender | None = None
        self._pool = pool_of(address) if address.kind == "server" else None
        if address.kind == "embedded":
            with classified(), anywhere():
                self._anchor = self._open(None)
        if address.kind == "embedded" and address.path is not None:
            self._mender = Mender(address.path, address.database, lambda: self._open(None), clock)

    @property
    def is_embedded(self) -> bool:
        """The engine is in this process, and reads its files."""
        return self._pool is None

    @contextmanager
    def lease(self) -> Iterator[Client]:
        """A handle on the store's database, for one thread; errors of the client come out classified."""
        with self._placed(), self._mender.watching() if self._mender else nullcontext(), self._classified():
            client = self._take()
            try:
                yield client
            except Exception as error:
                self._give_back(client, is_good=self._pool is None or getattr(error, "code", None) is not None)
                raise
            else:
                self._give_back(client)

    def _placed(self) -> AbstractContextManager[None]:
        return anywhere() if self.is_embedded else nullcontext()

    def _classified(self) -> AbstractContextManager[None]:
        return classified(over_a_line=self._pool is not None)

    @contextmanager
    def without_database(self) -> Iterator[Client]:
        """A handle that works before the database exists."""
        with self._classified():
            if self._anchor is not None:
                with anywhere():
                    yield self._anchor
                return
            client = self._open(None)
            try:
                yield client
            finally:
                client.close()

    def close(self) -> None:
        """Close every handle; leases that are out are closed as they come back."""
        with self._lock:
            self._closed = True
            idle = [*self._idle]
            self._idle.clear()
        for client in idle:
            client.close()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        if self._pool is not None:
            self._pool.clear()

    def _take(self) -> Client:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._idle:
                return self._idle.pop()
        return self._open(self._address.database)

    def _give_back(self, client: Client, *, is_good: bool = True) -> None:
        """A handle that met something else than an answer of ClickHouse may have learnt nonsense when it was opened."""
        with self._lock:
            if is_good and not self._closed:
                self._idle.append(client)
                return
        client.close()

    def _open(self, database: str | None) -> Client:
        address = self._address
        common: dict[str, Any] = {
            "database": database,
            "settings": READ_SETTINGS | _WRITE_SETTINGS,
            "tz_mode": "aware",
            "query_limit": 0,
            **dict(address.options),
        }
        if address.kind == "embedded":
            path = str(address.path) if address.path else ":memory:"
            return clickhouse_connect.get_client(interface="chdb", path=path, chdb_options=_EMBEDDED, **common)
        return clickhouse_connect.get_client(
            interface="https" if address.secure else "http",
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            secure=address.secure,
            connect_timeout=self._connect_timeout_s,
            send_receive_timeout=self._query_timeout_s,
            autogenerate_session_id=False,
            compress=CHECKED,
            pool_mgr=self._pool,
            **common,
        )
