"""An application behind a socket of its own: uvicorn in a thread, with a graceful end."""

from __future__ import annotations

import asyncio
import math
import socket
from asyncio import Event
from contextlib import suppress
from threading import Thread
from typing import Any, Final

import uvicorn

from spanledger_core.errors import ConfigError
from spanledger_receiver.http_protocol import BoundedHttpProtocol
from spanledger_receiver.settings import TlsSettings
from spanledger_receiver.tls import RenewableContext

_POLL_S: Final = 0.005
_TICK_S: Final = 1.0


class _Server(uvicorn.Server):
    """Looks up once a second, for the date it sends, not ten times: who has nothing to do should do nothing."""

    _ended: Event | None = None

    async def main_loop(self) -> None:
        """Until `end`."""
        self._loop, self._ended = asyncio.get_running_loop(), Event()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)

    def end(self) -> None:
        """Leave the main loop. From any thread, at any time."""
        self.should_exit = True
        if self._ended is not None:
            with suppress(RuntimeError):  # its loop has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)


class HttpThread:
    """Serves an ASGI application over HTTP/1.1 until stopped."""

    def __init__(
        self,
        app: Any,
        name: str,
        protocol: type[BoundedHttpProtocol],
        *,
        keep_alive_s: float,
        backlog: int = 128,
        tls: TlsSettings | None = None,
        reuse_port: bool = False,
    ) -> None:
        """`name` is the thread's; `backlog` bounds connections that nobody has accepted yet."""
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=backlog,
            timeout_keep_alive=math.ceil(keep_alive_s),
        )
        self._server = _Server(config)
        self._tls = tls
        self._context: RenewableContext | None = None
        self._reuse_port = reuse_port
        self._thread: Thread | None = None
        self._name = name
        self.port = 0
        """The port listened on, once started."""

    def start(self, endpoint: str, key: str) -> None:
        """Listen on `host:port` and serve; port 0 takes a free one.

        Raises `ConfigError`, which names the configuration's `key`, if the endpoint or the certificates cannot be used.
        """
        config = self._server.config
        try:
            config.load()
            if self._tls is not None:
                config.ssl = self._context = RenewableContext(self._tls)
            listener = listen(endpoint, config.backlog, reuse_port=self._reuse_port)
        except (OSError, ValueError) as error:
            raise ConfigError([f"{key}: cannot listen on {endpoint}: {error}"]) from error
        self.port = listener.getsockname()[1]
        self._thread = Thread(target=self._server.run, args=([listener],), name=self._name, daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(_POLL_S)

    def renew_certificates(self) -> None:
        """Read them again, for the connections to come. Raises `OSError` if they cannot be used; the old ones stay."""
        if self._context is not None:
            self._context.renew()

    def stop(self, grace_s: float) -> None:
        """Accept nothing new, give requests under way `grace_s` to finish, then cut them."""
        self.retire(grace_s)
        self.join()

    def retire(self, grace_s: float) -> None:
        """The beginning of `stop`: does not wait."""
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(grace_s))
        self._server.end()

    def join(self, timeout_s: float | None = None) -> None:
        """The end of `stop`: wait for the last request."""
        if self._thread is not None:
            self._thread.join(timeout_s)


def listen(endpoint: str, backlog: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket for `host:port`. Raises `ValueError` or `OSError`."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an endpoint is host:port, with an IPv6 host in brackets")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family, backlog=backlog, reuse_port=reuse_port)
    # inherited by what it accepts; asyncio sets it only on sockets that name their protocol, and without it a small
    # answer waits some 40 ms for the acknowledgement of the one before
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
