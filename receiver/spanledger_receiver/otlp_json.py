"""OTLP/JSON to the message that the protobuf path reads.

The rules are the protobuf JSON mapping with the deviations of the OTLP specification ("JSON Protobuf Encoding"):
ids are hex, unknown fields are ignored, enums are numbers (names are accepted too). A span with a value of the wrong
type is refused by name and the rest kept; a wrong envelope (resource and scope included, as with protobuf) refuses
the request. Errors give the place and the expected type, never the value: it may be content.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from spanledger_core.errors import InvalidRequest
from spanledger_core.facts import Refusal
from spanledger_core.otlp import parse_traces
from spanledger_receiver.json_mapping import Malformed, fill, plan_of

_ID_REASONS: Final = {"traceId": "bad_trace_id", "spanId": "bad_span_id", "parentSpanId": "bad_parent_id"}
_GROUP: Final = plan_of(ResourceSpans.DESCRIPTOR, without="scope_spans")
_SCOPE: Final = plan_of(ScopeSpans.DESCRIPTOR, without="spans")
_SPAN: Final = plan_of(Span.DESCRIPTOR, without="links")  # nobody reads them, and a bad id in one spoils no span

_SURROGATE: Final = re.compile(
    rb"(?<!\\)(?P<even>(?:\\\\)*)"  # backslashes that escape one another
    rb"(?:(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def parse_json(body: bytes) -> tuple[Any, tuple[Refusal, ...]]:
    """A TracesRequest and what was refused of the body. Raises `InvalidRequest` if it is not JSON or no envelope."""
    return read_traces(load_object(body))


def load_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `InvalidRequest` with the place of the fault."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _load_repaired(body, error)
    if not isinstance(document, dict):
        raise InvalidRequest("the body is JSON but not an object, as an ExportTraceServiceRequest is")
    return document


def _load_repaired(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """JavaScript exporters cut long strings between the halves of a surrogate pair; the half becomes U+FFFD."""
    if "surrogate" in error.msg:
        try:
            return orjson.loads(_SURROGATE.sub(_replace_lone, body))
        except orjson.JSONDecodeError as second:
            error = second
    raise InvalidRequest(
        f"the body is not JSON from line {error.lineno}, column {error.colno} on; "
        "check the exporter's protocol and content type"
    ) from None


def _replace_lone(found: re.Match[bytes]) -> bytes:
    return found[0] if found["pair"] else found["even"] + rb"\ufffd"


def read_traces(document: dict[str, Any]) -> tuple[Any, tuple[Refusal, ...]]:
    """A TracesRequest from a JSON object, and what was refused of it. Raises `InvalidRequest` for a wrong envelope."""
    request = ExportTraceServiceRequest()
    refused = _Refused()
    try:
        for group_at, group in _children(document, "resourceSpans", "resource_spans"):
            resource_spans = request.resource_spans.add()
            _fill_at(group_at, resource_spans, group, _GROUP)
            for scope_at, part in _children(group, "scopeSpans", "scope_spans", group_at):
                scope_spans = resource_spans.scope_spans.add()
                _fill_at(scope_at, scope_spans, part, _SCOPE)
                for span_at, span in _children(part, "spans", "spans", scope_at):
                    _read_span(span_at, scope_spans.spans, span, refused)
    except Malformed as error:
        raise InvalidRequest(str(error)) from None
    return parse_traces(request.SerializeToString()), refused.by_reason()


def _children(parent: dict[str, Any], camel: str, snake: str, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each element of a list in `parent`, with its place."""
    children = parent.get(camel)
    if children is None:
        children = parent.get(snake)
    place = f"{at}.{camel}" if at else camel
    if not isinstance(children, list):
        if children is None:
            return
        raise Malformed("a list", place)
    for index, child in enumerate(children):
        yield f"{place}[{index}]", child


def _fill_at(place: str, message: Any, data: Any, plan: Any) -> None:
    try:
        fill(message, data, plan)
    except Malformed as error:
        error.inside(place)
        raise


def _read_span(place: str, spans: Any, data: Any, refused: _Refused) -> None:
    try:
        fill(spans.add(), data, _SPAN)
    except Malformed as error:
        del spans[-1]
        refused.add(place, error)


class _Refused:
    """Spans that were not taken: counted by reason, with the first of each as the example."""

    def __init__(self) -> None:
        self._spans: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, place: str, error: Malformed) -> None:
        reason = _ID_REASONS.get(error.place, "malformed")
        error.inside(place)
        self._spans[reason] += 1
        self._examples.setdefault(reason, str(error))

    def by_reason(self) -> tuple[Refusal, ...]:
        return tuple(Refusal(reason, spans, self._examples[reason]) for reason, spans in self._spans.items())
