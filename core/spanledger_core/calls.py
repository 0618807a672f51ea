"""Calls: what assembly makes of facts, one per request that a provider bills."""

from __future__ import annotations

from typing import Literal, NamedTuple

from spanledger_core.facts import About, Details, Usage, Who

AgentSource = Literal["span", "ancestor", "twin", "resource", "rule", "none"]
CostStatus = Literal[
    "priced",
    "partial",
    "free",
    "reported",
    "unpriced_model",
    "no_usage",
    "not_billed",
    "suspect_usage",
    "bad_usage",
]


class CallKey(NamedTuple):
    """What a booked row is found by, beside its agent and tenant: the canonical span and its start."""

    trace_id: bytes
    span_id: bytes
    start_ns: int
    agent_id: str
    tenant_id: str


class Call(NamedTuple):
    """One real model call, merged from all its reports, before pricing."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    about: About
    """Of the canonical span: scope, dialect, operation, outcome, service."""
    who: Who
    """Merged over the reports and their ancestors, then the resource."""
    agent_id: str
    """Never empty: the name, else the service, else `unattributed`."""
    agent_source: AgentSource
    provider: str
    request_model: str
    response_model: str
    service_tier: str
    price_context: tuple[tuple[str, str], ...]
    is_streaming: bool | None
    finish_reason: str
    usage: Usage | None
    response_id: str | None
    details: Details | None
    is_aggregate: bool
    """The row stands for several calls: an agent's own sum where no model call was seen beneath it."""
    absorbed: tuple[tuple[bytes, bytes], ...]
    """(trace_id, span_id) of twins and suppressed outer spans, sorted: none of them may become a row later."""
    needs_lookup: bool
    """Part of its trace has left memory: ask the store before booking."""

    @property
    def key(self) -> CallKey:
        """What the row is found by."""
        return CallKey(self.trace_id, self.span_id, self.start_ns, self.agent_id, self.who.tenant_id or "")


class Change(NamedTuple):
    """One step that takes the store from what it holds to what is now known.

    `put`: book `call` (a new row, or a newer version of it). `delete`: the row under `key` is no more.
    """

    op: Literal["put", "delete"]
    key: CallKey
    call: Call | None


class Priced(NamedTuple):
    """What a call costs, with proof. Amounts are integer picodollars (1e-12 USD, the scale of Decimal(18,12)).

    None means unknown, never free. `cost` is the sum of its five parts to the last digit.
    """

    cost_status: CostStatus
    model: str
    """The model the price was found for; empty if none."""
    cost: int | None = None
    input_cost: int | None = None
    output_cost: int | None = None
    cache_read_cost: int | None = None
    cache_write_cost: int | None = None
    other_cost: int | None = None
    list_cost: int | None = None
    """At list prices, before a contract's."""
    cache_savings: int | None = None
    """What the cached tokens would have cost as input, minus what they did cost and what writing them cost extra."""
    estimated_cost: int | None = None
    """A figure for calls whose cost is NULL but can be bounded (a broken stream's known input)."""
    price_ids: tuple[str, ...] = ()
    price_book: str = ""
    missing: tuple[str, ...] = ()
    """Buckets without a price where the status is `partial`."""
