"""The endpoint's HTTP application: requests in, replies or errors in ClickHouse's terms out."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from spanledger.sqlport import asking
from spanledger.sqlport.asking import Ask
from spanledger.sqlport.channel import Channel, ClientGone, Head
from spanledger.sqlport.engine import Engine
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.running import Runner
from spanledger.sqlport.settings import SqlSettings, SqlUser
from spanledger_core.clock import Clock
from spanledger_core.metrics import Metrics

_log: Final = structlog.get_logger(__name__)
_REFUSALS: Final = (164, 497)
_TOO_MANY: Final = 202
_SERVER: Final = {
    "X-ClickHouse-Server-Display-Name": "spanledger",
    "X-ClickHouse-Timezone": "UTC",
    "X-Content-Type-Options": "nosniff",
}


class Endpoint:
    """Answers HTTP requests with a bounded number of workers; more may wait, and more than those are refused."""

    def __init__(
        self,
        settings: SqlSettings,
        users: Callable[[], tuple[SqlUser, ...]],
        engine: Engine,
        runner: Runner,
        metrics: Metrics,
        *,
        clock: Clock,
        workers: Executor,
    ) -> None:
        self._settings = settings
        self._users = users
        self._engine = engine
        self._runner = runner
        self._metrics = metrics
        self._clock = clock
        self._workers = workers
        self._under_way: dict[str, Channel] = {}
        self._lock = threading.Lock()

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/ping", _alive, methods=["GET"]),
                Route("/replicas_status", _alive, methods=["GET"]),
                Route("/", self._query, methods=["GET", "POST"]),
            ]
        )

    def stop_queries(self) -> None:
        """Stop what still runs or waits."""
        with self._lock:
            running = dict(self._under_way)
        for tag, channel in running.items():
            channel.gone.set()
            self._kill(tag)

    async def _query(self, request: Request) -> Response:
        args = dict(request.query_params)
        query_id = asking.query_id(args, self._clock.token())
        try:
            self._check_origin(request)
            if request.method == "GET" and not request.query_params.get("query"):
                return PlainTextResponse("Ok.\n")
            user = asking.authenticate(args, request.headers, self._users())
            body = await self._body(request)
            ask = asking.read({**args, "query_id": query_id}, request.headers, body, user, self._settings)
            return await self._answer(ask, request)
        except SqlError as error:
            return _error(error, query_id)
        except (ClientDisconnect, ClientGone):
            return Response(status_code=499)

    async def _answer(self, ask: Ask, request: Request) -> Response:
        channel, tag = Channel(asyncio.get_running_loop(), self._settings.slow_client_s), self._clock.token()
        with self._lock:
            if len(self._under_way) >= self._settings.concurrency + self._settings.max_waiting:
                raise SqlError(_TOO_MANY, "Too many simultaneous queries; try again later")
            self._under_way[tag] = channel
        self._workers.submit(self._run, ask, tag, channel)
        head = await self._head(channel, request, tag)
        return StreamingResponse(self._parts(channel, tag), head.status, head.headers)

    async def _head(self, channel: Channel, request: Request, tag: str) -> Head:
        """Status and headers of the reply. If the client hangs up first, stops the query and raises `ClientGone`."""
        head = asyncio.ensure_future(channel.head())
        hang_up = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({head, hang_up}, return_when=asyncio.FIRST_COMPLETED)
            if head.done():
                return head.result()
        finally:
            for task in (head, hang_up):
                task.cancel()
        await self._abandon(channel, tag)
        raise ClientGone

    async def _parts(self, channel: Channel, tag: str) -> AsyncGenerator[bytes]:
        complete = False
        try:
            async with contextlib.aclosing(channel.parts()) as parts:
                async for part in parts:
                    yield part
            complete = True
        finally:
            if not complete:
                await asyncio.shield(self._abandon(channel, tag))

    async def _abandon(self, channel: Channel, tag: str) -> None:
        channel.abandon()
        await asyncio.to_thread(self._kill, tag)

    def _kill(self, tag: str) -> None:
        try:
            self._engine.kill(tag)
        except SqlError as error:
            _log.warning("a query that nobody waits for could not be stopped", error=str(error))

    def _run(self, ask: Ask, tag: str, channel: Channel) -> None:
        """On a worker: the reply, or the error that stands for it."""
        started = self._clock.monotonic_s()
        outcome = "ok"
        try:
            if channel.gone.is_set():
                raise ClientGone
            self._runner.run(ask, tag, channel)
        except ClientGone as gone:
            outcome = "gone"
            channel.fail(gone)
        except SqlError as error:
            outcome = "refused" if error.code in _REFUSALS else "failed"
            channel.fail(error)
        except Exception as error:  # noqa: BLE001 - a stage border
            # The border of the endpoint: a fault of ours must answer the client and leave the worker alive.
            outcome = "failed"
            _log.exception("a query failed in the endpoint itself")
            channel.fail(SqlError(1001, f"{type(error).__name__} in the endpoint; the collector's log says more"))
        finally:
            with self._lock:
                del self._under_way[tag]
            self._metrics.sql_queries.labels(outcome).inc()
            self._metrics.sql_seconds.observe(self._clock.monotonic_s() - started)

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.max_request_bytes
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise SqlError(223, f"the request is larger than {limit} bytes", "QUERY_IS_TOO_LARGE")
        return bytes(body)

    def _check_origin(self, request: Request) -> None:
        """A web page of somebody else must not use a visitor's browser to reach the store.

        Not under a name of its own that leads to loopback (DNS rebinding), and not by requests that the browser
        itself marks as made by another site, except for following a link.
        """
        headers = request.headers
        host = headers.get("host", "")
        if self._settings.endpoint.is_loopback and host and not _is_local(host):
            raise SqlError(497, f"host {host[:100]} is not this machine: the endpoint listens on loopback only")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            raise SqlError(497, "requests made by pages of other sites are not answered")


def _error(error: SqlError, query_id: str) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id, **_SERVER}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    if error.code == _TOO_MANY:
        headers["Retry-After"] = "1"
    return PlainTextResponse(f"{error}\n", error.status, headers)


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("Ok.\n")


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _is_local(host: str) -> bool:
    """Whether the Host header names this machine by address or as localhost."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
