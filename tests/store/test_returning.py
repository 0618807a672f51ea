"""A call that comes again is found in the store, and only among what its own tenant sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger.reconcile import Memory, Reconciler
from spanledger_core import otlp
from spanledger_core.calls import Change
from spanledger_core.clock import ManualClock
from spanledger_exporter.store import Store
from spanledger_processor.assembly.assembler import Assembler
from spanledger_processor.normalise.normaliser import Normaliser
from spanledger_processor.normalise.settings import NormaliserSettings


def sent_again(start_us: int, tenant: str | None, span_id: int, response_id: str) -> Change:
    """What a call becomes whose trace has left memory."""
    span = otlp.Span(trace_id=(1).to_bytes(16, "big"), span_id=span_id.to_bytes(8, "big"), name="chat gpt-5")
    span.start_time_unix_nano, span.end_time_unix_nano = start_us * 1000, start_us * 1000 + 10**9
    said = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}
    tokens = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200}
    for key, value in {**said, "gen_ai.agent.name": "planner", "gen_ai.response.id": response_id}.items():
        span.attributes[key].string_value = value
    for key, count in tokens.items():
        span.attributes[key].int_value = count
    request = otlp.TracesRequest()
    request.resource_spans.add().scope_spans.add().spans.append(span.SerializeToString())
    normaliser = Normaliser(NormaliserSettings(), ManualClock(start_us * 1000))
    batch = normaliser.batch(otlp.parse_traces(request.SerializeToString()), tenant)
    (change,) = Assembler().add(batch.facts, 0.0)
    assert change.call is not None
    return change._replace(call=change.call._replace(needs_lookup=True))


@pytest.mark.parametrize(("span", "response_id"), [(1, ""), (2, "chatcmpl-of-acme")], ids=["by span", "by response"])
@pytest.mark.parametrize(("tenant", "is_known"), [("acme", True), (None, True), ("stranger", False)])
def test_what_another_tenant_has_booked_is_not_found(  # noqa: PLR0917
    store: Store, row: Callable[..., Any], span: int, response_id: str, tenant: str | None, is_known: bool
) -> None:
    booked = row(1, tenant_id="acme", response_id="chatcmpl-of-acme")
    store.book([booked], [], "a token")
    reconciler = Reconciler(store.find_booked, Memory(0, 2**50), lambda: 0)
    settled = reconciler.settle([sent_again(booked[0], tenant, span, response_id)])
    assert bool(settled) is not is_known
