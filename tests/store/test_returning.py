"""A call that comes again is found in the store, and only among what its own tenant sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger.reconcile import Memory, Reconciler
from spanledger_core.calls import Call, Change
from spanledger_core.facts import NOBODY, About, Resource, SpanClass, Usage, Who
from spanledger_exporter.store import Store

ABOUT = About(
    span_class=SpanClass.LLM,
    resource=Resource("process", "shop", "", NOBODY),
    scope_name="scope",
    scope_version="",
    dialect="semconv",
    reporter="scope",
    rank=1,
    level=0,
    helper=False,
    operation="chat",
    provider="openai",
    request_model="gpt-5",
    response_model="",
    model_key="gpt-5",
    agent_name="planner",
    agent_placeholder=None,
    agent_path=None,
    agent_rule=False,
    is_error=False,
    error_type="",
    refused=False,
    is_streaming=None,
    finish_reason="",
    service_tier="",
    price_context=(),
)


def call(start_us: int, tenant: str | None, span: int, response_id: str) -> Call:
    return Call(
        trace_id=(1).to_bytes(16, "big"),
        span_id=span.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=start_us * 1000,
        end_ns=start_us * 1000 + 10**9,
        about=ABOUT,
        who=Who(tenant_id=tenant),
        agent_id="planner",
        agent_source="span",
        provider="openai",
        request_model="gpt-5",
        response_model="",
        service_tier="",
        price_context=(),
        is_streaming=None,
        finish_reason="",
        usage=Usage(1000, 200),
        response_id=response_id,
        details=None,
        is_aggregate=False,
        absorbed=(),
        needs_lookup=True,
    )


@pytest.mark.parametrize(("span", "response_id"), [(1, ""), (2, "chatcmpl-of-acme")], ids=["by span", "by response"])
@pytest.mark.parametrize(("tenant", "is_known"), [("acme", True), (None, True), ("stranger", False)])
def test_what_another_tenant_has_booked_is_not_found(  # noqa: PLR0917
    store: Store, row: Callable[..., Any], span: int, response_id: str, tenant: str | None, is_known: bool
) -> None:
    booked = row(1, tenant_id="acme", response_id="chatcmpl-of-acme", service_name="shop")
    store.book([booked], [], "a token")
    again = call(booked[0], tenant, span, response_id)
    reconciler = Reconciler(store.find_booked, Memory(0, 2**50), lambda: 0)
    settled = reconciler.settle([Change("put", again.key, again)])
    assert bool(settled) is not is_known
