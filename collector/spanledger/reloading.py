"""Files that a running collector reads again: when told to (SIGHUP), and when they change.

Each part stands for itself: a price file with a fault keeps the old prices in force, and new tokens are taken all the
same. The configuration file itself is read at the start only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, NamedTuple, TypeAlias

import structlog

from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics

_log = structlog.get_logger(__name__)
_LOOK_EVERY_S: Final = 2.0

_State: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Inode, time of change and size of each file; None for one that is not there."""


class Part(NamedTuple):
    """Something that is made of files."""

    name: str
    files: tuple[Path, ...]
    renew: Callable[[], None]
    """Read the files and put what they say in force. Raises `ConfigError` or `OSError`; then the old stays in force."""


class Reloading:
    """A thread that looks after the files of some parts."""

    def __init__(self, parts: Sequence[Part], metrics: Metrics, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._parts = parts
        self._outcomes = {
            (part.name, outcome): metrics.reloads.labels(part.name, outcome)
            for part in parts
            for outcome in ("done", "refused")
        }
        self._look_every_s = look_every_s
        self._seen = {part.name: _state(part) for part in parts}
        """As in force, or as refused."""
        self._before = dict(self._seen)
        self._told: SimpleQueue[None] = SimpleQueue()
        """Unlike an event it can be told from a signal handler that interrupts another one."""
        self._closing = False
        self._thread = Thread(target=self._run, name="spanledger-reload", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask(self) -> None:
        """Read everything again, whether it has changed or not; does not wait. For signal handlers."""
        self._told.put(None)

    def stop(self) -> None:
        """End, after the reload that is under way."""
        self._closing = True
        self._told.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            told = self._was_told()
            if self._closing:
                return
            for part in self._parts:
                if told or self._has_changed(part):
                    self._renew(part)

    def _was_told(self) -> bool:
        """Wait for the next look. However often it was told meanwhile, once is enough."""
        try:
            self._told.get(timeout=self._look_every_s)
        except Empty:
            return False
        while not self._told.empty():
            self._told.get()
        return True

    def _has_changed(self, part: Part) -> bool:
        """Whether the files are others than those in force, and the same as a look ago: nobody is writing them."""
        now, before = _state(part), self._before[part.name]
        self._before[part.name] = now
        return now != self._seen[part.name] and now == before

    def _renew(self, part: Part) -> None:
        self._seen[part.name] = _state(part)
        try:
            part.renew()
        except (ConfigError, OSError) as error:
            self._outcomes[part.name, "refused"].inc()
            faults = error.faults if isinstance(error, ConfigError) else [str(error)]
            _log.error("reload refused, what was in force stays", part=part.name, faults=list(faults))
        except Exception:  # noqa: BLE001
            # The border of the thread: it must be there for the next change.
            self._outcomes[part.name, "refused"].inc()
            _log.exception("reload failed, what was in force stays", part=part.name, remedy="report this with the log")
        else:
            self._outcomes[part.name, "done"].inc()
            _log.info("read again", part=part.name)


def _state(part: Part) -> _State:
    return tuple(_of(path) for path in part.files)


def _of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
