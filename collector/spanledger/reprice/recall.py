"""From a booked row back to the call that was priced, as far as pricing looks at it.

Everything that made a price stands in the row. Two things are told by `cost_status` (docs/reprice.md): that the
provider refused the call (`not_billed`, which nothing else is), and what the figures are worth: `suspect_usage` comes
from invented ones only, and `bad_usage` from absurd ones unless lines of a price stand beside it, which then were what
was absurd.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from spanledger_core.calls import Call, Priced
from spanledger_core.errors import SpanledgerError
from spanledger_core.facts import NOBODY, About, Details, Resource, SpanClass, Usage
from spanledger_core.rows import (
    AMOUNT_COLUMNS,
    CALL_COLUMNS,
    CallRow,
    booked_us_of,
    generation_of,
    price_context_of,
    row_version,
)

AT: Final = {name: place for place, name in enumerate(CALL_COLUMNS)}


def _picks(*names: str) -> Callable[[CallRow], tuple[Any, ...]]:
    return itemgetter(*(AT[name] for name in names))


_LOOKED_AT: Final = _picks(
    "timestamp", "duration_ns", "trace_id", "span_id", "agent_id", "agent_source", "provider", "request_model",
    "response_model", "service_tier", "is_streaming", "status", "cost_status", "reported_cost_usd", "attributes",
    "is_aggregate", "service_name", "environment",
)  # fmt: skip
_TOKENS: Final = _picks(
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
)  # fmt: skip
"""In the order of `Usage`."""
_DECIDED: Final = _picks(*(name for name in AMOUNT_COLUMNS if name.endswith("_usd")), "cost_status")
"""Where a difference makes a row worth writing again."""
_AMOUNTS: Final = tuple(map(AT.__getitem__, AMOUNT_COLUMNS))
MAX_GENERATION: Final = 4095
"""Twelve bits of the version."""


def recalled(row: CallRow) -> Call:
    """The call of a row, ready to be priced; what pricing does not look at is left empty."""
    (
        timestamp, duration_ns, trace_id, span_id, agent_id, agent_source, provider, request_model, response_model,
        service_tier, is_streaming, status, cost_status, reported, attributes, is_aggregate,
        service_name, environment,
    ) = _LOOKED_AT(row)  # fmt: skip
    start_ns = timestamp * 1000
    return Call(
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(span_id),
        parent_id=b"",
        start_ns=start_ns,
        end_ns=start_ns + duration_ns,
        about=_about(cost_status == "not_billed", status == "error", service_name, environment),
        who=NOBODY,
        agent_id=agent_id,
        agent_source=agent_source,
        provider=provider,
        request_model=request_model,
        response_model=response_model,
        service_tier=service_tier,
        price_context=tuple(sorted(price_context_of(attributes).items())) if attributes else (),
        is_streaming=is_streaming,
        finish_reason="",
        usage=_usage(row),
        response_id=None,
        details=None if reported is None else Details(reported_cost=reported),
        is_aggregate=is_aggregate,
        absorbed=(),
        needs_lookup=False,
    )


def _usage(row: CallRow) -> Usage | None:
    """None where the span carried none: only then no convention is named."""
    convention = row[AT["usage_convention"]]
    if not convention:
        return None
    status = row[AT["cost_status"]]
    is_bad = status == "bad_usage" and not row[AT["price_ids"]]
    quality = "bad" if is_bad else "suspect" if status == "suspect_usage" else "ok"
    units = row[AT["units"]]
    return Usage._make((*_TOKENS(row), tuple(units.items()) if units else (), convention, quality))


@lru_cache(maxsize=4096)
def _about(refused: bool, is_error: bool, service_name: str, environment: str) -> About:
    return About(
        span_class=SpanClass.LLM, resource=Resource("", service_name, environment, NOBODY), scope_name="",
        scope_version="", dialect="", reporter="", rank=1, level=0, helper=False, operation="", provider="",
        request_model="", response_model="", model_key="",
        agent_name=None, agent_placeholder=None, agent_path=None, agent_rule=False, is_error=is_error, error_type="",
        refused=refused, is_streaming=None, finish_reason="", service_tier="", price_context=(),
    )  # fmt: skip


def repriced(row: CallRow, priced: Priced) -> CallRow | None:
    """The row with other amounts, one generation on; None where they are the same.

    The time of booking stays in the version, so that the same row moved by the same book is the same version, whoever
    does it and however often it is tried.
    """
    decided = (
        priced.cost, priced.input_cost, priced.output_cost, priced.cache_read_cost, priced.cache_write_cost,
        priced.other_cost, priced.list_cost, priced.cache_savings, priced.estimated_cost, priced.cost_status,
    )  # fmt: skip
    if decided == _DECIDED(row):
        return None
    # in the order of AMOUNT_COLUMNS
    values = list(row)
    for place, amount in zip(_AMOUNTS, (priced.model, *decided, priced.price_ids, priced.price_book), strict=True):
        values[place] = amount
    values[AT["version"]] = next_version(row[AT["version"]])
    return tuple(values)


def next_version(version: int) -> int:
    """One generation on."""
    generation = generation_of(version) + 1
    if generation > MAX_GENERATION:
        raise SpanledgerError(
            f"the amounts of a row were moved {MAX_GENERATION} times, which is as often as they can be"
        )
    return row_version(booked_us_of(version), generation)
