"""A book without operator files, and calls to price by it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from spanledger_core.calls import Call
from spanledger_core.facts import NOBODY, About, Details, Resource, SpanClass, Usage
from spanledger_processor.pricing import PriceBook, load_book

USAGE = Usage(input=1000, output=100)
MakeCall = Callable[..., Call]


@pytest.fixture(scope="session")
def book() -> PriceBook:
    return load_book()


@pytest.fixture(scope="session")
def make_call() -> MakeCall:
    def make(
        provider: str = "openai",
        model: str = "gpt-4o",
        usage: Usage | None = USAGE,
        *,
        at: str = "2026-11-01T12:00:00",
        request_model: str = "",
        service_tier: str = "",
        context: dict[str, str] | None = None,
        refused: bool = False,
        is_error: bool = False,
        reported: int | None = None,
        is_aggregate: bool = False,
    ) -> Call:
        end_ns = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 10**9
        price_context = tuple(sorted((context or {}).items()))
        about = About(
            span_class=SpanClass.LLM, resource=Resource("p", "s", "", NOBODY), scope_name="test", scope_version="1",
            dialect="test", reporter="test", rank=1, level=0, helper=False, operation="chat", provider=provider,
            request_model=request_model, response_model=model, model_key="", agent_name=None, agent_placeholder=None,
            agent_path=None, agent_rule=False, is_error=is_error, error_type="", refused=refused, is_streaming=None,
            finish_reason="", service_tier=service_tier, price_context=price_context,
        )  # fmt: skip
        return Call(
            trace_id=b"t" * 16, span_id=b"s" * 8, parent_id=b"", start_ns=end_ns - 10**9, end_ns=end_ns, about=about,
            who=NOBODY, agent_id="a", agent_source="none", provider=provider, request_model=request_model,
            response_model=model, service_tier=service_tier, price_context=price_context, is_streaming=None,
            finish_reason="", usage=usage, response_id=None,
            details=None if reported is None else Details(reported_cost=reported), is_aggregate=is_aggregate,
            absorbed=(), needs_lookup=False,
        )  # fmt: skip

    return make
