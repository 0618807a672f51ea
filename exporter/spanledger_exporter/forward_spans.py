"""What goes out: received spans as they are, plus what is known of their calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from spanledger_core.otlp import TracesRequest

_COST: Final = "spanledger.cost_usd"
_COST_STATUS: Final = "spanledger.cost_status"
_AGENT: Final = "spanledger.agent_id"
_NOTE: Final = frozenset({_COST, _COST_STATUS, _AGENT})
_SAID: Final = re.compile("|".join(map(re.escape, sorted(_NOTE))).encode())
_PICODOLLARS: Final = 10**12
_FRAME_BYTES: Final = 16
"""At most this many bytes of tags and lengths around one span in its scope, resource and request."""


class SpanNote(Protocol):
    """What forwarded spans say about a call, as known by now."""

    @property
    def cost(self) -> int | None:
        """Integer picodollars; None: unknown, and the span says only why."""

    @property
    def cost_status(self) -> str:
        """One of `spanledger_core.calls.CostStatus`."""

    @property
    def agent_id(self) -> str:
        """The agent the call is booked to."""


SpanId: TypeAlias = tuple[bytes, bytes]
"""(trace_id, span_id), raw bytes."""


def annotate(request: Any, notes: Mapping[SpanId, SpanNote]) -> Any:
    """The request with what is known of its calls on their spans; the given one is left untouched.

    What a span says itself of its cost, or of the agent it is booked to, goes: another collector on the way put it
    there, or nobody did who knows. Everything else the sender has said goes on, also under `spanledger.`.
    """
    if not notes and not any(map(_SAID.search, _spans_of(request))):
        return request
    annotated = TracesRequest()
    annotated.CopyFrom(request)
    for group in annotated.resource_spans:
        for part in group.scope_spans:
            for index, span in enumerate(part.spans):
                note = notes.get(_id_of(span)) if notes else None
                if note is not None or _SAID.search(span):
                    part.spans[index] = _without_note(span) + _encoded(note)
    return annotated


def _spans_of(request: Any) -> Iterator[bytes]:
    return (span for group in request.resource_spans for part in group.scope_spans for span in part.spans)


def _id_of(span: bytes) -> SpanId:
    """Ids of an encoded span: at the start, where every encoder writes them; else by decoding. Empty if broken."""
    if span[:2] == b"\x0a\x10" and span[18:20] == b"\x12\x08":
        return span[2:18], span[20:28]
    try:
        decoded = trace_pb2.Span.FromString(span)
    except DecodeError:
        return b"", b""
    return decoded.trace_id, decoded.span_id


def _encoded(note: SpanNote | None) -> bytes:
    """Attributes are a repeated field, and protobuf reads concatenated messages as one: the span's bytes stay as is.

    The cost is a double, as OTLP attributes know no decimals: for looking at, not for adding up.
    """
    if note is None:
        return b""
    extra = trace_pb2.Span()
    if note.cost is not None:
        extra.attributes.add(key=_COST).value.double_value = note.cost / _PICODOLLARS
    extra.attributes.add(key=_COST_STATUS).value.string_value = note.cost_status
    extra.attributes.add(key=_AGENT).value.string_value = note.agent_id
    encoded: bytes = extra.SerializeToString()
    return encoded


def _without_note(span: bytes) -> bytes:
    if not _SAID.search(span):
        return span
    try:
        decoded = trace_pb2.Span.FromString(span)
    except DecodeError:
        return span
    kept = [attribute for attribute in decoded.attributes if attribute.key not in _NOTE]
    if len(kept) == len(decoded.attributes):
        return span
    del decoded.attributes[:]
    decoded.attributes.extend(kept)
    cleaned: bytes = decoded.SerializeToString()
    return cleaned


def split(request: Any, limit: int) -> Iterator[Any]:
    """The request in parts of at most `limit` bytes, spans in order; a span beyond the limit goes alone."""
    if request.ByteSize() <= limit:
        yield request
        return
    for group in request.resource_spans:
        for part in group.scope_spans:
            yield from _split_scope(group, part, limit)


def _split_scope(group: Any, part: Any, limit: int) -> Iterator[Any]:
    piece, spans = _empty_like(group, part)
    frame = piece.ByteSize() + _FRAME_BYTES
    size = frame
    for span in part.spans:
        if spans and size + len(span) + _FRAME_BYTES > limit:
            yield piece
            piece, spans = _empty_like(group, part)
            size = frame
        spans.append(span)
        size += len(span) + _FRAME_BYTES
    if spans:
        yield piece


def _empty_like(group: Any, part: Any) -> tuple[Any, Any]:
    """A request with one resource and one scope and no spans, and the list where spans go."""
    request = TracesRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.CopyFrom(group.resource)
    resource_spans.schema_url = group.schema_url
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.CopyFrom(part.scope)
    scope_spans.schema_url = part.schema_url
    return request, scope_spans.spans
