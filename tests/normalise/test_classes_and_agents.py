"""What a span is, and which agent it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spanledger_core.facts import NOBODY, SpanClass


@pytest.mark.parametrize(
    ("span_class", "scope", "name", "attributes"),
    [
        (SpanClass.AGENT, "x", "anything", {"gen_ai.operation.name": "invoke_agent", "openinference.span.kind": "LLM"}),
        (SpanClass.AGENT, "x", "anything", {"openinference.span.kind": "AGENT", "gen_ai.operation.name": "chat"}),
        (SpanClass.AGENT, "x", "a.agent", {"traceloop.span.kind": "agent"}),
        (SpanClass.AGENT, "ai", "ai.generateText", {"ai.operationId": "ai.generateText"}),
        (SpanClass.AGENT, "my_application", "haystack.agent.run", {}),
        (SpanClass.AGENT, "langfuse-sdk", "plan", {"langfuse.observation.type": "agent"}),
        (SpanClass.TOOL, "x", "execute_tool f", {"gen_ai.operation.name": "execute_tool"}),
        (SpanClass.TOOL, "x", "f", {"openinference.span.kind": "TOOL"}),
        (SpanClass.TOOL, "mcp", "tools/call f", {"mcp.method.name": "tools/call"}),
        (SpanClass.TOOL, "ai", "ai.toolCall", {"ai.operationId": "ai.toolCall"}),
        (SpanClass.CHAIN, "x", "workflow", {"gen_ai.operation.name": "invoke_workflow"}),
        (SpanClass.CHAIN, "x", "create", {"gen_ai.operation.name": "create_agent"}),
        (SpanClass.CHAIN, "x", "c", {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5}),
        (SpanClass.LLM, "x", "e", {"openinference.span.kind": "EMBEDDING"}),
        (SpanClass.LLM, "x", "anything", {"gen_ai.operation.name": "embeddings"}),
        (SpanClass.LLM, "x", "anything", {"llm.request.type": "chat"}),
        (SpanClass.LLM, "x", "anything", {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5}),
        (SpanClass.OTHER, "x", "anything", {"gen_ai.request.model": "m"}),
        (SpanClass.OTHER, "x", "record_usage", {"gen_ai.usage.input_tokens": 5}),
        (SpanClass.OTHER, "x", "GET /", {"http.request.method": "GET", "http.response.status_code": 200}),
    ],
)
def test_class(span_class: SpanClass, scope: str, name: str, attributes: dict[str, Any], reader: Any) -> None:
    fact = reader.fact(name, attributes, scope=scope)
    assert fact.about.span_class == span_class
    assert fact.usage is None or span_class in (SpanClass.LLM, SpanClass.AGENT)


@pytest.mark.parametrize(
    ("agent", "scope", "name", "attributes"),
    [
        ("boss", "x", "chat m", {"gen_ai.operation.name": "chat", "gen_ai.agent.name": "boss", "agent.name": "other"}),
        ("boss", "x", "model", {"openinference.span.kind": "LLM", "metadata": '{"lc_agent_name": "boss", "x": [1]}'}),
        ("boss", "x", "c", {"traceloop.association.properties.lc_agent_name": "boss", "llm.request.type": "chat"}),
        ("boss", "x", "boss.run", {"openinference.span.kind": "AGENT"}),
        ("boss", "x", "boss._execute_core", {"openinference.span.kind": "AGENT"}),
        ("boss.t1", "x", "boss.t1._execute_core", {"openinference.span.kind": "AGENT"}),
        ("boss", "x", "boss.t1._execute_core", {"openinference.span.kind": "AGENT", "graph.node.id": "boss"}),
        ("boss", "x", "agent_run [boss]", {"openinference.span.kind": "AGENT"}),
        ("boss-2", "@mastra/otel", "agent.boss-2", {"gen_ai.operation.name": "agent.run"}),
        (None, "x", "agent.run", {"openinference.span.kind": "AGENT"}),
        ("boss", "x", "invoke_agent boss", {"gen_ai.operation.name": "invoke_agent"}),
        (None, "x", "invoke_agent gpt-4o", {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"}),
        (None, "x", "haystack.agent.run", {}),
        ("boss", "x", "c", {"haystack.component.type": "Agent", "haystack.component.name": "boss"}),
        (None, "x", "c", {"haystack.component.type": "Retriever", "haystack.component.name": "boss"}),
        ("trip", "langfuse-sdk", "trip", {"langfuse.observation.type": "agent"}),
        ("boss", "logfire.openai_agents", "Agent run: {name!r}", {"name": "boss"}),
        ("boss", "x", "s", {"spanledger.agent": "boss", "gen_ai.agent.name": "other"}),
        ("boss", "x", "s", {"crewai.agent.role": "boss"}),
        (
            "researcher",
            "openinference.instrumentation.crewai",
            "Delegate work to coworker.run",
            {
                "openinference.span.kind": "TOOL",
                "tool.name": "Delegate work to coworker",
                "input.value": '{"task": "go", "context": "c", "coworker": "researcher"}',
            },
        ),
        (
            None,
            "openinference.instrumentation.crewai",
            "search.run",
            {"openinference.span.kind": "TOOL", "tool.name": "search", "input.value": '{"coworker": "researcher"}'},
        ),
        ("boss", "litellm", "litellm_request", {"metadata.requester_metadata": "{'agent': 'boss', 'tags': ['x']}"}),
    ],
)
def test_agent_name(agent: str | None, scope: str, name: str, attributes: dict[str, Any], reader: Any) -> None:
    assert reader.fact(name, attributes, scope=scope).about.agent_name == agent


@pytest.mark.parametrize("name", ["LangGraph", "OpenAI Agent", "Strands Agents", "ToolCallingAgent", "model"])
def test_a_librarys_default_name_is_only_a_placeholder(name: str, reader: Any) -> None:
    about = reader.fact("s", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}).about
    assert (about.agent_name, about.agent_placeholder) == (None, name)


@pytest.mark.parametrize(
    ("path", "workflow", "expected"),
    [("alice.agent.call_model", "swarm", "alice"), ("", "boss", "boss"), ("agent", "LangGraph", None)],
)
def test_old_instrumentations_hide_the_agent_in_a_path(
    path: str, workflow: str, expected: str | None, reader: Any
) -> None:
    attributes = {"llm.request.type": "chat", "traceloop.entity.path": path, "traceloop.workflow.name": workflow}
    fact = reader.fact("ChatOpenAI.chat", attributes, scope="opentelemetry.instrumentation.langchain")
    assert fact.about.agent_path == expected
    assert fact.who.workflow == workflow


@pytest.mark.parametrize("key", ["gen_ai.request.user", "user.id", "llm.user", "enduser.id"])
def test_a_user_field_can_name_the_agent(key: str, reader: Any) -> None:
    fact = reader.fact("chat", {"gen_ai.operation.name": "chat", key: "agent:planner"})
    assert (fact.about.agent_name, fact.about.agent_rule, fact.who.user_id) == ("planner", True, None)
    plain = reader.fact("GET /", {key: "agent:planner"})
    assert (plain.about.agent_name, plain.about.agent_rule) == ("planner", True)


def test_the_agents_id_is_its_name_only_by_configuration(reader: Any, reader_with: Callable[..., Any]) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.agent.name": "boss", "gen_ai.agent.id": "a-77"}
    fact = reader.fact("chat", attributes)
    assert fact.about.agent_name == "boss"
    assert fact.details is not None
    assert fact.details.attributes == (("gen_ai.agent.id", "a-77"),)
    assert reader_with(agent_id_is_key=True).fact("chat", attributes).about.agent_name == "a-77"


def test_an_operator_can_name_the_attribute_that_names_agents(reader_with: Callable[..., Any]) -> None:
    reader = reader_with(attributes={"agent": ("app.bot",)})
    fact = reader.fact("chat", {"gen_ai.operation.name": "chat", "app.bot": "mine", "gen_ai.agent.name": "theirs"})
    assert fact.about.agent_name == "mine"


def test_a_span_that_says_nothing_is_a_bare_place_with_one_shared_about(reader: Any, span: Callable[..., Any]) -> None:
    batch = reader.batch(
        span("GET /", {"http.request.method": "GET"}), span("SELECT", {"db.system": "x"}, span_id=b"12345678")
    )
    first, second = batch.facts
    assert first.is_bare
    assert first.about is second.about
    assert (first.start_ns, first.end_ns, first.who) == (0, 0, NOBODY)


def test_what_repeats_is_one_object(reader: Any, span: Callable[..., Any]) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "user.id": "u",
        "gen_ai.response.id": "x" * 9,
    }
    first, second = reader.batch(span("chat m", attributes), span("chat m", attributes, span_id=b"12345678")).facts
    assert first.about is second.about
    assert first.who is second.who
    other_order = reader.fact("chat m", dict(reversed(attributes.items())), scope="test")
    assert other_order.about == first.about


@pytest.mark.parametrize("kind", ["model_call", "subtask"])
def test_ag2_tells_a_call_twice_and_a_subtask_once_more(kind: str, reader: Any) -> None:
    usage = {"gen_ai.usage.input_tokens": 113, "gen_ai.usage.output_tokens": 27, "gen_ai.response.model": "gpt-4o"}
    attributes = {"ag2.usage.kind": kind, "gen_ai.provider.name": "openai", **usage}
    fact = reader.fact(f"record_usage {kind}", attributes, scope="opentelemetry.instrumentation.ag2")
    assert fact.about.helper


@pytest.mark.parametrize("made", ["a1b2c3d4e5f60710", "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_what_is_made_anew_for_every_run_names_nobody(made: str, reader: Any) -> None:
    scope, kind = "openinference.instrumentation.agno", {"openinference.span.kind": "AGENT"}
    assert reader.fact("Agent.run", {**kind, "graph.node.id": made}, scope=scope).about.agent_name is None
    named = reader.fact("Agent.run", {**kind, "graph.node.id": made, "graph.node.name": "planner"}, scope=scope)
    assert named.about.agent_name == "planner"
