"""Annotating and splitting, as pure functions over any request."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanledger_core.otlp import TracesRequest
from spanledger_exporter.forward_spans import annotate, split

TRACE, SPAN = b"t" * 16, b"s" * 8


class Note(NamedTuple):
    cost: int | None = 5_000_000_000_000
    cost_status: str = "priced"
    agent_id: str = "planner"


def request_of(*spans: bytes) -> Any:
    request = TracesRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request


def annotated(span: bytes, *, booked: bool = True) -> bytes:
    request = annotate(request_of(span), {(TRACE, SPAN): Note()} if booked else {})
    return bytes(request.resource_spans[0].scope_spans[0].spans[0])


def keys(span: bytes) -> list[str]:
    return [attribute.key for attribute in Span.FromString(span).attributes]


OWN = ["spanledger.cost_usd", "spanledger.cost_status", "spanledger.agent_id"]


def test_a_span_keeps_its_bytes_and_gains_attributes_at_the_end() -> None:
    span = Span(trace_id=TRACE, span_id=SPAN, name="n").SerializeToString()
    assert annotated(span).startswith(span)
    assert keys(annotated(span)) == OWN


def test_ids_in_an_unusual_place_are_found() -> None:
    """Field order is the encoder's choice: here the name comes first."""
    ids, name = Span(trace_id=TRACE, span_id=SPAN).SerializeToString(), Span(name="n").SerializeToString()
    assert keys(annotated(name + ids)) == OWN


def test_notes_of_a_collector_before_us_are_replaced() -> None:
    once = annotated(Span(trace_id=TRACE, span_id=SPAN, attributes=[{"key": "other"}]).SerializeToString())
    assert keys(annotated(once)) == ["other", *OWN]


SENDERS = ["spanledger.customer_id", "spanledger.step", "spanledger.team", "spanledger.price.batch", "spanledger.agent"]


def test_what_the_sender_said_goes_on_beside_a_note() -> None:
    span = Span(trace_id=TRACE, span_id=SPAN, attributes=[{"key": key} for key in [*SENDERS, *OWN]])
    assert keys(annotated(span.SerializeToString())) == [*SENDERS, *OWN]


@pytest.mark.parametrize("booked", [True, False])
def test_a_span_without_a_note_loses_a_forged_one_and_nothing_else(booked: bool) -> None:
    forged = Span(trace_id=TRACE, span_id=b"x" * 8, attributes=[{"key": key} for key in [*OWN, *SENDERS]])
    assert keys(annotated(forged.SerializeToString(), booked=booked)) == SENDERS


def test_a_value_that_reads_like_a_note_is_the_senders() -> None:
    span = Span(trace_id=TRACE, span_id=b"x" * 8)
    span.attributes.add(key="note").value.string_value = "set spanledger.cost_usd"
    assert annotated(span.SerializeToString(), booked=False) == span.SerializeToString()


def test_a_request_without_notes_is_not_touched() -> None:
    request = request_of(Span(attributes=[{"key": key} for key in SENDERS]).SerializeToString())
    assert annotate(request, {}) is request


def test_what_cannot_be_decoded_is_handed_on_as_it_is() -> None:
    assert annotated(b"\xff\xff") == b"\xff\xff"
    broken = Span(trace_id=TRACE, span_id=SPAN).SerializeToString() + b"\x4a\x7fspanledger.cost_usd"
    assert annotated(broken).startswith(broken)


def test_other_spans_are_left_alone() -> None:
    span = Span(trace_id=TRACE, span_id=b"x" * 8).SerializeToString()
    assert annotated(span) == span


_scopes = st.lists(st.lists(st.binary(min_size=1, max_size=300), max_size=8), max_size=4)


@given(st.lists(_scopes, max_size=3), st.integers(200, 1000))
def test_parts_hold_all_spans_in_order_within_the_limit(groups: list[list[list[bytes]]], limit: int) -> None:
    request = TracesRequest()
    for number, scopes in enumerate(groups):
        group = request.resource_spans.add(schema_url=f"r{number}")
        for index, spans in enumerate(scopes):
            part = group.scope_spans.add(schema_url=f"s{index}")
            part.scope.name = f"scope {number}.{index}"
            part.spans.extend(spans)

    def flat(one: Any) -> list[tuple[str, str, str, bytes]]:
        return [
            (group.schema_url, part.schema_url, part.scope.name, span)
            for group in one.resource_spans
            for part in group.scope_spans
            for span in part.spans
        ]

    parts = list(split(request, limit))
    assert [item for part in parts for item in flat(part)] == flat(request)
    for part in parts:
        assert part.ByteSize() <= limit or len(flat(part)) == 1


def test_a_request_within_the_limit_is_not_touched() -> None:
    request = request_of(b"span")
    assert list(split(request, 1000)) == [request]
    assert next(split(request, 1000)) is request
