"""What a store needs from time to time, done in the background: folding old days, dropping expired ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from threading import Event, Thread
from typing import Protocol

import structlog

from spanledger_core.errors import StoreError

_log = structlog.get_logger(__name__)


class Maintain(Protocol):
    """What upkeep needs of a store."""

    def maintain(self) -> Sequence[date]:
        """Drop expired days, fold old ones; the days folded now."""


class Upkeep:
    """Maintains a store `first_s` after the start and then every `every_s`. Failing is no harm: it tries next time."""

    def __init__(self, store: Maintain, every_s: float = 3600.0, first_s: float = 60.0) -> None:
        self._store = store
        self._every_s = every_s
        self._first_s = first_s
        self._closing = Event()
        self._thread = Thread(target=self._run, name="spanledger-upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after a run under way."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_s = self._first_s
        while not self._closing.wait(pause_s):
            pause_s = self._every_s
            try:
                days = self._store.maintain()
            except StoreError as error:
                _log.warning("upkeep of the store not done", error=str(error))
            else:
                if days:
                    _log.info("days folded", first=str(days[0]), last=str(days[-1]), days=len(days))
