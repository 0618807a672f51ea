"""Sessions: what SET and USE leave behind for the next request with the same session_id."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from spanledger.sqlport.errors import SqlError
from spanledger_core.clock import Clock

_LONGEST_S: Final = 3600.0
DEFAULT_TIMEOUT_S: Final = 60.0


@dataclass
class Session:
    """Settings and database of one client. The engine never sees it: every query gets them afresh."""

    settings: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    ends_at_s: float = 0.0


class Sessions:
    """At most `limit` sessions; the one unused for longest gives way."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._open: OrderedDict[tuple[str, str], Session] = OrderedDict()
        self._lock = Lock()

    def get(self, user: str, name: str, timeout_s: float, *, must_exist: bool) -> Session:
        """The session `name` of `user`, prolonged. Raises `SqlError` 372 if it must exist and does not."""
        now = self._clock.monotonic_s()
        with self._lock:
            session = self._open.pop((user, name), None)
            if session is not None and session.ends_at_s < now:
                session = None
            if session is None and must_exist:
                raise SqlError(372, f"Session {name} not found")
            session = session or Session()
            session.ends_at_s = now + min(max(timeout_s, 1.0), _LONGEST_S)
            self._open[(user, name)] = session
            while len(self._open) > self._limit:
                self._open.popitem(last=False)
            return session

    def close(self, user: str, name: str) -> None:
        """Forget a session."""
        with self._lock:
            self._open.pop((user, name), None)
