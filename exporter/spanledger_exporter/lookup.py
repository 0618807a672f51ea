"""What is already booked for spans that come again when their trace has left memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

from clickhouse_connect.driver.client import Client

from spanledger_core.calls import CallKey
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.batches import AGENT, SPAN, TENANT, TIMESTAMP, TRACE, VERSION
from spanledger_exporter.sql import query_text, render

SpanId: TypeAlias = tuple[bytes, bytes]
"""(trace_id, span_id)."""

_ABSORBED: Final = CALL_COLUMNS.index("absorbed_spans")
_RESPONSE: Final = CALL_COLUMNS.index("response_id")
_IDS_AT_ONCE: Final = 500
"""Parameters travel in the request's URL, which servers bound."""
_ALL_TIME_US: Final = (0, 4_102_444_800_000_000)
_PICODOLLARS: Final = 12
_AS_INTEGERS: Final = {"DateTime64": "int"}


class Booked(NamedTuple):
    """A row that stands in the store."""

    key: CallKey
    """`start_ns` in whole microseconds, as the store keeps it: compare keys by `start_ns // 1000`."""
    version: int
    row: CallRow
    """Every column, ready to be booked again: a correction that only moves the call to another agent keeps its
    amounts by copying them from here."""


class Found(NamedTuple):
    """What a lookup found. Ids that nothing is booked for are absent."""

    by_span: Mapping[SpanId, Sequence[Booked]]
    """The rows that a span is, or that absorbed it."""
    by_response: Mapping[str, Sequence[Booked]]


def find(
    client: Client, spans: Collection[SpanId], response_ids: Collection[str], window_us: tuple[int, int] | None
) -> Found:
    """The rows of `spans` and `response_ids` that start within `window_us` (microseconds since 1970, inclusive)."""
    by_span: dict[SpanId, list[Booked]] = defaultdict(list)
    by_response: dict[str, list[Booked]] = defaultdict(list)
    wanted_spans, wanted_responses = set(spans), set(response_ids) - {""}
    seen: set[tuple[CallKey, int]] = set()
    for some_spans, some_responses in _chunks(sorted(wanted_spans), sorted(wanted_responses)):
        for booked in _find_some(client, some_spans, some_responses, window_us or _ALL_TIME_US):
            if (booked.key, booked.version) in seen:
                continue
            seen.add((booked.key, booked.version))
            for span in wanted_spans.intersection(spans_of(booked)):
                by_span[span].append(booked)
            if booked.row[_RESPONSE] in wanted_responses:
                by_response[booked.row[_RESPONSE]].append(booked)
    return Found(dict(by_span), dict(by_response))


def _chunks(spans: list[SpanId], responses: list[str]) -> Iterator[tuple[list[SpanId], list[str]]]:
    for start in range(0, max(len(spans), len(responses)), _IDS_AT_ONCE):
        end = start + _IDS_AT_ONCE
        yield spans[start:end], responses[start:end]


def _find_some(
    client: Client, spans: Sequence[SpanId], responses: Sequence[str], window_us: tuple[int, int]
) -> Iterator[Booked]:
    keys = _keys(client, spans, responses, window_us)
    for start in range(0, len(keys), _IDS_AT_ONCE):
        yield from _rows(client, keys[start : start + _IDS_AT_ONCE])


def _keys(
    client: Client, spans: Sequence[SpanId], responses: Sequence[str], window_us: tuple[int, int]
) -> list[tuple[Any, ...]]:
    """The keys (agent, tenant, start in microseconds, trace, span) that the ids lead to, each once, in order."""
    ways = ["keys_by_span", "keys_by_absorbed"] if spans else []
    if responses:
        ways.append("keys_by_response")
    if not ways:
        return []
    parameters = {
        "traces": sorted({trace.hex() for trace, _ in spans}),
        "spans": sorted({span.hex() for _, span in spans}),
        "absorbed": [f"{trace.hex()}:{span.hex()}" for trace, span in spans],
        "responses": list(responses),
        "first": window_us[0],
        "last": window_us[1],
    }
    sql = "\nUNION DISTINCT\n".join(map(query_text, ways))
    return sorted(map(tuple, client.query(sql, parameters, query_formats=_AS_INTEGERS).result_rows))


def _rows(client: Client, keys: Sequence[tuple[Any, ...]]) -> Iterator[Booked]:
    agents, _, starts, traces, spans = map(set, zip(*keys, strict=True))
    parameters = {
        "agents": sorted(agents),
        "starts": sorted(starts),
        "traces": sorted(traces),
        "spans": sorted(spans),
        "first": min(starts),
        "last": max(starts),
    }
    sql = render(query_text("rows_by_key"), {"columns": CALL_COLUMNS})
    for values in client.query(sql, parameters, query_formats=_AS_INTEGERS).result_rows:
        row = tuple(map(_ready, values))
        trace, span = bytes.fromhex(row[TRACE]), bytes.fromhex(row[SPAN])
        yield Booked(CallKey(trace, span, row[TIMESTAMP] * 1000, row[AGENT], row[TENANT]), row[VERSION], row)


def _ready(value: Any) -> Any:
    return int(value.scaleb(_PICODOLLARS)) if isinstance(value, Decimal) else value


def spans_of(booked: Booked) -> Iterator[SpanId]:
    """The span that a row is, then those it absorbed."""
    yield booked.key.trace_id, booked.key.span_id
    for absorbed in booked.row[_ABSORBED]:
        trace, _, span = absorbed.partition(":")
        yield bytes.fromhex(trace), bytes.fromhex(span)
