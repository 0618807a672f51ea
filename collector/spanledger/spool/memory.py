"""A spool that promises nothing beyond this process: bounded memory, refuses honestly when full."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition

from spanledger_core.errors import Busy
from spanledger_core.facts import FactBatch
from spanledger_core.stages import SpoolRecord


class MemorySpool:
    """Keeps batches until they are confirmed; at most `max_facts` facts wait at any time."""

    def __init__(self, max_facts: int = 500_000, retry_after_s: float = 1.0) -> None:
        self._max_facts = max_facts
        self._retry_after_s = retry_after_s
        self._changed = Condition()
        self._unread: deque[SpoolRecord] = deque()
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._facts = 0
        self._sequence = 0
        self._closed = False

    @property
    def waiting_facts(self) -> int:
        """Facts taken and not yet confirmed."""
        return self._facts

    def append(self, batch: FactBatch) -> int:
        """Take a batch. Raises `Busy` when it does not fit or the spool is closed; a batch alone always fits."""
        size = len(batch.facts)
        with self._changed:
            if self._closed:
                raise Busy("the collector is shutting down", self._retry_after_s)
            if self._facts and self._facts + size > self._max_facts:
                raise Busy(
                    f"{self._facts} spans wait to be booked and the limit is {self._max_facts}; "
                    "the store is slow or away, or spool.max_facts is too small",
                    self._retry_after_s,
                )
            self._sequence += 1
            self._facts += size
            self._unread.append(SpoolRecord(self._sequence, batch))
            self._unconfirmed.append((self._sequence, size))
            self._changed.notify_all()
            return self._sequence

    def read(self, limit: int, timeout_s: float) -> Sequence[SpoolRecord]:
        """The next records in order; empty after `timeout_s` without any, or once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._unread or self._closed, timeout_s)
            return [self._unread.popleft() for _ in range(min(limit, len(self._unread)))]

    def confirm(self, sequence: int) -> None:
        """Forget everything up to `sequence`."""
        with self._changed:
            while self._unconfirmed and self._unconfirmed[0][0] <= sequence:
                self._facts -= self._unconfirmed.popleft()[1]

    def accuse(self, sequence: int, reason: str) -> None:
        """Nothing to do: a spool in memory ends with the process, and the record with it."""

    def close(self) -> None:
        """Refuse further batches; what was taken can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def drained(self) -> bool:
        """True once closed and everything was read."""
        return self._closed and not self._unread
