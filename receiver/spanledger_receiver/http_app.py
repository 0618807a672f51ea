"""OTLP over HTTP: the three POST endpoints as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from grpc import StatusCode
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from spanledger_core.errors import Busy
from spanledger_receiver.auth import Access
from spanledger_receiver.bodies import ENCODINGS, inflate, is_known_encoding, too_large
from spanledger_receiver.envelope import Encoding
from spanledger_receiver.intake import Intake
from spanledger_receiver.responses import TAKEN, TAKEN_JSON, encode_receipt, encode_receipt_json
from spanledger_receiver.settings import MEBIBYTE, HttpSettings
from spanledger_receiver.status import Failure, Unsupported, encode_status, encode_status_json, http_headers

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_ENCODINGS: Final[dict[str, Encoding]] = {_PROTOBUF: "protobuf", _JSON: "json"}
_BUFFERS_FULL_RETRY_S: Final = 1.0
_MAX_DISCARDED: Final = 64 * MEBIBYTE

_Take = Callable[[bytes, str, Encoding, "str | None"], bytes]
"""(body, content encoding, encoding, tenant) -> answer; runs in a worker thread."""


def build_app(settings: HttpSettings, intake: Intake, access: Access, workers: Executor) -> Starlette:
    """The application; `workers` run everything that blocks or takes long."""
    endpoints = _Endpoints(settings, intake, access, workers)
    takes: dict[str, _Take] = {
        "traces": endpoints.take_traces,
        "metrics": partial(endpoints.discard, "metrics"),
        "logs": partial(endpoints.discard, "logs"),
    }
    routes = [
        Route(f"/v1/{signal}", partial(endpoints.serve, take), methods=["POST"]) for signal, take in takes.items()
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: endpoints.no_such_endpoint})
    app.router.redirect_slashes = False  # exporters do not follow redirects of a POST
    return app


class _Endpoints:
    """What the three endpoints share: who may send, what may be sent, how much at once."""

    def __init__(self, settings: HttpSettings, intake: Intake, access: Access, workers: Executor) -> None:
        self._settings = settings
        self._intake = intake
        self._access = access
        self._workers = workers
        self._buffered = 0  # touched on the event loop only

    def take_traces(self, body: bytes, packing: str, encoding: Encoding, tenant: str | None) -> bytes:
        """Answer a trace request."""
        plain = inflate(body, packing, self._settings.max_request_bytes)
        receipt = self._intake.traces(plain, encoding, tenant)
        return encode_receipt(receipt) if encoding == "protobuf" else encode_receipt_json(receipt)

    def discard(self, signal: str, body: bytes, packing: str, encoding: Encoding, tenant: str | None) -> bytes:
        """Answer a request of a signal nobody reads here."""
        self._intake.discard(signal)
        return TAKEN if encoding == "protobuf" else TAKEN_JSON

    async def serve(self, take: _Take, request: Request) -> Response:
        """One request, whatever becomes of it."""
        try:
            tenant = self._access.tenant_of(request.headers.get("authorization"))
            encoding, packing = _encoding(request), _packing(request)
            async with self._body(request) as body:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._workers, take, body, packing, encoding, tenant)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001  the border: whatever goes wrong becomes a status
            return self._refuse(request, self._intake.failure(error))
        self._intake.count_answer("200")
        return Response(answer, media_type=_PROTOBUF if encoding == "protobuf" else _JSON)

    async def no_such_endpoint(self, request: Request, error: Exception) -> Response:
        """Wrong path or method."""
        assert isinstance(error, HTTPException)
        message = f"{request.method} is not served here; OTLP/HTTP is POST to /v1/traces, /v1/metrics and /v1/logs"
        response = self._refuse(request, Failure(StatusCode.UNIMPLEMENTED, error.status_code, message))
        response.headers.update(error.headers or {})
        return response

    def _refuse(self, request: Request, failure: Failure) -> Response:
        self._intake.count_answer(str(failure.http_status))
        as_protobuf = _media_type(request) == _PROTOBUF
        return Response(
            encode_status(failure) if as_protobuf else encode_status_json(failure),
            status_code=failure.http_status,
            headers=http_headers(failure),
            media_type=_PROTOBUF if as_protobuf else _JSON,
        )

    @asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """The body as sent, counted against what all requests together may hold until the block ends."""
        body = bytearray()
        try:
            async for chunk in _chunks(request, self._settings.max_request_bytes):
                self._buffered += len(chunk)
                body += chunk
                if self._buffered > self._settings.max_buffered_bytes:
                    raise Busy("too many requests are being received at once", _BUFFERS_FULL_RETRY_S)
            self._intake.count_bytes(len(body))
            yield bytes(body)
        finally:
            self._buffered -= len(body)


async def _chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The pieces of a body up to the limit. Raises `TooLarge` for one beyond it, after reading and discarding the rest.

    Many senders read no answer before they have sent everything: without this they see a broken connection, and repeat.
    """
    size = int(request.headers.get("content-length") or 0)
    waits = request.headers.get("expect", "").lower() == "100-continue"
    if size > limit and (waits or size > limit + _MAX_DISCARDED):
        raise too_large(limit)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit + _MAX_DISCARDED:
            break
        if max(size, received) <= limit:
            yield chunk
    if max(size, received) > limit:
        raise too_large(limit)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _encoding(request: Request) -> Encoding:
    encoding = _ENCODINGS.get(_media_type(request))
    if encoding is None:
        raise Unsupported(f"the content type must be {_PROTOBUF} or {_JSON}")
    return encoding


def _packing(request: Request) -> str:
    packing = request.headers.get("content-encoding", "").strip().lower()
    if not is_known_encoding(packing):
        raise Unsupported(f"the content encoding must be one of {', '.join(ENCODINGS)}, or absent")
    return packing
