"""Real OTLP receivers as the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Lock
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from spanledger_core.clock import SystemClock
from spanledger_core.metrics import Metrics
from spanledger_core.otlp import count_spans, parse_traces
from spanledger_core.stages import Receipt
from spanledger_exporter.forward import OtlpForwarder
from spanledger_exporter.forward_settings import ForwardSettings
from spanledger_receiver.auth import Access
from spanledger_receiver.grpc_server import OtlpGrpcServer
from spanledger_receiver.http_server import OtlpHttpServer
from spanledger_receiver.settings import GrpcSettings, HttpSettings


class OtherSide:
    """An OTLP endpoint that remembers what it was sent."""

    def __init__(self, protocol: str, access: Access | None, port: int) -> None:
        self.requests: list[Any] = []
        self.fail_with: list[Exception] = []
        self.answer: Receipt | None = None
        self.hold: Event | None = None
        self.entered = Event()
        self._lock = Lock()
        metrics = Metrics(CollectorRegistry())
        if protocol == "grpc":
            settings: Any = GrpcSettings(endpoint=f"127.0.0.1:{port}")
            self.server: Any = OtlpGrpcServer(settings, self, metrics, SystemClock(), access)
        else:
            settings = HttpSettings(endpoint=f"127.0.0.1:{port}")
            self.server = OtlpHttpServer(settings, self, metrics, SystemClock(), access)
        self.server.start()

    def consume(self, request: Any, tenant: str | None = None) -> Receipt:
        self.entered.set()
        if self.hold is not None:
            assert self.hold.wait(10)
        with self._lock:
            if self.fail_with:
                raise self.fail_with.pop(0)
            self.requests.append(request)
        return self.answer or Receipt(count_spans(request), 0, "")

    @property
    def official(self) -> list[ExportTraceServiceRequest]:
        """What arrived, as everybody else reads it."""
        return [ExportTraceServiceRequest.FromString(request.SerializeToString()) for request in self.requests]

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.official
            for group in request.resource_spans
            for part in group.scope_spans
            for span in part.spans
        ]


class Forwarding(NamedTuple):
    forwarder: OtlpForwarder
    metrics: Metrics

    def forwarded(self) -> float:
        return self.metrics.registry.get_sample_value("spanledger_forwarded_spans_total") or 0.0

    def dropped(self, reason: str) -> float:
        labels = {"reason": reason}
        return self.metrics.registry.get_sample_value("spanledger_forward_dropped_spans_total", labels) or 0.0


@pytest.fixture
def other_side() -> Iterator[Callable[..., OtherSide]]:
    started: list[OtherSide] = []

    def start(protocol: str = "grpc", access: Access | None = None, port: int = 0) -> OtherSide:
        started.append(OtherSide(protocol, access, port))
        return started[-1]

    yield start
    for one in started:
        one.server.stop(0.0)


@pytest.fixture
def forward() -> Iterator[Callable[..., Forwarding]]:
    """Starts forwarders; keywords are settings."""
    started: list[OtlpForwarder] = []

    def start(port: int, **changes: Any) -> Forwarding:
        defaults = ForwardSettings(f"http://127.0.0.1:{port}", first_retry_s=0.05, senders=1)
        metrics = Metrics(CollectorRegistry())
        started.append(OtlpForwarder(replace(defaults, **changes), metrics, SystemClock()))
        return Forwarding(started[-1], metrics)

    yield start
    for one in started:
        one.close(0.0)


@pytest.fixture
def make_request() -> Callable[..., Any]:
    """A TracesRequest of so many spans, with what instrumentation sends beside attributes."""

    def make(spans: int = 1, padding: int = 0) -> Any:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add(schema_url="resource-schema")
        group.resource.attributes.add(key="service.name").value.string_value = "shop"
        group.resource.dropped_attributes_count = 3
        part = group.scope_spans.add(schema_url="scope-schema")
        part.scope.name, part.scope.version = "tests", "1"
        for number in range(1, spans + 1):
            span = part.spans.add(name=f"span {number}", kind=3, flags=257, trace_state="ot=th:8")
            span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
            span.attributes.add(key="gen_ai.prompt").value.string_value = "p" * padding
            span.events.add(name="e", time_unix_nano=5)
            span.links.add(trace_id=b"t" * 16, span_id=b"s" * 8)
            span.status.code = 2
        return parse_traces(request.SerializeToString())

    return make
