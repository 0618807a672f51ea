"""The endpoint's server: a socket, a thread with an event loop, and the workers that run queries."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from spanledger.sqlport import rules
from spanledger.sqlport.app import Endpoint
from spanledger.sqlport.engine import Engine, Handle
from spanledger.sqlport.preparing import Planner
from spanledger.sqlport.running import Runner
from spanledger.sqlport.sessions import Sessions
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics
from spanledger_receiver.http_protocol import bounded_protocol
from spanledger_receiver.http_thread import HttpThread

_GRACE_S: Final = 2.0
_ANSWER_S: Final = 5.0
"""For queries that were stopped to say so."""
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
        self._server = HttpThread(
            self._endpoint.app(),
            "sql-endpoint",
            bounded_protocol(
                settings.request_timeout_s,
                settings.max_connections,
                lambda _: metrics.sql_queries.labels("unread").inc(),
            ),
            keep_alive_s=settings.keep_alive_s,
            tls=settings.tls,
        )
        self.renew_certificates = self._server.renew_certificates

    @property
    def port(self) -> int:
        """The port listened on, once started."""
        return self._server.port

    def start(self) -> None:
        """Listen. Raises `ConfigError` if the address or the certificates cannot be used."""
        self._server.start(str(self._settings.endpoint), "sql.endpoint")

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Accept nothing new, give running queries `grace_s`, then stop them."""
        self._server.retire(grace_s + _ANSWER_S)
        self._server.join(grace_s)
        self._endpoint.stop_queries()
        self._server.join()
        self._workers.shutdown(wait=True)


def _fixed(users: tuple[SqlUser, ...]) -> Callable[[], tuple[SqlUser, ...]]:
    return lambda: users


def _connector(path: str) -> Callable[[], Handle]:
    def connect() -> Handle:
        import chdb  # noqa: PLC0415 - 200 MB that only the embedded store needs

        handle: Handle = chdb.connect(path)  # type: ignore[no-untyped-call]
        return handle

    return connect
