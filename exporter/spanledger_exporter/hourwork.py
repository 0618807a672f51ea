"""Work that follows writing, by the hours that were written to: rebuilding rollups, settling double bookings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from threading import Condition, Event, Thread
from typing import Final

import structlog
import tenacity

from spanledger_core.clock import Clock
from spanledger_core.errors import StoreError
from spanledger_exporter.hours import ALL_MINUTES

_log = structlog.get_logger(__name__)
_RETRY_MAX_S: Final = 30.0
_REST: Final = 5
"""Work that took a second rests for this many: an hour of millions of calls must not keep a core to itself."""
_REST_MAX_S: Final = 60.0


class HourWork:
    """A thread that does `work` for marked hours, `delay_s` after the first mark: once for many inserts of an hour.

    Hours are seconds since 1970 of their start, UTC, with the minutes of each that are meant. Work that fails is tried
    again until it succeeds. The more the work takes, the longer marks are collected before it is done again.
    """

    def __init__(self, name: str, work: Callable[[Mapping[int, int]], None], delay_s: float, clock: Clock) -> None:
        self._name = name
        self._work = work
        self._delay_s = delay_s
        self._clock = clock
        self._took_s = 0.0
        self._changed = Condition()
        self._marked: dict[int, int] = {}
        self._marks = 0
        self._done = 0
        """Marks so far, and those of them that are worked off."""
        self._closing = Event()
        self._hurry = Event()
        self._giving_up = Event()
        self._left_behind: Callable[[], Collection[int]] = tuple
        self._thread = Thread(target=self._run, name=f"spanledger-{name}", daemon=True)

    def start(self, left_behind: Callable[[], Collection[int]] = tuple) -> None:
        """Begin, with the hours that an earlier run may have left behind."""
        self._left_behind = left_behind
        self._marks += 1  # what was left behind, which nobody knows yet
        self._thread.start()

    def mark(self, hours: Collection[int] | Mapping[int, int]) -> None:
        """These hours, or minutes of them, have changed.

        Call it after the change is written, so that no run of the work misses it.
        """
        with self._changed:
            for hour in hours:
                minutes = hours[hour] if isinstance(hours, Mapping) else ALL_MINUTES
                self._marked[hour] = self._marked.get(hour, 0) | minutes
            self._marks += bool(hours)
            self._changed.notify_all()

    def settle(self, timeout_s: float) -> bool:
        """Do now what is marked, and wait for it, whatever is marked meanwhile; False if that took too long."""
        with self._changed:
            wanted = self._marks
            self._hurry.set()
            return self._changed.wait_for(lambda: self._done >= wanted, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Do what is marked and end. What cannot be done in time is left: the next start must find it again."""
        self._closing.set()
        self._hurry.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._giving_up.set()
        self._thread.join()

    def _run(self) -> None:
        self._retried(lambda: self.mark(self._left_behind()), "what was left behind")
        while True:
            with self._changed:
                if not self._marked:
                    self._worked_off(self._marks)
                self._changed.wait_for(lambda: self._marked or self._closing.is_set())
            self._hurry.wait(max(self._delay_s, min(_REST * self._took_s, _REST_MAX_S)))
            with self._changed:
                hours, self._marked = self._marked, {}
                marks = self._marks
                if not self._closing.is_set():
                    self._hurry.clear()
            if hours:
                self._retried(partial(self._timed, hours), f"{len(hours)} hours")
            with self._changed:
                self._worked_off(marks)
            if self._closing.is_set() and (not self._marked or self._giving_up.is_set()):
                return

    def _timed(self, hours: Mapping[int, int]) -> None:
        """One try. What an outage made it wait is no work to rest from."""
        began_s = self._clock.monotonic_s()
        self._work(hours)
        self._took_s = self._clock.monotonic_s() - began_s

    def _worked_off(self, marks: int) -> None:
        self._done = marks
        self._changed.notify_all()

    def _retried(self, work: Callable[[], None], what: str) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreError),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=_RETRY_MAX_S),
            stop=tenacity.stop_when_event_set(self._giving_up),
            sleep=tenacity.sleep_using_event(self._giving_up),
            before_sleep=lambda state: self._say_retry(state, what),
        )
        try:
            retrying(work)
        except tenacity.RetryError:
            _log.error("not done", work=self._name, what=what)
        except Exception:  # noqa: BLE001
            # The border of the stage: a thread that dies silently would leave stale figures behind for ever.
            _log.exception("not done", work=self._name, what=what)

    def _say_retry(self, state: tenacity.RetryCallState, what: str) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        _log.warning("trying again", work=self._name, what=what, error=str(error))
