"""Which price book is in force, and whether calls that can still be corrected were booked under another one."""

from __future__ import annotations

import json
from pathlib import Path

from spanledger_core.clock import Clock


class PricesInForce:
    """Remembers in a file when the book last changed, so that a restart with another book is seen as a change."""

    def __init__(self, path: Path, horizon_s: float, clock: Clock) -> None:
        self._path = path
        self._horizon_ms = int(horizon_s * 1000)
        self._clock = clock
        self._version, self._changed_ms = self._read()

    def use(self, version: str) -> None:
        """`version` prices from now on."""
        if version == self._version:
            return
        # the very first book of a data directory follows no other
        if self._version:
            self._changed_ms = self._now_ms()
        self._version = version
        self._write()

    def history_moved(self) -> None:
        """`reprice` gives booked calls other amounts from now on: corrections must look what they are."""
        self._changed_ms = self._now_ms()
        self._write()

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"version": self._version, "changed_ms": self._changed_ms}), encoding="utf-8")
        fresh.replace(self._path)

    def moved_ns(self) -> int:
        """When book or amounts last changed, nanoseconds since 1970; 0 once nothing from before can be corrected."""
        return self._changed_ms * 1_000_000 if self._now_ms() - self._changed_ms < self._horizon_ms else 0

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _read(self) -> tuple[str, int]:
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            return str(said["version"]), int(said["changed_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return "", 0
