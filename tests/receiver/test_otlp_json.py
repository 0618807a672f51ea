"""OTLP/JSON means the same as the protobuf it stands for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from spanledger_core.errors import InvalidRequest
from spanledger_core.otlp import Span, parse_traces
from spanledger_receiver.json_mapping import MAX_DEPTH
from spanledger_receiver.otlp_json import parse_json

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dev"
IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def to_json(request: ExportTraceServiceRequest, *, snake_case: bool = False) -> dict[str, Any]:
    """OTLP/JSON of a request: the library's mapping with ids in hex, as the OTLP specification has it."""
    document = json_format.MessageToDict(request, preserving_proto_field_name=snake_case)

    def hex_ids(node: Any) -> Any:
        if isinstance(node, list):
            return [hex_ids(child) for child in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64decode(value).hex() if key in IDS and isinstance(value, str) else hex_ids(value)
            for key, value in node.items()
        }

    return dict(hex_ids(document))


def read(document: Any) -> Any:
    request, refusals = parse_json(json.dumps(document).encode())
    assert refusals == ()
    return request


def one_span(**fields: Any) -> dict[str, Any]:
    span = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "s", **fields}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def span_of(document: Any) -> Any:
    return Span.FromString(read(document).resource_spans[0].scope_spans[0].spans[0])


def refusal_of(document: Any) -> Any:
    request, (refusal,) = parse_json(json.dumps(document).encode())
    assert not request.resource_spans[0].scope_spans[0].spans
    return refusal


def _corpus_requests() -> Iterator[Any]:
    if not CORPUS.is_dir():
        yield pytest.param(None, marks=pytest.mark.skip(reason=f"no corpus at {CORPUS}"))
        return
    for scenario in sorted(CORPUS.iterdir())[::20]:
        yield pytest.param(sorted(scenario.glob("request-*.pb"))[0], id=scenario.name)


@pytest.mark.corpus
@pytest.mark.parametrize("path", list(_corpus_requests()))
@pytest.mark.parametrize("snake_case", [False, True])
def test_captured_requests_read_the_same_as_json_and_as_protobuf(path: Path, snake_case: bool) -> None:
    official = ExportTraceServiceRequest.FromString(path.read_bytes())
    for group in official.resource_spans:
        for part in group.scope_spans:
            for span in part.spans:
                span.ClearField("links")
    assert read(to_json(official, snake_case=snake_case)) == parse_traces(official.SerializeToString())


_text = st.text(max_size=20)
_any_value = st.recursive(
    st.one_of(
        st.builds(AnyValue),
        st.builds(AnyValue, string_value=_text),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
        st.builds(AnyValue, bytes_value=st.binary(max_size=20)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: AnyValue(array_value={"values": values})),
        st.dictionaries(_text, inner, max_size=3).map(
            lambda values: AnyValue(kvlist_value={"values": [{"key": k, "value": v} for k, v in values.items()]})
        ),
    ),
    max_leaves=6,
)
_attributes = st.dictionaries(_text, _any_value, max_size=4).map(
    lambda values: [{"key": key, "value": value} for key, value in values.items()]
)
_span = st.fixed_dictionaries(
    {
        "trace_id": st.binary(max_size=20),
        "span_id": st.binary(max_size=10),
        "parent_span_id": st.binary(max_size=10),
        "trace_state": _text,
        "name": _text,
        "kind": st.integers(-(2**31), 2**31 - 1),
        "start_time_unix_nano": st.integers(0, 2**64 - 1),
        "end_time_unix_nano": st.integers(0, 2**64 - 1),
        "flags": st.integers(0, 2**32 - 1),
        "attributes": _attributes,
        "dropped_attributes_count": st.integers(0, 2**32 - 1),
        "events": st.lists(st.fixed_dictionaries({"name": _text, "attributes": _attributes}), max_size=2),
        "status": st.fixed_dictionaries({"message": _text, "code": st.integers(0, 2)}),
    }
)
_request = st.builds(
    lambda attributes, name, spans: ExportTraceServiceRequest(
        resource_spans=[
            {"resource": {"attributes": attributes}, "scope_spans": [{"scope": {"name": name}, "spans": spans}]}
        ]
    ),
    _attributes,
    _text,
    st.lists(_span, max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(_request)
def test_every_request_survives_the_way_through_json(official: ExportTraceServiceRequest) -> None:
    assert read(to_json(official)) == parse_traces(official.SerializeToString())


@settings(max_examples=40, deadline=None)
@given(_request, st.randoms(use_true_random=False))
def test_nothing_but_invalid_request_comes_out_of_damaged_json(official: Any, random: Any) -> None:
    body = bytearray(json.dumps(to_json(official)).encode())
    for _ in range(3):
        body[random.randrange(len(body))] = random.randrange(256)
    try:
        request, _ = parse_json(bytes(body))
    except InvalidRequest:
        return
    parse_traces(request.SerializeToString())


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _text),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value", "arrayValue"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(st.lists(_json, max_size=3))
def test_any_json_in_the_place_of_a_span_is_read_or_refused(spans: list[Any]) -> None:
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    request, refusals = parse_json(body)
    kept = len(request.resource_spans[0].scope_spans[0].spans)
    assert kept + sum(refusal.spans for refusal in refusals) == len(spans)


@pytest.mark.parametrize("number", [5, "5", 5.0])
def test_integers_come_as_numbers_or_strings(number: Any) -> None:
    span = span_of(
        one_span(startTimeUnixNano=number, kind=number, attributes=[{"key": "k", "value": {"intValue": number}}])
    )
    assert (span.start_time_unix_nano, span.kind, span.attributes["k"].int_value) == (5, 5, 5)


def test_enums_come_as_numbers_or_names() -> None:
    assert span_of(one_span(kind="SPAN_KIND_CLIENT")).kind == 3
    assert span_of(one_span(status={"code": "STATUS_CODE_ERROR"})).status.code == 2
    assert span_of(one_span(kind=77)).kind == 77


def test_unknown_fields_and_nulls_are_ignored() -> None:
    span = span_of(one_span(kind=None, attributes=None, invention={"a": [1]}, status={"deprecatedCode": 1}))
    assert (span.name, span.kind) == ("s", 0)


@pytest.mark.parametrize("encoded", ["-_8=", "-_8", "+/8=", "+/8"])
def test_bytes_come_in_either_base64_alphabet(encoded: str) -> None:
    span = span_of(one_span(attributes=[{"key": "k", "value": {"bytesValue": encoded}}]))
    assert span.attributes["k"].bytes_value == b"\xfb\xff"


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("Infinity", float("inf")), ("-2e3", -2000.0)])
def test_doubles_come_as_strings_too(text: str, value: float) -> None:
    assert (
        span_of(one_span(attributes=[{"key": "k", "value": {"doubleValue": text}}])).attributes["k"].double_value
        == value
    )


@pytest.mark.parametrize(
    ("fields", "reason", "place"),
    [
        ({"traceId": "zz" * 16}, "bad_trace_id", "traceId is not an id in hex"),
        ({"traceId": "AQEBAQEBAQEBAQEBAQEBAQ=="}, "bad_trace_id", "traceId is not an id in hex"),
        ({"traceId": 7}, "bad_trace_id", "traceId is not a string"),
        ({"spanId": "é"}, "bad_span_id", "spanId is not an id in hex"),
        ({"parentSpanId": "0"}, "bad_parent_id", "parentSpanId is not an id in hex"),
        ({"name": 5}, "malformed", "name is not a string"),
        ({"kind": "SPAN_KIND_INVENTED"}, "malformed", "kind is not a SpanKind"),
        ({"kind": True}, "malformed", "kind is not a SpanKind"),
        ({"startTimeUnixNano": "soon"}, "malformed", "startTimeUnixNano is not an integer"),
        ({"startTimeUnixNano": -1}, "malformed", "startTimeUnixNano is not an integer between 0"),
        ({"startTimeUnixNano": 1.5}, "malformed", "startTimeUnixNano is not an integer"),
        ({"startTimeUnixNano": "9" * 5000}, "malformed", "startTimeUnixNano is not an integer"),
        ({"attributes": {"k": "v"}}, "malformed", "attributes is not a list"),
        ({"attributes": ["k"]}, "malformed", "attributes[0] is not an object"),
        ({"attributes": [{"key": 5}]}, "malformed", "attributes[0].key is not a string"),
        ({"attributes": [{"key": "k", "value": "v"}]}, "malformed", "attributes[0].value is not an object"),
        ({"attributes": [{"value": {"boolValue": 1}}]}, "malformed", "value.boolValue is not true or false"),
        ({"attributes": [{"value": {"doubleValue": "x"}}]}, "malformed", "value.doubleValue is not a number"),
        ({"attributes": [{"value": {"bytesValue": "%"}}]}, "malformed", "value.bytesValue is not bytes in base64"),
        ({"attributes": [{"value": {"intValue": 2**63}}]}, "malformed", "value.intValue is not an integer between"),
        (
            {"attributes": [{"value": {"intValue": 1, "stringValue": "x"}}]},
            "malformed",
            "value.stringValue is not alone",
        ),
        ({"events": [{"attributes": [None]}]}, "malformed", "events[0].attributes[0] is not an object"),
    ],
    ids=str,
)
def test_wrong_types_are_refused_by_place(fields: dict[str, Any], reason: str, place: str) -> None:
    refusal = refusal_of(one_span(**fields))
    assert (refusal.reason, refusal.spans) == (reason, 1)
    assert refusal.example.startswith("resourceSpans[0].scopeSpans[0].spans[0].")
    assert place in refusal.example


@pytest.mark.parametrize("links", [[{"traceId": "xyz", "spanId": 7}], [None], "none"], ids=str)
def test_links_are_not_read_and_spoil_no_span(links: Any) -> None:
    assert span_of(one_span(links=links)).name == "s"


def test_refusals_count_by_reason_and_keep_the_first_example() -> None:
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [7, [], {"traceId": "x"}, "no"]}]}]}
    _, refusals = parse_json(json.dumps(document).encode())
    assert [(refusal.reason, refusal.spans) for refusal in refusals] == [("malformed", 3), ("bad_trace_id", 1)]
    assert refusals[0].example == "resourceSpans[0].scopeSpans[0].spans[0] is not an object"


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"intValue": 1}
    for _ in range(depth):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
    return one_span(attributes=[{"key": "k", "value": value}])


def test_deep_nesting_is_refused_before_a_protobuf_reader_would_choke() -> None:
    assert "nested at most" in refusal_of(_nested(MAX_DEPTH // 3)).example
    span_of(_nested(MAX_DEPTH // 3 - 2))


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (rb"half \ud83d", "half \ufffd"),
        (rb"\ude00 other half", "\ufffd other half"),
        (rb"whole \ud83d\ude00 and half \ud83d", "whole \U0001f600 and half \ufffd"),
        (rb"two \ud83d\ud83d\ude00", "two \ufffd\U0001f600"),
        (rb"escaped \\ud83d, half \\\ud83d", "escaped \\ud83d, half \\\ufffd"),
    ],
)
def test_half_emoji_of_javascript_exporters_become_replacement_characters(sent: bytes, read_as: str) -> None:
    """JavaScript cuts long attributes at UTF-16 units; one such cut must not cost the whole request."""
    body = json.dumps(one_span(name="NAME")).encode().replace(b"NAME", sent)
    request, refusals = parse_json(body)
    assert refusals == ()
    assert Span.FromString(request.resource_spans[0].scope_spans[0].spans[0]).name == read_as


def test_errors_of_the_envelope_name_the_place() -> None:
    for document, place in (
        ({"resourceSpans": {}}, "resourceSpans is not a list"),
        ({"resourceSpans": [{"scopeSpans": [7]}]}, "resourceSpans[0].scopeSpans[0] is not an object"),
        ({"resourceSpans": [{"resource": {"attributes": 7}}]}, "resourceSpans[0].resource.attributes is not a list"),
        ({"resourceSpans": [{"scopeSpans": [{"scope": {"name": 7}}]}]}, "scopeSpans[0].scope.name is not a string"),
    ):
        with pytest.raises(InvalidRequest) as raised:
            parse_json(json.dumps(document).encode())
        assert place in str(raised.value)
