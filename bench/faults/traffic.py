"""Traffic that makes books hard to keep: agents named late, calls seen twice, and a sender that sends again.

Every trace is one run of an agent. Only the agent's own span names it, and that span leaves many requests after the
calls, so nearly every call is booked first under its service and corrected later. A third of the calls are reported a
second time by a framework around the client.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_MODELS: Final = (
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-haiku-4-5-20251001"),
    ("openai", "house-model-7"),
)
"""Nobody has a price for the last."""
_SERVICES: Final = ("checkout", "support", "research")
_AGENTS: Final = 40
_CLIENT: Final = "opentelemetry.instrumentation.openai_v2"
_FRAMEWORK: Final = "openinference.instrumentation.langchain"
_LATEST_ANCESTOR: Final = 25
"""Requests between a call and the span that names its agent, at most."""


def requests(seed: int, now_ns: Callable[[], int], agents: int = _AGENTS) -> Iterator[bytes]:
    """Encoded export requests without end; the same seed gives the same ids and tokens."""
    chance = random.Random(seed)
    late: list[tuple[int, str, Span]] = []
    number = 0
    while True:
        number += 1
        service = chance.choice(_SERVICES)
        message = ExportTraceServiceRequest()
        for _ in range(chance.randint(1, 3)):
            agent_span = _trace(chance, message, service, now_ns(), f"agent-{chance.randrange(agents)}")
            late.append((number + chance.randint(1, _LATEST_ANCESTOR), service, agent_span))
        due = [each for each in late if each[0] <= number]
        late = [each for each in late if each[0] > number]
        for _, of_service, span in due:
            _scope(message, of_service, _FRAMEWORK).spans.append(span)
        encoded: bytes = message.SerializeToString()
        yield encoded


def _trace(chance: random.Random, message: ExportTraceServiceRequest, service: str, now_ns: int, name: str) -> Span:
    """Calls and plumbing of one run into `message`; the agent's span is for later."""
    trace_id, started = chance.randbytes(16), now_ns - chance.randint(3_000, 5_000) * 10**6
    agent = Span(trace_id=trace_id, span_id=chance.randbytes(8), name="invoke_agent", kind=Span.SPAN_KIND_INTERNAL)
    agent.start_time_unix_nano, agent.end_time_unix_nano = started, started + 3 * 10**9
    set_attributes(agent, {"openinference.span.kind": "AGENT", "agent.name": name, "gen_ai.agent.name": name})
    for _ in range(chance.randint(1, 5)):
        _call(chance, message, service, agent)
    return agent


def _call(chance: random.Random, message: ExportTraceServiceRequest, service: str, agent: Span) -> None:
    provider, model = chance.choice(_MODELS)
    tokens = chance.randint(10, 9000), chance.randint(1, 3000)
    start = agent.start_time_unix_nano + chance.randint(1, 10**9)
    end = start + chance.randint(10**6, 2 * 10**9)
    parent = agent.span_id
    if chance.random() < 0.33:
        outer = _span(chance, agent.trace_id, parent, start - 1000, end + 1000)
        outer.name = "ChatOpenAI"
        set_attributes(
            outer,
            {
                "openinference.span.kind": "LLM",
                "llm.model_name": model,
                "llm.token_count.prompt": tokens[0],
                "llm.token_count.completion": tokens[1],
            },
        )
        _scope(message, service, _FRAMEWORK).spans.append(outer)
        parent = outer.span_id
    call = _span(chance, agent.trace_id, parent, start, end)
    call.name = f"chat {model}"
    values: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    if chance.random() < 0.7:
        values["gen_ai.response.id"] = f"chatcmpl-{chance.getrandbits(96):024x}"
    set_attributes(call, values)
    _scope(message, service, _CLIENT).spans.append(call)
    http = _span(chance, agent.trace_id, call.span_id, start, end)
    http.name = "POST"
    set_attributes(http, {"http.request.method": "POST", "http.response.status_code": 200})
    _scope(message, service, "opentelemetry.instrumentation.httpx").spans.append(http)


def _span(chance: random.Random, trace_id: bytes, parent: bytes, start_ns: int, end_ns: int) -> Span:
    span = Span(trace_id=trace_id, span_id=chance.randbytes(8), parent_span_id=parent, kind=Span.SPAN_KIND_CLIENT)
    span.start_time_unix_nano, span.end_time_unix_nano = start_ns, end_ns
    return span


def _scope(message: ExportTraceServiceRequest, service: str, scope: str) -> Any:
    """The group of spans of `service` and `scope`, made where it is not there yet."""
    for group in message.resource_spans:
        if group.resource.attributes[0].value.string_value == service:
            break
    else:
        group = message.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = service
    for part in group.scope_spans:
        if part.scope.name == scope:
            return part
    part = group.scope_spans.add()
    part.scope.name = scope
    return part


def set_attributes(span: Span, values: dict[str, str | int]) -> None:
    """Add attributes."""
    for key, value in values.items():
        attribute = span.attributes.add(key=key)
        if isinstance(value, str):
            attribute.value.string_value = value
        else:
            attribute.value.int_value = value


class Sender:
    """Sends over several channels until told to stop; what was not acknowledged is sent again until it is.

    As a real exporter: an answer is an acknowledgement, anything else is no answer at all.
    """

    def __init__(self, port: int, source: Iterator[bytes], streams: int = 4, pause_s: float = 0.05) -> None:
        self._port = port
        self._source = source
        self._pause_s = pause_s
        self._lock = Lock()
        self._stopping = Event()
        self._again: SimpleQueue[bytes] = SimpleQueue()
        self._threads = [Thread(target=self._run, args=(number,), daemon=True) for number in range(streams)]
        self.acknowledged: list[bytes] = []
        """Requests that were answered with OK, in the order of their answers."""
        self.failures: Counter[str] = Counter()
        """Other answers, by status code."""
        self.told_to_come_back = 0
        """Refusals for want of room that came with a retry delay."""
        self.refused_spans = 0
        self.seconds: list[float] = []
        """From sending to the acknowledgement, of every acknowledged request."""

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 120.0) -> None:
        """No more new requests; returns when everything is acknowledged."""
        self._stopping.set()
        self.drain(timeout_s)

    def drain(self, timeout_s: float = 120.0) -> None:
        """Returns when the source has ended and everything is acknowledged."""
        for thread in self._threads:
            thread.join(timeout_s)
            assert not thread.is_alive(), f"requests were not taken: {self.failures}"

    def _run(self, stream: int) -> None:
        options = [
            ("stream", stream),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 250),
        ]
        with grpc.insecure_channel(f"127.0.0.1:{self._port}", options) as channel:
            export = channel.unary_unary(METHOD)
            while (body := self._next()) is not None:
                if self._send(export, body):
                    sleep(self._pause_s)
                else:
                    self._again.put(body)
                    sleep(0.05)

    def _next(self) -> bytes | None:
        try:
            return self._again.get_nowait()
        except Empty:
            pass
        if self._stopping.is_set():
            return None
        with self._lock:
            return next(self._source, None)

    def _send(self, export: Any, body: bytes) -> bool:
        sent = monotonic()
        try:
            answer = ExportTraceServiceResponse.FromString(export(body, timeout=20))
        except grpc.RpcError as error:
            with self._lock:
                self.failures[error.code().name] += 1
                trailers = dict(error.trailing_metadata() or ())
                full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                self.told_to_come_back += full and b"RetryInfo" in trailers.get("grpc-status-details-bin", b"")
            return False
        with self._lock:
            self.acknowledged.append(body)
            self.refused_spans += answer.partial_success.rejected_spans
            self.seconds.append(monotonic() - sent)
        return True
