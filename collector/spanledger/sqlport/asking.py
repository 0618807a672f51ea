"""What a request asks for: HTTP parameters, headers and body, read into one record."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from spanledger.sqlport import compression
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.sessions import DEFAULT_TIMEOUT_S
from spanledger.sqlport.settings import SqlSettings, SqlUser

# Parameters that are addressed to the endpoint; what is left are settings.
_OURS: Final = frozenset(
    {
        "add_http_cors_header",
        "buffer_size",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_native_compression_disable_checksumming_on_decompress",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "password",
        "query",
        "network_compression_method",
        "network_zstd_compression_level",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
_QUERY_ID: Final = re.compile(r"[!-~]{1,200}")
_DEFAULT_FORMAT: Final = "TabSeparated"
_NO_DATABASE: Final = ("", "default")


class Ask(NamedTuple):
    """One query with everything that decides about its answer."""

    user: SqlUser
    query: str
    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str | None
    default_format: str
    session_id: str
    session_timeout_s: float
    session_check: bool
    close_session: bool
    query_id: str
    protocol_version: int
    encoding: str | None
    frames: str | None
    """The method of ClickHouse's own compressed blocks (compress=1), or None."""
    wait_end_of_query: bool


def read(args: Mapping[str, str], headers: Mapping[str, str], body: bytes, user: SqlUser, settings: SqlSettings) -> Ask:
    """The request as a record. Raises `SqlError`: 62 for no query, 223 for too long a one, 48, 6, 36."""
    session_id = args.get("session_id", "")
    compressed = _flag(args, "compress")
    return Ask(
        user=user,
        query=_query(args, headers, body, settings),
        params={name[6:]: value for name, value in args.items() if name.startswith("param_")},
        settings=_settings(args),
        database=_database(headers.get("x-clickhouse-database") or args.get("database", "")),
        default_format=headers.get("x-clickhouse-format") or args.get("default_format") or _DEFAULT_FORMAT,
        session_id=session_id,
        session_timeout_s=_number(args, "session_timeout", DEFAULT_TIMEOUT_S),
        session_check=_flag(args, "session_check"),
        close_session=_flag(args, "close_session"),
        query_id=args["query_id"],
        protocol_version=int(_number(args, "client_protocol_version", 0)),
        encoding=None if compressed else _encoding(args, headers),
        frames=args.get("network_compression_method", "lz4").lower() if compressed else None,
        wait_end_of_query=_flag(args, "wait_end_of_query"),
    )


def authenticate(args: Mapping[str, str], headers: Mapping[str, str], users: Iterable[SqlUser]) -> SqlUser:
    """Who asks: Basic authentication, X-ClickHouse-User and -Key, or user= and password=.

    Raises `SqlError`: 194 where none of them was sent and one is needed, 516 where they are wrong.
    """
    name, password, given = _credentials(args, headers)
    user = next((user for user in users if user.name == name), None)
    # The comparison is made in any case: the time taken does not tell which names exist.
    right = (user or SqlUser("", "sha256:" + "0" * 64)).accepts(password)
    if user is not None and right:
        return user
    if not given:
        raise SqlError(194, "this endpoint asks for a user and password")
    raise SqlError(516, f"{name[:64]}: Authentication failed: password is incorrect, or there is no such user")


def _credentials(args: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str, bool]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise SqlError(516, "the Authorization header is not valid Basic authentication") from error
        return name, password, True
    if scheme:
        raise SqlError(516, f"Authorization scheme {scheme[:20]} is not supported; use Basic")
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", ""), True
    given = "user" in args or "password" in args
    return args.get("user", "default"), args.get("password", ""), given


def _query(args: Mapping[str, str], headers: Mapping[str, str], body: bytes, settings: SqlSettings) -> str:
    limit = settings.max_request_bytes
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise SqlError(48, "multipart forms (external tables) are not supported: send the query as the body")
    if _flag(args, "decompress"):
        raise SqlError(48, "decompress=1 is not supported: use Content-Encoding gzip, deflate, lz4 or zstd")
    text = compression.decode(body, headers.get("content-encoding", ""), limit)
    try:
        # A query in the address and a body are one text, as ClickHouse has it.
        query = "\n".join(part for part in (args.get("query", ""), text.decode()) if part)
    except UnicodeDecodeError as error:
        raise SqlError(6, "the query is not valid UTF-8") from error
    if not query.strip(" \t\r\n;"):
        raise SqlError(62, "Empty query")
    if len(query.encode("utf-8", "surrogatepass")) > limit:
        raise SqlError(223, f"the query is larger than {limit} bytes", "QUERY_IS_TOO_LARGE")
    return query


def _settings(args: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in args.items() if name not in _OURS and not name.startswith("param_")}


def _database(name: str) -> str | None:
    # Clients that are told nothing send "default": the store's own database is meant.
    return None if name in _NO_DATABASE else name


def query_id(args: Mapping[str, str], fresh_id: str) -> str:
    """The client's id for the query, if it can stand in a header, else a fresh one."""
    wanted = args.get("query_id", "")
    return wanted if _QUERY_ID.fullmatch(wanted) else fresh_id


def _encoding(args: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    if args.get("enable_http_compression", "1") in ("0", "false"):
        return None
    return compression.negotiate(headers.get("accept-encoding", ""))


def _flag(args: Mapping[str, str], name: str) -> bool:
    return args.get(name, "0") not in ("", "0", "false")


def _number(args: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(args.get(name) or default)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SqlError(36, f"{name} must be a number")
    return number
