"""When Python looks for garbage that reference counting cannot free.

Traces in memory are millions of objects, and none of them is such garbage: looking at each once costs a busy collector
more than a microsecond a span, and stops all threads while it does. Garbage are the half dozen objects of every closed
connection. So a second's objects are looked at where they are few; where they are many they are traces, and are put
with what is not looked at. What was missed so is found once an hour.
"""

from __future__ import annotations

import gc
from threading import Event, Thread
from typing import Final, Self

from spanledger_core.clock import Clock

_LOOK_S: Final = 1.0
_FEW: Final = 10_000
"""Objects that take some milliseconds to look at."""
_ALL_S: Final = 3600.0
"""How often everything is looked at: in the next second with few new objects, which is when nobody waits for it."""
_ALL_LATEST_S: Final = 4 * _ALL_S


class Garbage:
    """A context within which this decides, instead of the interpreter's thresholds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all_at_s = 0.0
        self._closing = Event()
        self._thread = Thread(target=self._run, name="spanledger-garbage", daemon=True)

    def __enter__(self) -> Self:
        gc.disable()
        self.look_at_all()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        gc.unfreeze()
        gc.enable()

    def look(self) -> None:
        """What is done every second."""
        is_quiet = gc.get_count()[0] <= _FEW
        since_s = self._clock.monotonic_s() - self._all_at_s
        if since_s >= (_ALL_S if is_quiet else _ALL_LATEST_S):
            self.look_at_all()
        elif is_quiet:
            gc.collect(1)
        else:
            gc.freeze()

    def look_at_all(self) -> None:
        """What is left then is not looked at for an hour."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._all_at_s = self._clock.monotonic_s()

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_S):
            self.look()
