"""A realistic export request to measure with: model calls as the official conventions write them, and plumbing."""

from __future__ import annotations

import random
from typing import Any

from spanledger_core import otlp

NOW_NS = 1_790_000_000_000_000_000
_MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("openai", "o4-mini", "o4-mini-2025-04-16"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
    ("mistral_ai", "mistral-large-latest", "mistral-large-2411"),
    ("openai", "house-model-7", "house-model-7"),
)
"""Provider, requested and responding model; nobody has a price for the last."""
_HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gcp.gemini": "generativelanguage.googleapis.com",
    "mistral_ai": "api.mistral.ai",
}
_SPANS_PER_TRACE = 8
_PROCESSES = 4
"""Of the application: what a process sends has its resource and its names in common."""


def request(
    spans: int = 512,
    genai: float = 0.5,
    agents: int = 60,
    seed: int = 0,
    now_ns: int = NOW_NS,
    *,
    named_above: bool = False,
) -> bytes:
    """An encoded ExportTraceServiceRequest of `spans` spans, the share `genai` of them model calls of 22 attributes.

    The same arguments give the same spans. Spans end shortly before `now_ns`; eight share a trace, and a trace is
    one conversation of one user; the calls name their agent themselves, or if `named_above` only the agent's own span
    names it, see `agent_spans`.
    """
    chance = random.Random(seed)
    message = otlp.TracesRequest()
    group = message.resource_spans.add()
    _fill_resource(group.resource, seed)
    calls = round(spans * genai)
    clients, plumbing = group.scope_spans.add(), group.scope_spans.add()
    clients.scope.name, clients.scope.version = "opentelemetry.instrumentation.genai.openai", "1.3b0"
    plumbing.scope.name, plumbing.scope.version = "opentelemetry.instrumentation.httpx", "0.66b1"
    traces = _traces(chance, spans)
    for number in range(spans):
        trace = traces[number % len(traces)]
        span = _span(chance, trace, now_ns)
        if number < calls:
            _call(chance, span, trace, chance.randrange(agents))
            if named_above:
                del span.attributes["gen_ai.agent.name"]
                span.parent_span_id = _agent_span_id(trace)
            clients.spans.append(span.SerializeToString())
        else:
            _plumb(chance, span)
            plumbing.spans.append(span.SerializeToString())
    encoded: bytes = message.SerializeToString()
    return encoded


def agent_spans(spans: int = 512, agents: int = 60, seed: int = 0, now_ns: int = NOW_NS) -> bytes:
    """The request that follows `request(named_above=True)` of these arguments: the agents of its traces, by name."""
    chance = random.Random(seed)
    message = otlp.TracesRequest()
    group = message.resource_spans.add()
    _fill_resource(group.resource, seed)
    runs = group.scope_spans.add()
    runs.scope.name, runs.scope.version = "opentelemetry.instrumentation.genai.openai_agents", "1.3b0"
    for trace in _traces(chance, spans):
        span = _span(chance, trace, now_ns)
        span.span_id, span.parent_span_id = _agent_span_id(trace), b""
        name = f"agent-{chance.randrange(agents):02d}"
        span.name = f"invoke_agent {name}"
        _fill(span.attributes, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name})
        runs.spans.append(span.SerializeToString())
    encoded: bytes = message.SerializeToString()
    return encoded


def _traces(chance: random.Random, spans: int) -> list[bytes]:
    return [chance.randbytes(16) for _ in range(max(1, spans // _SPANS_PER_TRACE))]


def _agent_span_id(trace: bytes) -> bytes:
    return trace[8:]


def _fill_resource(resource: Any, seed: int) -> None:
    _fill(
        resource.attributes,
        {
            "service.name": "checkout-assistant",
            "service.version": "1.2.3",
            "service.instance.id": f"checkout-{seed % _PROCESSES}",
            "deployment.environment.name": "prod",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.1",
        },
    )


def _span(chance: random.Random, trace_id: bytes, now_ns: int) -> Any:
    start = now_ns - chance.randrange(1_000_000_000, 60_000_000_000)
    span = otlp.Span(trace_id=trace_id, span_id=chance.randbytes(8), parent_span_id=chance.randbytes(8), kind=3)
    span.start_time_unix_nano = start
    span.end_time_unix_nano = start + chance.randrange(1_000_000, 900_000_000)
    return span


def _call(chance: random.Random, span: Any, trace: bytes, agent: int) -> None:
    """An agent keeps to two models."""
    provider, asked, answered = _MODELS[(agent + chance.randrange(2)) % len(_MODELS)]
    span.name = f"chat {asked}"
    _fill(
        span.attributes,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": asked,
            "gen_ai.response.model": answered,
            "gen_ai.response.id": f"chatcmpl-{chance.getrandbits(96):024x}",
            "gen_ai.agent.name": f"agent-{agent:02d}",
            "gen_ai.conversation.id": f"conv-{trace[:6].hex()}",
            "gen_ai.usage.input_tokens": chance.randrange(300, 9000),
            "gen_ai.usage.output_tokens": chance.randrange(130, 2000),
            "gen_ai.usage.cache_read.input_tokens": chance.choice((0, 0, chance.randrange(1, 300))),
            "gen_ai.usage.reasoning.output_tokens": chance.choice((0, 0, chance.randrange(1, 120))),
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.request.temperature": 0.7,
            "gen_ai.request.top_p": 1.0,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.output.type": "text",
            "openai.response.service_tier": "default",
            "openai.api.type": "chat_completions",
            "server.address": _HOSTS[provider],
            "server.port": 443,
            "user.id": f"user-{trace[0] % 100:03d}",
            "customer.id": f"customer-{trace[1] % 40:02d}",
        },
    )


def _plumb(chance: random.Random, span: Any) -> None:
    if chance.random() < 0.5:
        span.name = "POST"
        attributes = {
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "url.full": f"https://api.openai.com/v1/chat/completions?{chance.getrandbits(32)}",
            "server.address": "api.openai.com",
            "server.port": 443,
            "network.protocol.version": "1.1",
            "user_agent.original": "python-httpx/0.28.1",
            "http.request.body.size": chance.randrange(200, 20000),
        }
    else:
        span.name = "SELECT orders"
        attributes = {
            "db.system.name": "postgresql",
            "db.namespace": "orders",
            "db.operation.name": "SELECT",
            "db.collection.name": "orders",
            "db.query.text": "SELECT * FROM orders WHERE id = $1",
            "server.address": "db.internal",
            "server.port": 5432,
            "db.response.returned_rows": chance.randrange(100),
        }
    _fill(span.attributes, attributes)


def _fill(target: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, str):
            target[key].string_value = value
        elif isinstance(value, int):
            target[key].int_value = value
        elif isinstance(value, float):
            target[key].double_value = value
        else:
            for element in value:
                target[key].array_value.values.add().string_value = element
