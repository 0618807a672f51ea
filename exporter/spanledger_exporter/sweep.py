"""Two bookings of one call: the better-informed row stays, the others are withdrawn.

The agent is part of a row's key, so collectors that know different things about a span book different rows, and what
crosses traces (a client and the gateway it calls) is known to be one call only by its response id. The rules here
decide from the rows alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from spanledger_core.rows import CALL_COLUMNS, GENERATION_SHIFT, CallRow, row_version
from spanledger_exporter.batches import Tombstone
from spanledger_exporter.hours import hours_of
from spanledger_exporter.lookup import Booked, Found, SpanId, spans_of

_INFORMED: Final = {"rule": 5, "span": 4, "ancestor": 3, "twin": 2, "resource": 1, "none": 0}
"""agent_source -> how much a row with it knows about its agent."""
_TRUSTED: Final = frozenset({"priced", "partial", "free", "reported", "unpriced_model"})
"""cost_status of rows whose token figures are believed."""
_COLUMN: Final = {name: place for place, name in enumerate(CALL_COLUMNS)}


class Swept(NamedTuple):
    """What a sweep decided."""

    losers: Sequence[Booked]
    """To be withdrawn."""
    conflicts: int
    """Pairs that carry one response id and cannot be one call: both stay."""

    @property
    def hours(self) -> set[int]:
        """The hours that the losers were in."""
        return hours_of([loser.row for loser in self.losers], [])

    def tombstones(self, now_us: int) -> list[Tombstone]:
        """What withdraws the losers: newer than they are, in their own reprice generation."""
        graves = []
        for loser in self.losers:
            version = row_version(now_us, loser.version >> GENERATION_SHIFT)
            graves.append((loser.key, max(version, loser.version + 1)))
        return graves


def decide(found: Found) -> Swept:
    """Which of the rows that a lookup of suspicious spans and response ids found are bookings too many."""
    losers: dict[tuple[Any, ...], Booked] = {}
    for span, rows in sorted(found.by_span.items()):
        for loser in _doubles_of_span(span, rows):
            losers[loser.key] = loser
    conflicts = 0
    for _, rows in sorted(found.by_response.items()):
        doubles, contradicting = _doubles_of_response([row for row in rows if row.key not in losers])
        conflicts += contradicting
        losers.update((loser.key, loser) for loser in doubles)
    return Swept(list(losers.values()), conflicts)


def _doubles_of_span(span: SpanId, rows: Sequence[Booked]) -> list[Booked]:
    """A span is a call of its own or was absorbed by one: a row that is the span loses to one that absorbed it."""
    own = [row for row in rows if _id_of(row) == span]
    return [row for row in own if any(_beats(other, row) for other in rows if other is not row)]


def _beats(other: Booked, row: Booked) -> bool:
    if not _may_share(other, row):
        return False
    absorbed = _id_of(other) != _id_of(row) and not _absorbs(row, other)
    if absorbed and other.key.tenant_id == row.key.tenant_id:
        return True
    return _informed(other) > _informed(row)


def _doubles_of_response(rows: Iterable[Booked]) -> tuple[list[Booked], int]:
    kept: list[Booked] = []
    doubles: list[Booked] = []
    conflicts = 0
    for row in sorted(rows, key=_informed, reverse=True):
        comparable = [other for other in kept if _may_share(other, row)]
        if any(may_be_one_call(row.row, other.row) for other in comparable):
            doubles.append(row)
            continue
        conflicts += bool(comparable)
        kept.append(row)
    return doubles, conflicts


def _may_share(a: Booked, b: Booked) -> bool:
    """What one tenant sends never touches what another has."""
    return a.key.tenant_id == b.key.tenant_id or "" in (a.key.tenant_id, b.key.tenant_id)


def may_be_one_call(a: CallRow, b: CallRow) -> bool:
    """May two rows with one response id report one call? Neither models nor trusted tokens may contradict.

    Output may differ by one: some reporters count a stream's first token twice.
    """
    if not any(_agree(a, b, name) for name in ("model", "response_model", "request_model")):
        return False
    if _value(a, "cost_status") not in _TRUSTED or _value(b, "cost_status") not in _TRUSTED:
        return True
    inputs = _value(a, "input_tokens"), _value(b, "input_tokens")
    outputs = _value(a, "output_tokens"), _value(b, "output_tokens")
    return (None in inputs or inputs[0] == inputs[1]) and (None in outputs or abs(outputs[0] - outputs[1]) <= 1)


def suspects(rows: Collection[tuple[str, str, str]]) -> tuple[list[SpanId], list[str]]:
    """The spans and response ids to look up, from `sweep.sql`'s rows (trace_id, span_id, response_id), hex ids."""
    spans = [(bytes.fromhex(trace), bytes.fromhex(span)) for trace, span, _ in rows if span]
    return spans, [response for _, _, response in rows if response]


def _informed(booked: Booked) -> tuple[Any, ...]:
    """Greater: the row to keep. No two rows are equal, so that every sweep decides alike."""
    row = booked.row
    return (
        booked.key.tenant_id != "",
        booked.version >> GENERATION_SHIFT,
        _INFORMED.get(_value(row, "agent_source"), 0),
        len(_value(row, "absorbed_spans")),
        _value(row, "cost_usd") is not None,
        booked.version,
        booked.key,
    )


def _absorbs(booked: Booked, other: Booked) -> bool:
    return _id_of(other) in set(spans_of(booked))


def _id_of(booked: Booked) -> SpanId:
    return booked.key.trace_id, booked.key.span_id


def _agree(a: CallRow, b: CallRow, name: str) -> bool:
    first, second = _value(a, name), _value(b, name)
    return not first or not second or first == second


def _value(row: CallRow, name: str) -> Any:
    return row[_COLUMN[name]]
