"""The real engine behind an HTTP door: what the server path of the store can be driven against without a server.

Not a ClickHouse server. The engine is chDB, which is ClickHouse's own; the door is ours, and speaks as much of
ClickHouse's HTTP protocol as the product uses: statements in the address or the body, parameters, settings, bodies and
answers in zstd, lz4 or gzip, users, errors with their code, `/ping`. What it does not have: sessions, progress headers,
blocks of an insert taken before its body has ended, roles, quotas, replication.

`python -m bench.faults.engine_over_http FOLDER --port N` listens on loopback until its standard input ends. It can be
told to answer with errors (`PUT /fault`, see `Fault`) until told otherwise (`DELETE /fault`).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, Final, NamedTuple

import chdb
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from spanledger.sqlport import compression, native
from spanledger.sqlport.engine import Handle, literal, quoted
from spanledger.sqlport.errors import SqlError, from_engine

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_NO_SETTINGS: Final = frozenset(
    {
        "query",
        "query_id",
        "database",
        "user",
        "password",
        "default_format",
        "wait_end_of_query",
        "client_protocol_version",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "session_id",
        "session_timeout",
    }
)
_INSERT: Final = re.compile(rb"\s*(INSERT\s+INTO\s[^\n]+?)\s+FORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\s*\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_SELECT: Final = re.compile(r"(?:\s|--[^\n]*\n)*(SELECT|WITH)\b", re.IGNORECASE)
_DEFAULT_FORMAT: Final = "TabSeparated"
_LARGEST_BODY: Final = 1 << 30
_CHECKED: Final[dict[int, int]] = {zstd.CompressionParameter.checksum_flag: 1}
"""As ClickHouse's own answers have it (ZstdDeflatingWriteBuffer)."""


class Fault(NamedTuple):
    """What to answer instead."""

    when: str = ""
    """Only statements that begin so; empty: all, `/ping` too."""
    status: int = 500
    code: int | None = None
    """ClickHouse's; None: somebody else answers, in HTML."""
    text: str = ""
    after: bool = False
    """The statement is carried out all the same, and then this is answered."""
    page: bool = False
    """The page of somebody else comes with status 200 too."""
    delay_s: float = 0.0
    """Before the answer; with status 200 and no page the true answer comes then."""

    @property
    def is_lie(self) -> bool:
        """Not only late."""
        return self.status != 200 or self.page

    def response(self) -> Response:
        """The answer."""
        if self.code is not None:
            error = SqlError(self.code, self.text or "as told", status=self.status)
            return _refusal(error, "fault")
        page = self.text or f"<html><head><title>{self.status}</title></head><body>a proxy speaks</body></html>"
        return Response(page, self.status, media_type="text/html")


class Door:
    """One engine, any number of requests at a time."""

    def __init__(self, folder: str, user: str, password: str) -> None:
        self._folder = folder
        self._user, self._password = user, password
        self._anchor: Handle = chdb.connect(folder)  # type: ignore[no-untyped-call]
        self._fault: Fault | None = None
        self._met = 0
        self._spoken: dict[str, int] = {}

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/ping", self._ping, methods=["GET"]),
                Route("/fault", self._control, methods=["GET", "PUT", "DELETE"]),
                Route("/", self._query, methods=["GET", "POST"]),
            ]
        )

    async def _control(self, request: Request) -> Response:
        if request.method == "PUT":
            self._fault, self._met = Fault(**await request.json()), 0
        elif request.method == "DELETE":
            self._fault = None
        return Response(json.dumps({"met": self._met, "encodings": self._spoken}), media_type="application/json")

    async def _ping(self, _request: Request) -> Response:
        if self._fault is not None and not self._fault.when:
            return self._fault.response()
        return PlainTextResponse("Ok.\n")

    async def _query(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=499)
        return await run_in_threadpool(self._answer, request, body)

    def _answer(self, request: Request, body: bytes) -> Response:
        arguments = dict(request.query_params)
        query_id = arguments.get("query_id") or str(uuid.uuid4())
        try:
            self._authenticate(arguments, request.headers)
            encoding = request.headers.get("content-encoding", "")
            self._spoken[encoding] = self._spoken.get(encoding, 0) + 1
            plain = _decoded(body, encoding)
            kind = request.headers.get("content-type", "")
            if kind.startswith("multipart/form-data"):
                arguments |= _form(plain, kind)
                plain = b""
            statement = b"\n".join(part for part in (arguments.get("query", "").encode(), plain) if part)
            if not statement.strip():
                if request.method == "GET":
                    return PlainTextResponse("Ok.\n")
                raise SqlError(62, "Empty query")
            fault = self._fault_for(statement)
            if fault is not None and fault.is_lie and not fault.after:
                return fault.response()
            answer = self._carry_out(statement, arguments, request.headers, query_id)
            return fault.response() if fault is not None and fault.is_lie else answer
        except SqlError as error:
            return _refusal(error, query_id)
        except Exception as error:  # noqa: BLE001
            # a statement that was damaged on the way can be anything; a server has an answer to it too
            return _refusal(SqlError(1001, repr(error)), query_id)

    def _fault_for(self, statement: bytes) -> Fault | None:
        fault = self._fault
        if fault is None or not statement.lstrip().startswith(fault.when.encode()):
            return None
        self._met += 1
        time.sleep(fault.delay_s)
        return fault

    def _authenticate(self, arguments: Mapping[str, str], headers: Mapping[str, str]) -> None:
        name = headers.get("x-clickhouse-user") or arguments.get("user", "default")
        password = headers.get("x-clickhouse-key") or arguments.get("password", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            try:
                name, _, password = base64.b64decode(token, validate=True).decode().partition(":")
            except ValueError as error:
                raise SqlError(516, "Invalid authentication: bad base64") from error
        elif scheme:
            raise SqlError(516, "Invalid authentication: unknown scheme")
        if (name, password) != (self._user, self._password):
            text = f"{name}: Authentication failed: password is incorrect, or there is no user with such name."
            raise SqlError(516, text)

    def _carry_out(
        self, statement: bytes, arguments: Mapping[str, str], headers: Mapping[str, str], query_id: str
    ) -> Response:
        handle: Handle = chdb.connect(self._folder)  # type: ignore[no-untyped-call]
        try:
            _prepare(handle, arguments)
            insert = _INSERT.match(statement)
            if insert is not None:
                rows = _insert(handle, insert, statement[insert.end() :])
                return _result(b"", "", query_id, {"written_rows": str(rows)})
            params = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
            data, output_format = _run(handle, statement.decode(errors="replace"), arguments, params)
        finally:
            handle.close()
        compresses = arguments.get("enable_http_compression", "1") == "1"  # what the engine's settings have
        accepted = headers.get("accept-encoding", "") if compresses else ""
        return _result(data, output_format, query_id, {}, accepted)


def _decoded(body: bytes, encoding: str) -> bytes:
    """As a server does it: an encoding that is not known and a body that is damaged are errors."""
    name = encoding.strip().lower()
    if name != "zstd":
        return compression.decode(body, name, _LARGEST_BODY)
    try:
        # a body may be many frames, one for each block of the insert
        return zstd.decompress(body)
    except zstd.ZstdError as error:
        raise SqlError(561, f"inflate failed: {error}", "ZSTD_DECODER_FAILED") from error


def _form(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a form, which the client sends where parameters are too long for an address."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        fields[str(name)] = value.decode()
    return fields


def _prepare(handle: Handle, arguments: Mapping[str, str]) -> None:
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in _NO_SETTINGS and not name.startswith("param_") and name.isidentifier()
    }
    statements = [f"SET {name} = {literal(value)}" for name, value in settings.items()]
    if arguments.get("database"):
        statements.insert(0, f"USE {quoted(arguments['database'])}")
    for statement in statements:
        _asked(handle, statement, "Null", {})


def _insert(handle: Handle, insert: re.Match[bytes], data: bytes) -> int:
    """The rows, from a file: the binding takes data no other way."""
    with tempfile.NamedTemporaryFile(suffix=".insert") as file:
        file.write(data)
        file.flush()
        target, name = insert[1].decode(), insert[2].decode()
        result = _asked(handle, f"{target} FROM INFILE {literal(file.name)} FORMAT {name}", "Null", {})
    return int(result.rows_read())


def _run(handle: Handle, sql: str, arguments: Mapping[str, str], params: Mapping[str, str]) -> tuple[bytes, str]:
    """The result and its format; no format for a statement that has no result."""
    spoken = _FORMAT.search(sql)
    output_format = spoken[1] if spoken else arguments.get("default_format", _DEFAULT_FORMAT)
    if output_format == _DEFAULT_FORMAT and spoken is None and not _SELECT.match(sql):
        # names come first where there is a result, nothing where there is none
        lines = _asked(handle, sql, "TabSeparatedWithNames", params).bytes() or b""
        return lines.partition(b"\n")[2], output_format if lines else ""
    data = _asked(handle, sql, output_format, params).bytes() or b""
    if not data and output_format == "Native" and spoken is not None:
        bare = sql[: spoken.start()]  # the engine gives nothing where a server gives the columns
        data = native.header(native.columns_of(handle, bare, params, is_select=bool(_SELECT.match(bare))))
    return data, output_format


def _asked(handle: Handle, sql: str, output_format: str, params: Mapping[str, str]) -> Any:
    try:
        return handle.query(sql, output_format, params=params)
    except RuntimeError as error:
        raise from_engine(error) from error


def _result(data: bytes, output_format: str, query_id: str, summary: Mapping[str, str], accepted: str = "") -> Response:
    headers = {
        "X-ClickHouse-Server-Display-Name": "door",
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": json.dumps(summary),
    }
    if output_format:
        headers["X-ClickHouse-Format"] = output_format
    encoding = compression.negotiate(accepted) if data else None
    if encoding == "zstd":
        data = zstd.compress(data, options=_CHECKED)
    elif encoding is not None:
        encoder = compression.encoder(encoding)
        data = encoder.feed(data) + encoder.finish()
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return Response(data, 200, headers, media_type="application/octet-stream")


def _refusal(error: SqlError, query_id: str) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id}
    return PlainTextResponse(f"{error} (version 0.0 (a door))\n", error.status, headers)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Listen until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    chosen = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    door = Door(str(chosen.folder), chosen.user, chosen.password)
    uvicorn.run(door.app(), host="127.0.0.1", port=chosen.port, log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
