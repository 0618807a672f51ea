"""Call and price to row: the one place that knows the order of the columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanledger_core.calls import Call, Priced
from spanledger_core.facts import Details, Usage
from spanledger_core.rows import PRICE_CONTEXT, CallRow

_NO_DETAILS = Details()
_NO_USAGE = Usage(convention="")
_NOTHING: Final[Mapping[str, Any]] = {}
"""One for all rows: many wait for a flush, and what they share is not made, looked at and freed once for each."""
_NAMED_SOURCES = frozenset({"span", "ancestor", "twin", "rule"})


def call_row(call: Call, priced: Priced, booked_ms: int, settles_ms: int, version: int) -> CallRow:
    """One value per name in `CALL_COLUMNS`, in that order.

    `booked_ms` and `settles_ms` are milliseconds since 1970 UTC: when the row was made, and until when a later span
    may still correct it.
    """
    # Every call passes here. Taking whole tuples apart costs a fifth of asking for their fields one by one.
    (
        trace_id, span_id, parent_id, start_ns, end_ns, about, who, agent_id, agent_source, provider, request_model,
        response_model, service_tier, price_context, is_streaming, finish_reason, usage, response_id, details,
        is_aggregate, absorbed, _,
    ) = call  # fmt: skip
    (
        _, resource, scope_name, scope_version, dialect, _, _, _, _, operation, _, _, _, _, _, _, _, _, is_error,
        error_type, _, _, _, _, _, _,
    ) = about  # fmt: skip
    _, service_name, environment, _, _ = resource
    tenant_id, customer_id, team, user_id, session_id, run_id, workflow, step, feature, prompt_version = who
    (
        input_, output, cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output, units,
        convention, _,
    ) = usage or _NO_USAGE  # fmt: skip
    time_to_first_token_ns, reported_cost, sampling_probability, kept = details or _NO_DETAILS
    (
        cost_status, model, cost, input_cost, output_cost, read_cost, write_cost, other_cost, list_cost, savings,
        estimated_cost, price_ids, price_book, _,
    ) = priced  # fmt: skip
    # in the order of CALL_COLUMNS, a line for each of its groups or part of one
    return (
        start_ns // 1000, end_ns - start_ns if end_ns > start_ns else 0, time_to_first_token_ns,
        trace_id.hex(), span_id.hex(), parent_id.hex(), response_id or "",
        agent_id, agent_id if agent_source in _NAMED_SOURCES else "", agent_source, service_name, environment,
        tenant_id or "", customer_id or "", team or "", user_id or "", session_id or "", run_id or "",
        workflow or "", step or "", feature or "", prompt_version or "",
        provider, operation, request_model,
        # many instrumentations name one model only; a call that was answered was answered by that one
        response_model or ("" if is_error else request_model),
        model, service_tier, is_streaming,
        input_, output, cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output,
        dict(units) if units else _NOTHING, convention,
        cost, input_cost, output_cost, read_cost, write_cost, other_cost, list_cost, savings, estimated_cost,
        reported_cost, cost_status, price_ids, price_book,
        "error" if is_error else "ok", error_type, finish_reason,
        scope_name, scope_version, dialect,
        [f"{trace.hex()}:{span.hex()}" for trace, span in absorbed] if absorbed else (), is_aggregate,
        settles_ms, sampling_probability,
        _attributes(kept, price_context) if kept or price_context else _NOTHING,
        booked_ms, version,
    )  # fmt: skip


def _attributes(kept: tuple[tuple[str, str], ...], price_context: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """What the operator keeps, and what a later `reprice` must know beside the other columns."""
    attributes = dict(kept)
    for name, value in price_context:
        attributes[PRICE_CONTEXT + name] = value
    return attributes
