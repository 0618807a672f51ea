"""Log once per kind with a rate limit: bad input must be seen and must not fill the disk."""

from __future__ import annotations

from threading import Lock

from spanledger_core.clock import Clock


class OncePerKind:
    """Says when a kind of event may be logged again, and how many were kept quiet since."""

    def __init__(self, clock: Clock, interval_s: float = 60.0, max_kinds: int = 1000) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._max_kinds = max_kinds
        self._last: dict[str, tuple[float, int]] = {}
        self._lock = Lock()

    def admit(self, kind: str) -> int | None:
        """None: stay quiet. Otherwise how many events of this kind were suppressed since the last one."""
        now = self._clock.monotonic_s()
        with self._lock:
            seen = self._last.get(kind)
            if seen is not None and now - seen[0] < self._interval_s:
                self._last[kind] = (seen[0], seen[1] + 1)
                return None
            if seen is None and len(self._last) >= self._max_kinds:
                self._last.pop(next(iter(self._last)))
            self._last[kind] = (now, 0)
            return seen[1] if seen is not None else 0
