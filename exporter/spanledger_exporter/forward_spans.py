"""What goes out: received spans as they are, plus what is known of their calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from spanledger_core.otlp import TracesRequest

_PREFIX: Final = "spanledger."
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
    """The request with `spanledger.*` attributes on the spans that have notes; the given one is left untouched."""
    if not notes:
        return request
    annotated = TracesRequest()
    annotated.CopyFrom(request)
    for group in annotated.resource_spans:
        for part in group.scope_spans:
            for index, span in enumerate(part.spans):
                note = notes.get(_id_of(span))
                if note is not None:
                    part.spans[index] = _with_note(span, note)
    return annotated


def _id_of(span: bytes) -> SpanId:
    """Ids of an encoded span: at the start, where every encoder writes them; else by decoding. Empty if broken."""
    if span[:2] == b"\x0a\x10" and span[18:20] == b"\x12\x08":
        return span[2:18], span[20:28]
    try:
        decoded = trace_pb2.Span.FromString(span)
    except DecodeError:
        return b"", b""
    return decoded.trace_id, decoded.span_id


def _with_note(span: bytes, note: SpanNote) -> bytes:
    """Attributes are a repeated field, and protobuf reads concatenated messages as one: the span's bytes stay as is.

    The cost is a double, as OTLP attributes know no decimals: for looking at, not for adding up.
    """
    if _PREFIX.encode() in span:  # from another collector on the way
        span = _without_notes(span)
    extra = trace_pb2.Span()
    if note.cost is not None:
        extra.attributes.add(key=f"{_PREFIX}cost_usd").value.double_value = note.cost / _PICODOLLARS
    extra.attributes.add(key=f"{_PREFIX}cost_status").value.string_value = note.cost_status
    extra.attributes.add(key=f"{_PREFIX}agent_id").value.string_value = note.agent_id
    return span + extra.SerializeToString()


def _without_notes(span: bytes) -> bytes:
    try:
        decoded = trace_pb2.Span.FromString(span)
    except DecodeError:
        return span
    kept = [attribute for attribute in decoded.attributes if not attribute.key.startswith(_PREFIX)]
    del decoded.attributes[:]
    decoded.attributes.extend(kept)
    return decoded.SerializeToString()


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
