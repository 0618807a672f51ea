"""`hourly` and `hourly_customer`: rebuilt from the calls themselves for the hours that changed."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from typing import Final

from spanledger_core.clock import Clock
from spanledger_exporter.connections import Connections
from spanledger_exporter.hours import runs
from spanledger_exporter.sql import query_text

_SETTINGS: Final[dict[str, str | int]] = {
    # A rebuild may equal an earlier one and must be written all the same; one thread makes one part a month.
    "insert_deduplicate": 0,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": 0,
}


class Rollups:
    """Rebuilds hours, one rebuild at a time: versions must grow from rebuild to rebuild."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._version: int | None = None
        self._rebuilding = Lock()

    def rebuild(self, hours: Collection[int]) -> None:
        """Rebuild both rollups for `hours` (seconds since 1970 of their start, UTC)."""
        with self._rebuilding:
            for run in runs(hours):
                self._rebuild(run)

    def _rebuild(self, run: list[int]) -> None:
        # Taken before the read: an insert that comes during it leaves its hour marked for a later, higher version.
        parameters = {"version": self._next_version(), "hours": run, "first": run[0], "last": run[-1]}
        with self._connections.lease() as client:
            client.command(query_text("rebuild_rollups"), parameters, settings=_SETTINGS)

    def _next_version(self) -> int:
        """Microseconds since 1970, but above every version in the tables even if the clock went back."""
        if self._version is None:
            with self._connections.lease() as client:
                self._version = max(client.query(query_text("rollup_version")).result_rows[0])
        self._version = max(self._clock.now_ns() // 1000, self._version + 2)
        return self._version
