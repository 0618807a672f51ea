"""The one table from errors to protocol codes, and the answers that carry them.

Codes, Retry-After and RetryInfo: OTLP specification, "Failures" and "OTLP/HTTP Throttling"; a RESOURCE_EXHAUSTED
without RetryInfo tells an exporter not to retry.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from grpc import StatusCode

from spanledger_core import rpc_status
from spanledger_core.errors import Busy, InvalidRequest, SpanledgerError, StoreUnavailable, TooLarge, Unauthenticated


class Unsupported(InvalidRequest):
    """A content type or content encoding that is not spoken here (HTTP 415)."""


class Failure(NamedTuple):
    """The answer to a request that was not taken."""

    code: StatusCode
    http_status: int
    message: str
    retry_after_s: float | None = None


_TABLE: Final[tuple[tuple[type[SpanledgerError], StatusCode, HTTPStatus], ...]] = (
    # the first class that fits decides
    (TooLarge, StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Unauthenticated, StatusCode.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED),
    (Unsupported, StatusCode.INVALID_ARGUMENT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (InvalidRequest, StatusCode.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST),
    (Busy, StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.TOO_MANY_REQUESTS),
    (StoreUnavailable, StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE),
)
_UNEXPECTED: Final = "internal error; nothing of this request was taken, the collector's log says where it failed"
_STORE_RETRY_S: Final = 5.0
_LONGEST_MESSAGE: Final = 1000
"""gRPC carries the message in headers, and twice; clients refuse more than 8 KiB of them."""


def failure_of(error: BaseException) -> Failure:
    """What to answer for an error. The text of an error that nobody foresaw may hold content and is not repeated."""
    for kind, code, http_status in _TABLE:
        if isinstance(error, kind):
            return Failure(code, int(http_status), str(error)[:_LONGEST_MESSAGE], _retry_after(error))
    return Failure(StatusCode.INTERNAL, int(HTTPStatus.INTERNAL_SERVER_ERROR), _UNEXPECTED)


def _retry_after(error: BaseException) -> float | None:
    if isinstance(error, Busy):
        return error.retry_after_s
    return _STORE_RETRY_S if isinstance(error, StoreUnavailable) else None


def trailing_metadata(failure: Failure) -> tuple[tuple[str, bytes], ...]:
    """The gRPC trailers of a failure: the full status, and the delay once more where Python exporters look for it."""
    details = ((rpc_status.DETAILS_KEY, encode_status(failure)),)
    if failure.retry_after_s is None:
        return details
    return (*details, (rpc_status.PYTHON_RETRY_KEY, rpc_status.encode_retry_info(failure.retry_after_s)))


def http_headers(failure: Failure) -> dict[str, str]:
    """Headers that belong to the status: Retry-After in whole seconds, rounded up; the challenge of a 401."""
    headers = {}
    if failure.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(failure.retry_after_s)))
    if failure.http_status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers


def encode_status(failure: Failure) -> bytes:
    """`google.rpc.Status` as protobuf."""
    return rpc_status.encode_status(_number(failure.code), failure.message, failure.retry_after_s)


def encode_status_json(failure: Failure) -> bytes:
    """`google.rpc.Status` as protobuf JSON."""
    status: dict[str, Any] = {"code": _number(failure.code), "message": failure.message}
    if failure.retry_after_s is not None:
        delay = rpc_status.duration(failure.retry_after_s).ToJsonString()
        status["details"] = [{"@type": rpc_status.RETRY_INFO_URL, "retryDelay": delay}]
    return orjson.dumps(status)


def _number(code: StatusCode) -> int:
    return int(code.value[0])
