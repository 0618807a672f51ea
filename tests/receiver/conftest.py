"""A real consumer that remembers, real servers on free ports, and requests as the SDK writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Barrier, Event, Lock
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import Span, count_spans
from spanledger_core.stages import Receipt
from spanledger_receiver.auth import Access
from spanledger_receiver.grpc_server import OtlpGrpcServer
from spanledger_receiver.http_server import OtlpHttpServer
from spanledger_receiver.settings import GrpcSettings, HttpSettings


class Sink:
    """Takes everything and remembers it; `fail_with`, `answer`, `hold` and `meet` change how it takes the next ones."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, str | None]] = []
        self.fail_with: list[Exception] = []
        self.answer: Receipt | None = None
        self.hold: Event | None = None
        self.meet: Barrier | None = None
        self.entered = Event()
        self._lock = Lock()

    def consume(self, request: Any, tenant: str | None = None) -> Receipt:
        self.entered.set()
        if self.meet is not None:
            self.meet.wait(timeout=60)
        if self.hold is not None:
            assert self.hold.wait(timeout=60)
        with self._lock:
            if self.fail_with:
                raise self.fail_with.pop(0)
            self.requests.append((request, tenant))
        return self.answer or Receipt(count_spans(request), 0, "")

    @property
    def spans(self) -> list[Any]:
        return [
            Span.FromString(span)
            for request, _ in self.requests
            for group in request.resource_spans
            for part in group.scope_spans
            for span in part.spans
        ]


@dataclass
class Receiver:
    """One running server and what is behind it."""

    server: Any
    sink: Sink
    metrics: Metrics
    scheme: str = "http"
    before: dict[Any, float] = field(default_factory=dict)
    """Metrics of a server that has served other tests."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def sample(self, name: str, **labels: str) -> float:
        """How much one metric has grown in this test."""
        series = f"spanledger_{name}", frozenset(labels.items())
        return _samples(self.metrics).get(series, 0.0) - self.before.get(series, 0.0)


def _samples(metrics: Metrics) -> dict[Any, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


Start = Callable[..., Receiver]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def start_grpc(sink: Sink) -> Iterator[Start]:
    """Starts OTLP/gRPC servers; keywords are settings."""
    yield from _starter(OtlpGrpcServer, GrpcSettings(endpoint="127.0.0.1:0"), sink)


@pytest.fixture
def start_http(sink: Sink) -> Iterator[Start]:
    """Starts OTLP/HTTP servers; keywords are settings."""
    yield from _starter(OtlpHttpServer, HttpSettings(endpoint="127.0.0.1:0"), sink)


def _starter(kind: Any, defaults: Any, sink: Sink) -> Iterator[Start]:
    started: list[Any] = []

    def start(access: Access | None = None, **settings: Any) -> Receiver:
        metrics = Metrics(CollectorRegistry())
        server = kind(replace(defaults, **settings), sink, metrics, SystemClock(), access)
        server.start()
        started.append(server)
        return Receiver(server, sink, metrics, "https" if settings.get("tls") else "http")

    yield start
    for server in started:
        server.stop(0.0)


@pytest.fixture
def grpc_receiver(start_grpc: Start) -> Receiver:
    return start_grpc()


class _Switch:
    """Hands on to the sink of the test that is running."""

    sink: Sink

    def consume(self, request: Any, tenant: str | None = None) -> Receipt:
        return self.sink.consume(request, tenant)


@pytest.fixture(scope="module")
def _one_http_server() -> Iterator[tuple[OtlpHttpServer, Metrics, _Switch]]:
    """Starting and stopping uvicorn takes a third of a second: too long for every test."""
    metrics, switch = Metrics(CollectorRegistry()), _Switch()
    server = OtlpHttpServer(HttpSettings(endpoint="127.0.0.1:0"), switch, metrics, SystemClock())
    server.start()
    yield server, metrics, switch
    server.stop(0.0)


@pytest.fixture
def http_receiver(_one_http_server: tuple[OtlpHttpServer, Metrics, _Switch], sink: Sink) -> Receiver:
    server, metrics, switch = _one_http_server
    switch.sink = sink
    return Receiver(server, sink, metrics, before=_samples(metrics))


@pytest.fixture
def make_request() -> Callable[..., ExportTraceServiceRequest]:
    """An export request of so many spans, with attributes of every type."""

    def make(spans: int = 1) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        attribute = group.resource.attributes.add(key="service.name")
        attribute.value.string_value = "shop"
        part = group.scope_spans.add()
        part.scope.name, part.scope.version = "tests", "1"
        for number in range(1, spans + 1):
            span = part.spans.add(name=f"span {number}", kind=3)
            span.trace_id = number.to_bytes(16, "big")
            span.span_id = number.to_bytes(8, "big")
            span.start_time_unix_nano = 1_790_000_000_000_000_000 + number
            span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
            span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = number
            span.attributes.add(key="gen_ai.request.model").value.string_value = "gpt-4o"
        return request

    return make
