"""Requests wait here until their calls are booked, then go on with what is known of them. Content stays in memory.

A request and the booking of its record meet under the record's sequence, whichever comes first. Both sides only ever
put things down and go on: forwarding cannot slow receiving or booking.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final, Protocol

from spanledger.booking import BookedNote
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import count_spans

SpanId = tuple[bytes, bytes]
_MAX_NOTED: Final = 10_000
"""Records booked whose request has not been put down yet: a few at any time, so more is a leak."""


class Submit(Protocol):
    """Where enriched requests go."""

    def submit(self, request: Any, notes: Mapping[SpanId, BookedNote]) -> None:
        """Queue a request; never blocks."""


class Forwarding:
    """Pairs requests with what was booked for them. Thread-safe."""

    def __init__(self, forwarder: Submit, metrics: Metrics, max_bytes: int) -> None:
        self._forwarder = forwarder
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._requests: OrderedDict[int, tuple[Any, int]] = OrderedDict()
        self._noted: OrderedDict[int, Mapping[SpanId, BookedNote]] = OrderedDict()
        self._bytes = 0

    def received(self, sequence: int, request: Any) -> None:
        """A request was committed under `sequence`. The oldest are dropped, counted, when booking falls behind."""
        size = request.ByteSize()
        with self._lock:
            notes = self._noted.pop(sequence, None)
            if notes is None:
                self._requests[sequence] = (request, size)
                self._bytes += size
                while self._bytes > self._max_bytes:
                    _, (dropped, dropped_size) = self._requests.popitem(last=False)
                    self._bytes -= dropped_size
                    self._metrics.forward_dropped_spans.labels("not_booked_in_time").inc(count_spans(dropped))
                return
        self._forwarder.submit(request, notes)

    def unbooked(self, request: Any) -> None:
        """A request of which nothing was committed goes on as it is."""
        self._forwarder.submit(request, {})

    def booked(self, sequence: int, notes: Mapping[SpanId, BookedNote]) -> None:
        """The record is booked; `notes` tell what its spans became."""
        with self._lock:
            waiting = self._requests.pop(sequence, None)
            if waiting is None:
                self._noted[sequence] = notes
                if len(self._noted) > _MAX_NOTED:
                    self._noted.popitem(last=False)
                return
            self._bytes -= waiting[1]
        self._forwarder.submit(waiting[0], notes)
