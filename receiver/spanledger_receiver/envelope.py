"""Bodies to requests within bounds: a small body can stand for millions of empty messages.

Unbounded, 16 MiB of `0a 00` (16 KB gzipped) cost 12 s of CPU and 500 MB, and the same as JSON 20 s and 1.6 GB. The
bounds are ten times what the largest batches of exporters and collectors hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from spanledger_core.errors import TooLarge
from spanledger_core.facts import Refusal
from spanledger_core.otlp import count_spans, parse_traces
from spanledger_receiver.otlp_json import parse_json

Encoding = Literal["protobuf", "json"]

MAX_SPANS: Final = 200_000
MAX_PARTS: Final = 100_000
"""Resources and scopes of a protobuf request (and whatever else stands beside them)."""
MAX_JSON_NODES: Final = 1_000_000
"""Objects and lists of a JSON body, counted by their opening brackets wherever they stand."""

_RESOURCE_SPANS: Final = 0x0A  # tag of field 1 of ExportTraceServiceRequest
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES: Final = 10


def parse_body(body: bytes, encoding: Encoding) -> tuple[Any, int, tuple[Refusal, ...]]:
    """A TracesRequest, how many spans it holds, and what was refused of the body on the way.

    Raises `TooLarge` beyond a bound, `InvalidRequest` if the body is not a request.
    """
    if encoding == "json":
        _check("JSON objects and lists", body.count(b"{") + body.count(b"["), MAX_JSON_NODES)
        request, refusals = parse_json(body)
    else:
        _check("resources and scopes", _count_parts(body), MAX_PARTS)
        request, refusals = parse_traces(body), ()
    spans = count_spans(request)
    _check("spans", spans, MAX_SPANS)
    return request, spans, refusals


def _check(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise TooLarge(f"the request has more than {limit} {what}; send smaller batches")


def _count_parts(body: bytes) -> int:
    """How many fields the request and its ResourceSpans have: what the parser would make objects of.

    Stops when there are too many, and where the bytes make no sense: those are the parser's to refuse.
    """
    parts = 0
    for tag, start, end in _fields(body, 0, len(body)):
        parts += 1
        if tag == _RESOURCE_SPANS:
            for _ in _fields(body, start, end):
                parts += 1
                if parts > MAX_PARTS:
                    return parts
        if parts > MAX_PARTS:
            return parts
    return parts


def _fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, start, end of the content) of each field of a message, one level deep."""
    try:
        while at < end:
            tag, at = _varint(body, at)
            kind = tag & 7
            start = at
            if kind == _BYTES:
                size, start = _varint(body, at)
                at = start + size
            elif kind == _VARINT:
                _, at = _varint(body, at)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            yield tag, start, min(at, end)
    except (IndexError, OverflowError):
        return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it. Raises `IndexError` or `OverflowError` where there is none."""
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for length in range(1, _VARINT_BYTES):
        byte = body[at + length]
        value |= (byte & 0x7F) << 7 * length
        if byte < 0x80:
            return value, at + length + 1
    raise OverflowError
