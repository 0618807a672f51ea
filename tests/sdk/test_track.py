"""`spanledger.track` and its span processor, with the real SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import spanledger


class Recorded:
    """Spans by name, once they ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(spanledger.SpanledgerSpanProcessor())
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def __getitem__(self, name: str) -> dict[str, object]:
        return next(dict(span.attributes or {}) for span in self.exporter.get_finished_spans() if span.name == name)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    spans = Recorded()
    yield spans
    spans.provider.shutdown()


def test_every_span_inside_carries_what_was_tracked(recorded: Recorded) -> None:
    with (
        spanledger.track(agent="planner", customer="acme", step="draft", session="s1", user="u1"),
        recorded.tracer.start_as_current_span("outer"),
        recorded.tracer.start_as_current_span("chat"),
    ):
        pass
    with recorded.tracer.start_as_current_span("after"):
        pass
    assert recorded["outer"] == recorded["chat"]
    assert recorded["chat"] == {
        "gen_ai.agent.name": "planner",
        "spanledger.customer_id": "acme",
        "spanledger.step": "draft",
        "session.id": "s1",
        "user.id": "u1",
    }
    assert recorded["after"] == {}


def test_an_inner_track_adds_and_overrides(recorded: Recorded) -> None:
    with spanledger.track(agent="planner", customer="acme"), recorded.tracer.start_as_current_span("run"):
        with spanledger.track(agent="writer"), recorded.tracer.start_as_current_span("chat"):
            pass
        with recorded.tracer.start_as_current_span("again"):
            pass
    assert recorded["chat"] == {"gen_ai.agent.name": "writer", "spanledger.customer_id": "acme"}
    assert recorded["again"]["gen_ai.agent.name"] == "planner"


def test_a_framework_that_names_its_sub_agent_keeps_the_name(recorded: Recorded) -> None:
    with (
        spanledger.track(agent="app"),
        recorded.tracer.start_as_current_span("run"),
        recorded.tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.agent.name": "researcher"}),
        recorded.tracer.start_as_current_span("chat"),
        spanledger.track(step="search"),
        recorded.tracer.start_as_current_span("chat again"),
    ):
        pass
    assert recorded["run"]["gen_ai.agent.name"] == "app"
    assert recorded["chat again"] == {"gen_ai.agent.name": "researcher", "spanledger.step": "search"}
    assert recorded["chat"]["gen_ai.agent.name"] == "researcher"


def test_baggage_of_a_remote_caller_is_read(recorded: Recorded) -> None:
    remote = TraceContextTextMapPropagator().extract({"traceparent": f"00-{1:032x}-{2:016x}-01"})
    remote = baggage.set_baggage("spanledger.customer", "acme", remote)
    remote = baggage.set_baggage("unrelated", "x", remote)
    with recorded.tracer.start_as_current_span("serve", context=remote):
        pass
    assert recorded["serve"] == {"spanledger.customer_id": "acme"}


@pytest.mark.parametrize("propagate", [False, True])
def test_values_travel_as_baggage_only_when_asked(propagate: bool) -> None:
    with spanledger.track(customer="acme", propagate=propagate):
        assert dict(baggage.get_all()) == ({"spanledger.customer": "acme"} if propagate else {})
    assert not baggage.get_all(context.get_current())
    assert trace.get_current_span() is trace.INVALID_SPAN
