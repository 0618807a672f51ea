"""The columns of a booked call, declared once: the INSERT list, the row builder and the tests derive from this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

CALL_COLUMNS: Final = (
    # when
    "timestamp",
    "duration_ns",
    "time_to_first_token_ns",
    # ids
    "trace_id",
    "span_id",
    "parent_span_id",
    "response_id",
    # who
    "agent_id",
    "agent_name",
    "agent_source",
    "service_name",
    "environment",
    "tenant_id",
    "customer_id",
    "team",
    "user_id",
    "session_id",
    "run_id",
    "workflow",
    "step",
    "feature",
    "prompt_version",
    # what
    "provider",
    "operation",
    "request_model",
    "response_model",
    "model",
    "service_tier",
    "is_streaming",
    # how much
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "units",
    "usage_convention",
    # dollars
    "cost_usd",
    "input_cost_usd",
    "output_cost_usd",
    "cache_read_cost_usd",
    "cache_write_cost_usd",
    "other_cost_usd",
    "list_cost_usd",
    "cache_savings_usd",
    "estimated_cost_usd",
    "reported_cost_usd",
    "cost_status",
    "price_ids",
    "price_book",
    # outcome
    "status",
    "error_type",
    "finish_reason",
    # proof
    "scope_name",
    "scope_version",
    "dialect",
    "absorbed_spans",
    "is_aggregate",
    "settles_at",
    "sampling_probability",
    "attributes",
    "ingested_at",
    "version",
)
"""Columns of the view `calls`, in order."""

AMOUNT_COLUMNS: Final = tuple(
    name
    for name in CALL_COLUMNS
    if (name.endswith("_usd") and name != "reported_cost_usd")
    or name in ("model", "cost_status", "price_ids", "price_book")
)
"""What pricing decides: history keeps these whatever comes, and only `reprice` moves them."""

PRICE_CONTEXT: Final = "spanledger.price."
"""Keys of `attributes` that begin so hold what beside the model changed the price. The view `calls` hides them."""

PHYSICAL_COLUMNS: Final = (*CALL_COLUMNS, "agent_partition", "is_deleted")
"""Columns of the table `llm_costs`: the view hides the last two."""

CallRow: TypeAlias = tuple[Any, ...]
"""One value per name in `CALL_COLUMNS`.

`timestamp` is integer microseconds, `settles_at` and `ingested_at` integer milliseconds since 1970 UTC; every `*_usd`
is integer picodollars (1e-12 USD) or None; ids are lower-case hex strings; `units` and `attributes` are dicts,
which rows may share; `price_ids` and `absorbed_spans` are lists or tuples of strings. The store writes them without
arithmetic.
"""

GENERATION_SHIFT: Final = 52
"""`version` is `generation << 52 | microseconds of booking`: a reprice outranks every ordinary correction."""


_BOOKED_MASK: Final = (1 << GENERATION_SHIFT) - 1


def row_version(booked_us: int, generation: int = 0) -> int:
    """The version of a row booked at `booked_us` (microseconds since 1970) in reprice generation `generation`."""
    return generation << GENERATION_SHIFT | booked_us


def generation_of(version: int) -> int:
    """How often the amounts of a row with this version were moved by `reprice`."""
    return version >> GENERATION_SHIFT


def booked_us_of(version: int) -> int:
    """When a row with this version was booked, microseconds since 1970; `reprice` does not change it."""
    return version & _BOOKED_MASK


def price_context_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """What beside the model changed the price of a row with these physical `attributes`."""
    return {
        name.removeprefix(PRICE_CONTEXT): value for name, value in attributes.items() if name.startswith(PRICE_CONTEXT)
    }
