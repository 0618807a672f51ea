"""`hourly` and `hourly_customer`: rebuilt from the calls themselves for the hours that changed.

Reading the calls of an hour takes the longer the more there are, and the hour that is under way changes with every
insert. So it is kept minute by minute, and only the minutes that changed are read again, until it is over; the views
add the minutes up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock
from typing import Final

from spanledger_core.clock import Clock
from spanledger_exporter.connections import Connections
from spanledger_exporter.hours import ALL_MINUTES, HOUR_S, MINUTE_S, runs, starts_of
from spanledger_exporter.sql import query_text

_YOUNG_S: Final = 2 * HOUR_S
"""An hour is kept by minutes until so long after it began."""


class Rollups:
    """Rebuilds hours, one rebuild at a time: versions must grow from rebuild to rebuild."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._version = 0
        self._rebuilding = Lock()
        self._sliced: set[int] = set()
        """Hours that this process has rebuilt as a whole, by minutes: nothing else of them stands in the tables."""
        self._open: set[int] = set()
        """These, and hours whose last rebuild failed: what is to become one when it is over."""

    def rebuild(self, hours: Collection[int] | Mapping[int, int]) -> None:
        """Rebuild both rollups for `hours` (seconds since 1970 of their start, UTC), or for these minutes of them."""
        wanted = dict(hours) if isinstance(hours, Mapping) else dict.fromkeys(hours, ALL_MINUTES)
        with self._rebuilding:
            now_s = self._clock.now_ns() // 10**9
            wanted |= {hour: ALL_MINUTES for hour in self._open if hour + _YOUNG_S <= now_s}
            for run in runs(wanted):
                self._rebuild({hour: wanted[hour] for hour in run}, now_s)

    def _rebuild(self, wanted: Mapping[int, int], now_s: int) -> None:
        whole = {hour for hour in wanted if hour + _YOUNG_S <= now_s}
        partly = {hour for hour in self._sliced - whole if wanted.get(hour, ALL_MINUTES) != ALL_MINUTES}
        hours = [hour for hour in wanted if hour not in partly]
        minutes = [start for hour in sorted(partly) for start in starts_of(hour, wanted[hour])]
        ends = [hour + HOUR_S for hour in hours] + [minute + MINUTE_S for minute in minutes]
        # what becomes of an hour is not known until the answer is here
        self._sliced.difference_update(hours)
        # Taken before the read: an insert that comes during it leaves its hour marked for a later, higher version.
        parameters = {
            "version": self._next_version(min(wanted), max(wanted), is_known=not hours),
            "whole": sorted(whole),
            "hours": hours,
            "minutes": minutes,
            "first": min([*hours, *minutes]),
            "until": max(ends),
        }
        with self._connections.lease() as client:
            client.command(query_text("rebuild_rollups"), parameters)
        self._sliced.update(wanted.keys() - whole)
        self._open = (self._open | self._sliced) - whole

    def _next_version(self, first: int, last: int, *, is_known: bool) -> int:
        """Microseconds since 1970, but above every version of these hours even if the clock went back.

        `is_known`: this process has written them, and on an embedded store nobody else can.
        """
        version = max(self._clock.now_ns() // 1000, self._version + 2)
        if not is_known or not self._connections.is_embedded:
            with self._connections.lease() as client:
                rows = client.query(query_text("rollup_version"), {"first": first, "last": last}).result_rows
            version = max(version, *(written + 2 for written in rows[0]))
        self._version = version
        return version
