"""Calls that may be booked already: ask the store before booking, and keep what history says.

Two occasions. A span comes again after its trace has left memory: it must not become a second row, nor a suppressed
outer span a first one. And a correction comes after the price book has changed: it may move the row to another agent,
but not its amounts (DESIGN.md 3, "History does not move by itself").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from spanledger_core.calls import Call, CallKey, Change
from spanledger_core.facts import Fact
from spanledger_core.rows import AMOUNT_COLUMNS, CALL_COLUMNS, CallRow, booked_us_of, price_context_of

_MAX_KNOWN: Final = 1_000_000
"""Traces older than the spool that are known all the same: none in live traffic, many in a backfill. More of them are
looked up, which costs time and decides the same."""
_AROUND_US: Final = 3600 * 1_000_000
"""A twin, or the gateway's report of a call, starts within an hour of it; a bound makes looking up cheap."""
_CLOCKS_APART_NS: Final = 60 * 10**9
"""How far a sender's clock may be ahead of ours."""
_SOURCE_RANK: Final = {"rule": 4, "span": 4, "twin": 3, "ancestor": 3, "resource": 1, "none": 0}
_AT: Final = {name: place for place, name in enumerate(CALL_COLUMNS)}
_SAME_USAGE: Final = tuple(
    _AT[name]
    for name in CALL_COLUMNS
    if name.endswith("_tokens") or name in ("units", "provider", "request_model", "response_model", "service_tier")
)
_AMOUNTS: Final = tuple(map(_AT.__getitem__, AMOUNT_COLUMNS))
_ATTRIBUTES: Final = _AT["attributes"]


class Booked(Protocol):
    """A row that stands in the store."""

    @property
    def key(self) -> CallKey:
        """What it is found by; `start_ns` in whole microseconds."""

    @property
    def version(self) -> int:
        """When it was booked (`spanledger_core.rows.row_version`)."""

    @property
    def row(self) -> CallRow:
        """All its columns."""


class Found(Protocol):
    """What a lookup found."""

    @property
    def by_span(self) -> Mapping[tuple[bytes, bytes], Sequence[Booked]]:
        """Rows that a span is, or that absorbed it."""

    @property
    def by_response(self) -> Mapping[str, Sequence[Booked]]:
        """Rows by response id."""


class Find(Protocol):
    """Looks calls up in the store."""

    def __call__(
        self,
        spans: Collection[tuple[bytes, bytes]],
        response_ids: Collection[str] = (),
        window_us: tuple[int, int] | None = None,
    ) -> Found:
        """The rows of these spans and response ids that start within `window_us`. Raises `StoreError`."""


class Settled(NamedTuple):
    """A change to make, and the row it follows: whose amounts a call keeps, which a withdrawal is of."""

    change: Change
    before: CallRow | None = None


def keep_amounts(row: CallRow, before: CallRow | None) -> CallRow:
    """`row` with the amounts of `before`, unless usage, model, tier or price context were corrected."""
    if before is None or any(row[place] != before[place] for place in _SAME_USAGE):
        return row
    if price_context_of(row[_ATTRIBUTES]) != price_context_of(before[_ATTRIBUTES]):
        return row
    values = list(row)
    for place in _AMOUNTS:
        values[place] = before[place]
    return tuple(values)


class Ask(Protocol):
    """Answers SQL."""

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""


def is_empty(store: Ask) -> bool:
    """True where no call was ever booked: nothing can come again."""
    return not store.query("SELECT 1 FROM calls LIMIT 1")


class Memory(NamedTuple):
    """What this process can know by itself."""

    since_ns: int
    """Calls that ended earlier may have been booked by an earlier process; 0 where the store was empty."""
    first_version: int
    """Rows booked before this (`booked_us_of` their version) were booked by an earlier process."""


class Reconciler:
    """Decides what a change still has to do, given what is booked."""

    def __init__(self, find: Find, memory: Memory, amounts_moved_ns: Callable[[], int]) -> None:
        """`amounts_moved_ns`: when prices or booked amounts last changed, nanoseconds since 1970; 0 if long ago."""
        self._find = find
        self._memory = memory
        self._amounts_moved_ns = amounts_moved_ns
        self._known: set[bytes] = set()

    def remember(self, facts: Iterable[Fact]) -> None:
        """Assembly has seen these facts again after a restart: it knows by itself what their traces became."""
        since_ns = self._memory.since_ns
        for fact in facts:
            if fact.end_ns < since_ns and not fact.is_bare and len(self._known) < _MAX_KNOWN:
                self._known.add(fact.trace_id)

    def settle(self, changes: Sequence[Change]) -> list[Settled]:
        """The changes to make. Raises `StoreError` if the store cannot be asked: nothing was decided then."""
        since_ns = self._memory.since_ns
        returning = [
            call
            for _, _, call in changes
            if call is not None and (call.needs_lookup or (call.end_ns < since_ns and call.trace_id not in self._known))
        ]
        asked, withdrawn = returning, list[CallKey]()
        if moved_ns := self._amounts_moved_ns():
            # what began after that was booked after it too, by what this process remembers
            until_ns = moved_ns + _CLOCKS_APART_NS
            older = [change for change in changes if change.key.start_ns <= until_ns]
            withdrawn = [change.key for change in older if change.call is None]
            asked = [change.call for change in older if change.call]
            asked += [call for call in returning if call.start_ns > until_ns]
        if not asked and not withdrawn:
            # nearly always; a named tuple's own constructor takes four times as long
            return [tuple.__new__(Settled, (change, None)) for change in changes]
        starts = [call.start_ns for call in asked] + [key.start_ns for key in withdrawn]
        ends = [call.end_ns for call in asked] + [key.start_ns for key in withdrawn]
        found = self._find(
            {span for call in asked for span in ((call.trace_id, call.span_id), *call.absorbed)}
            | {(key.trace_id, key.span_id) for key in withdrawn},
            {call.response_id for call in returning if call.response_id},
            (min(starts) // 1000 - _AROUND_US, max(ends) // 1000 + _AROUND_US),
        )
        return [settled for change in changes for settled in self._one(change, found)]

    def _may_return(self, call: Call) -> bool:
        return call.needs_lookup or (call.end_ns < self._memory.since_ns and call.trace_id not in self._known)

    def _one(self, change: Change, found: Found) -> Iterable[Settled]:
        call = change.call
        if call is None:
            standing = found.by_span.get((change.key.trace_id, change.key.span_id), ())
            yield Settled(change, next((each.row for each in standing if _same_key(each.key, change.key)), None))
            return
        booked = list(_booked(call, found))
        if not call.needs_lookup:
            # what this process booked itself, it corrects by what it remembers
            earlier = [each for each in booked if booked_us_of(each.version) < self._memory.first_version]
            if not earlier or not self._may_return(call):
                own = (each.row for each in booked if each.key.span_id == call.span_id)
                yield Settled(change, next(own, None))
                return
            booked = earlier
        yield from _returned(change, call, booked)


def _returned(change: Change, call: Call, booked: Sequence[Booked]) -> Iterable[Settled]:
    """A call that comes again: nothing, if it is booked as well or better; else it takes that row's place."""
    if not booked:
        yield Settled(change)
        return
    best = max(booked, key=lambda each: _informed_row(each.row))
    if _informed_row(best.row) >= _informed(call):
        return
    for each in booked:
        if not _same_key(each.key, call.key):
            yield Settled(Change("delete", each.key, None), each.row)
    yield Settled(change, best.row)


def _booked(call: Call, found: Found) -> Iterable[Booked]:
    """The rows that report the call, each once. What one tenant sends never touches what another has."""
    tenants = ("", call.who.tenant_id) if call.who.tenant_id else None
    of_spans = [
        booked for span in ((call.trace_id, call.span_id), *call.absorbed) for booked in found.by_span.get(span, ())
    ]
    of_response = [
        booked for booked in found.by_response.get(call.response_id or "", ()) if _may_be_one(call, booked.row)
    ]
    seen: set[CallKey] = set()
    for booked in of_spans + of_response:
        if booked.key not in seen and (tenants is None or booked.key.tenant_id in tenants):
            seen.add(booked.key)
            yield booked


def _may_be_one(call: Call, row: CallRow) -> bool:
    """An equal response id counts only if tokens do not contradict it."""
    if call.usage is None or row[_AT["input_tokens"]] is None:
        return True
    output, booked_output = call.usage.output or 0, row[_AT["output_tokens"]] or 0
    return call.usage.input == row[_AT["input_tokens"]] and abs(output - booked_output) <= 1


def _informed(call: Call) -> tuple[bool, int]:
    return call.usage is not None, _SOURCE_RANK[call.agent_source]


def _informed_row(row: CallRow) -> tuple[bool, int]:
    has_usage = row[_AT["input_tokens"]] is not None or row[_AT["output_tokens"]] is not None
    return has_usage, _SOURCE_RANK.get(row[_AT["agent_source"]], 0)


def _same_key(one: CallKey, other: CallKey) -> bool:
    """The store keeps microseconds."""
    return one._replace(start_ns=one.start_ns // 1000) == other._replace(start_ns=other.start_ns // 1000)
