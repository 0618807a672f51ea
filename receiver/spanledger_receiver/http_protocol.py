"""Bounds that uvicorn leaves to a proxy in front: time for a request, size of its head, number of connections."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MAX_HEAD_BYTES: Final = 64 * 1024
_FIRST_BYTE_S: Final = 5.0
"""How long a new connection may stay silent: whoever connects has something to send."""

_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


# uvicorn writes a line for every connection that sends rubbish; here that is counted
_SILENT: Final = logging.getLogger(__name__)
_SILENT.disabled = True


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for each request, from its first byte to its last, and for the first byte of all."""

    timeout_s: ClassVar[float]
    max_connections: ClassVar[int]
    idle: ClassVar[OrderedDict[BoundedHttpProtocol, None]]
    """Connections of the server with nothing received and nothing to answer, the longest idle first."""
    answered: ClassVar[Callable[[str], None]]
    """Told the status of answers that are given here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections and not self._make_room():
            transport.abort()
            return
        self.idle[self] = None
        self._arm(min(self.timeout_s, _FIRST_BYTE_S))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self.idle.pop(self, None)
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head has grown beyond its bound."""
        if self in self.idle:
            del self.idle[self]
            self._disarm()
        if self._deadline is None:
            self._arm(self.timeout_s)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > _MAX_HEAD_BYTES:
            self._close_with(_HEAD_TOO_LARGE, "431")

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets an answer that is counted."""
        self._disarm()
        type(self).answered("400")
        super().send_400_response(msg)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is here; what follows is the head of the next."""
        self._disarm()
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()
        if self.cycle.response_complete:  # refused before it was here, and uvicorn waits for the next without end
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self._rest()

    def on_response_complete(self) -> None:
        """The answer is out."""
        super().on_response_complete()
        self._rest()

    def _rest(self) -> None:
        """Idle from now on, unless there is more to read or to answer."""
        if self._deadline is None and self.cycle.response_complete and not self.transport.is_closing():
            self.idle[self] = None

    def _make_room(self) -> bool:
        """Close the connection that has been idle the longest; a flood of silent ones keeps nobody out."""
        if not self.idle:
            return False
        longest, _ = self.idle.popitem(last=False)
        longest.transport.abort()  # over TLS a `close` would wait for the other side's farewell
        return True

    def _arm(self, timeout_s: float) -> None:
        self._deadline = self.loop.call_later(timeout_s, self._close_with, _TIMEOUT, "408")

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_with(self, answer: bytes, status: str) -> None:
        self._disarm()
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(answer)
            type(self).answered(status)
        self.transport.close()


def bounded_protocol(
    timeout_s: float, max_connections: int, answered: Callable[[str], None]
) -> type[BoundedHttpProtocol]:
    """The protocol class of one server: uvicorn makes one object of it per connection."""
    attributes = {
        "timeout_s": timeout_s,
        "max_connections": max_connections,
        "answered": staticmethod(answered),
        "idle": OrderedDict(),
    }
    return type("BoundHttpProtocol", (BoundedHttpProtocol,), attributes)
