"""The endpoint's server: a socket, a thread with an event loop, and the workers that run queries."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Final

import uvicorn
from starlette.applications import Starlette

from spanledger.sqlport import rules
from spanledger.sqlport.app import Endpoint
from spanledger.sqlport.engine import Engine, Handle
from spanledger.sqlport.preparing import Planner
from spanledger.sqlport.running import Runner
from spanledger.sqlport.sessions import Sessions
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import Clock
from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics
from spanledger_receiver.http_protocol import bounded_protocol

_BACKLOG: Final = 128
_POLL_S: Final = 0.005
_GRACE_S: Final = 2.0
# The tree of a statement is several times as long as its text, and is read under the same limit.
_REWRITE_ROOM: Final = 8


class SqlServer:
    """ClickHouse over HTTP for the embedded store; read-only for everyone.

    `engine_path` is the store's folder, or `:memory:`; the calling process must hold the store open. `database` is
    the store's. `users`, where given, is asked on every request instead of `settings.users`: a way to change
    passwords without a restart. `connect` opens a handle to the same engine; by default `chdb.connect(engine_path)`.
    """

    def __init__(
        self,
        settings: SqlSettings,
        engine_path: str,
        database: str,
        metrics: Metrics,
        clock: Clock,
        *,
        users: Callable[[], tuple[SqlUser, ...]] | None = None,
        connect: Callable[[], Handle] | None = None,
    ) -> None:
        self._settings = settings
        engine = Engine(connect or _connector(engine_path), settings.max_request_bytes * _REWRITE_ROOM)
        planner = Planner(rules.load(), settings, database)
        runner = Runner(engine, planner, Sessions(clock, settings.max_sessions), clock, settings.max_result_bytes)
        self._workers = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="sql-query")
        self._endpoint = Endpoint(
            settings, users or _fixed(settings.users), engine, runner, metrics, clock=clock, workers=self._workers
        )
        self._server = uvicorn.Server(_config(settings, self._endpoint.app(), metrics))
        self._thread: Thread | None = None
        self.port = settings.port
        """The port listened on, once started."""

    def start(self) -> None:
        """Listen. Raises `ConfigError` if the address or the certificates cannot be used."""
        try:
            self._server.config.load()
            listener = _listen(self._settings.host, self._settings.port)
        except OSError as error:
            where = f"sql.endpoint: cannot listen on {self._settings.host}:{self._settings.port}: {error}"
            raise ConfigError([where]) from error
        self.port = listener.getsockname()[1]
        self._thread = Thread(target=self._server.run, args=([listener],), name="sql-endpoint", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(_POLL_S)

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Accept nothing new, give running queries `grace_s`, then stop them."""
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(grace_s * 2))
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(grace_s)
            self._endpoint.stop_queries()
            self._thread.join()
        self._workers.shutdown(wait=True)


def _config(settings: SqlSettings, app: Starlette, metrics: Metrics) -> uvicorn.Config:
    def answered(_status: str) -> None:
        metrics.sql_queries.labels("unread").inc()

    return uvicorn.Config(
        app,
        http=bounded_protocol(settings.request_timeout_s, settings.max_connections, answered),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=math.ceil(settings.keep_alive_s),
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
        ssl_ca_certs=str(settings.tls_client_ca_file) if settings.tls_client_ca_file else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca_file else ssl.CERT_NONE,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    # Connections inherit it. asyncio would set it itself, but not on sockets made with protocol 0 as this one is;
    # without it head and body of a small reply lie 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _fixed(users: tuple[SqlUser, ...]) -> Callable[[], tuple[SqlUser, ...]]:
    return lambda: users


def _connector(path: str) -> Callable[[], Handle]:
    def connect() -> Handle:
        import chdb  # noqa: PLC0415 - 200 MB that only the embedded store needs

        handle: Handle = chdb.connect(path)  # type: ignore[no-untyped-call]
        return handle

    return connect
