"""One reply on its way from the worker thread that computes it to the event loop that sends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

_PARTS_IN_FLIGHT: Final = 4


class ClientGone(Exception):
    """Nobody reads the reply any more, or too slowly to keep a worker for."""


class Head(NamedTuple):
    """Status and headers, sent before the first part."""

    status: int
    headers: dict[str, str]


class Channel:
    """Bounded: a worker waits for a slow client, and for `patience_s` at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        self._loop = loop
        self._patience_s = patience_s
        self._room = threading.Semaphore(_PARTS_IN_FLIGHT)
        self._head: asyncio.Future[Head] = loop.create_future()
        self._head.add_done_callback(_look_at)
        self._parts: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.gone = threading.Event()

    # -- called by the worker

    def start(self, head: Head) -> None:
        """Send status and headers."""
        self._check()
        self._call(self._set_head, head)

    def send(self, part: bytes) -> None:
        """Send a part of the body. Raises `ClientGone`."""
        if not part:
            return
        if not self._room.acquire(timeout=self._patience_s):
            self.gone.set()
        self._check()
        self._call(self._parts.put_nowait, part)

    def end(self) -> None:
        """The reply is complete."""
        self._call(self._parts.put_nowait, None)

    def fail(self, error: Exception) -> None:
        """The reply is this error; after `start` the connection is broken off, lest half a result look whole."""
        self._call(self._set_error, error)

    # -- called by the event loop

    async def head(self) -> Head:
        """Status and headers, or the error raised."""
        return await asyncio.shield(self._head)

    async def parts(self) -> AsyncGenerator[bytes]:
        """The body. Abandoning the iterator tells the worker to stop."""
        try:
            while (part := await self._parts.get()) is not None:
                if isinstance(part, Exception):
                    raise part
                yield part
                self._room.release()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Nobody reads any more: wake a waiting worker so that it can stop."""
        self.gone.set()
        self._room.release()

    def _check(self) -> None:
        if self.gone.is_set():
            raise ClientGone

    def _call(self, function: object, *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)  # type: ignore[arg-type]

    def _set_head(self, head: Head) -> None:
        if not self._head.done():
            self._head.set_result(head)

    def _set_error(self, error: Exception) -> None:
        if not self._head.done():
            self._head.set_exception(error)
        self._parts.put_nowait(error)


def _look_at(head: asyncio.Future[Head]) -> None:
    """An error that comes when its client has hung up is nobody's to fetch: no reason for asyncio to complain."""
    if not head.cancelled():
        head.exception()
