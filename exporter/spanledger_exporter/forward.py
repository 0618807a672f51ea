"""Forwarding: what was received goes on to another OTLP endpoint, beside the booking and never in its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from threading import Condition, Event, Thread
from typing import Any, Final, Literal, NamedTuple

import structlog

from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import count_spans
from spanledger_core.ratelimit import OncePerKind
from spanledger_exporter.forward_settings import ForwardSettings
from spanledger_exporter.forward_spans import SpanId, SpanNote, annotate, split
from spanledger_exporter.forward_targets import SendFailed, open_target

_log = structlog.get_logger(__name__)

DropReason = Literal["queue_full", "closed", "refused", "gave_up", "rejected", "failed"]
_MEANING: Final[dict[DropReason, str]] = {
    "queue_full": "the other side is slower than what comes in: the oldest requests made room",
    "closed": "the collector stopped before the other side had taken them",
    "refused": "the other side refused the request for good",
    "gave_up": "the other side failed for longer than give_up_after_s",
    "failed": "an error of this collector's own",
    "rejected": "the other side took the request but not all of its spans",
}


class _Waiting(NamedTuple):
    request: Any
    notes: Mapping[SpanId, SpanNote]
    size: int
    spans: int


class OtlpForwarder:
    """Sends requests on in the background. Nothing it does can slow or fail its caller; what is dropped is counted."""

    def __init__(self, settings: ForwardSettings, metrics: Metrics, clock: Clock) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._once = OncePerKind(clock)
        self._target = open_target(settings)
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._changed = Condition()
        self._closing = False
        self._give_up = Event()
        self._threads = [
            Thread(target=self._run, name=f"forward-{number}", daemon=True) for number in range(settings.senders)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, request: Any, notes: Mapping[SpanId, SpanNote]) -> None:
        """Queue a TracesRequest, which nobody may change from now on. Never blocks, never raises."""
        item = _Waiting(request, notes, request.ByteSize(), count_spans(request))
        dropped: list[_Waiting] = []
        with self._changed:
            if self._closing or item.size > self._settings.max_queue_bytes:
                dropped.append(item)
            else:
                while self._queued_bytes + item.size > self._settings.max_queue_bytes:
                    dropped.append(self._take())
                self._queue.append(item)
                self._queued_bytes += item.size
                self._changed.notify()
            reason: DropReason = "closed" if self._closing else "queue_full"
        for lost in dropped:
            self._drop(reason, lost.spans)

    def close(self, timeout_s: float) -> None:
        """Take nothing more, send what waits for at most `timeout_s`, count the rest as dropped.

        An HTTP request that is under way then is waited for, at most the `timeout_s` of the settings.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        deadline = self._clock.monotonic_s() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic_s()))
        self._give_up.set()
        self._target.close()
        for thread in self._threads:
            thread.join()

    def _take(self) -> _Waiting:
        item = self._queue.popleft()
        self._queued_bytes -= item.size
        return item

    def _next(self) -> _Waiting | None:
        """The next request; None once closed and drained."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return self._take() if self._queue else None

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                for part in split(annotate(item.request, item.notes), self._settings.max_request_bytes):
                    self._deliver(part.SerializeToString(), count_spans(part))
            except Exception as error:  # noqa: BLE001  the border: one request must not end the thread for all others
                self._drop("failed", item.spans, type(error).__name__)

    def _deliver(self, body: bytes, spans: int) -> None:
        """Send one request until it is taken, refused, or no longer worth it."""
        deadline = self._clock.monotonic_s() + self._settings.give_up_after_s
        pause_s = self._settings.first_retry_s
        while (failure := self._attempt(body, spans)) is not None:
            wait_s = self._jittered(pause_s) if failure.retry_after_s is None else failure.retry_after_s
            reason = self._end_of(failure, self._clock.monotonic_s() + wait_s > deadline)
            if reason is not None:
                self._drop(reason, spans, failure.code)
                return
            self._give_up.wait(wait_s)
            pause_s = min(pause_s * 2, self._settings.max_retry_s)

    def _attempt(self, body: bytes, spans: int) -> SendFailed | None:
        """Send once; None if the request was taken."""
        try:
            rejected = min(self._target.send(body), spans)
        except SendFailed as failure:
            return failure
        self._metrics.forwarded_spans.inc(spans - rejected)
        if rejected:
            self._drop("rejected", rejected)
        return None

    def _end_of(self, failure: SendFailed, too_late: bool) -> DropReason | None:
        """Why not to try again; None to try again."""
        if self._give_up.is_set():
            return "closed"
        if not failure.retryable:
            return "refused"
        return "gave_up" if too_late else None

    def _jittered(self, pause_s: float) -> float:
        """Between half of it and all of it, so that many collectors do not come back at once."""
        return pause_s * (0.5 + int(self._clock.token()[:8], 16) / 2**33)

    def _drop(self, reason: DropReason, spans: int, code: str = "") -> None:
        self._metrics.forward_dropped_spans.labels(reason).inc(spans)
        quiet = self._once.admit(reason)
        if quiet is not None:
            _log.warning(
                "spans not forwarded",
                reason=reason,
                meaning=_MEANING[reason],
                answer=code,
                spans=spans,
                endpoint=self._settings.endpoint,
                suppressed=quiet,
            )
