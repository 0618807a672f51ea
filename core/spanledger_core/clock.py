"""Time and random ids are handed in, never taken: tests replace them."""

from __future__ import annotations

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time and its random ids."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC."""

    def monotonic_s(self) -> float:
        """A clock that never goes back, seconds."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def token(self) -> str:
        """32 random hex digits."""


class SystemClock:
    """The machine's clock and random source."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)

    def token(self) -> str:
        """32 random hex digits."""
        return secrets.token_hex(16)


class ManualClock:
    """A clock for tests: moves only when told, and sleeping moves it."""

    def __init__(self, now_ns: int = 1_790_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._start_ns = now_ns
        self._tokens = 0

    def now_ns(self) -> int:
        """The time set."""
        return self._now_ns

    def monotonic_s(self) -> float:
        """Seconds since the clock was made."""
        return (self._now_ns - self._start_ns) / 1e9

    def sleep(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now_ns += int(seconds * 1e9)

    def token(self) -> str:
        """Counted, not random."""
        self._tokens += 1
        return f"{self._tokens:032x}"
