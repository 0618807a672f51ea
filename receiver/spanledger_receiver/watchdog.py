"""Cuts off requests whose sender takes too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread
from typing import Final

from spanledger_core.clock import Clock

_CROWDED_TIMEOUT_S: Final = 1.0


class Watchdog:
    """One thread for all requests: a timer per request would cost more than the request.

    Patience shrinks while as many requests wait for their senders as there are workers: few slow senders are no
    harm, but they must not hold every worker.
    """

    def __init__(self, timeout_s: float, workers: int, clock: Clock) -> None:
        self._timeout_s = timeout_s
        self._crowded_timeout_s = min(timeout_s, _CROWDED_TIMEOUT_S)
        self._workers = workers
        self._clock = clock
        self._waiting: dict[int, tuple[float, Callable[[], object]]] = {}
        self._numbers = count()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="otlp-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def watch(self, cut: Callable[[], object]) -> Iterator[None]:
        """Call `cut` from another thread if the block takes longer than the timeout, a little late."""
        number = next(self._numbers)
        self._waiting[number] = (self._clock.monotonic_s(), cut)
        try:
            yield
        finally:
            self._waiting.pop(number, None)

    def _run(self) -> None:
        while not self._stopped.wait(self._crowded_timeout_s / 4):
            for number, (since, cut) in self._waiting.copy().items():
                crowded = len(self._waiting) >= self._workers  # anew each time: one that is cut makes room
                oldest = self._clock.monotonic_s() - (self._crowded_timeout_s if crowded else self._timeout_s)
                if since <= oldest and self._waiting.pop(number, None) is not None:
                    cut()
