"""What the real OpenTelemetry exporters see of both servers."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from grpc import Compression as GrpcCompression
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanledger_core.errors import Busy
from spanledger_core.stages import Receipt
from spanledger_receiver.auth import Access


def _finished_spans(count: int = 1) -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests")
    for number in range(count):
        with tracer.start_as_current_span("chat gpt-4o") as span:
            span.set_attribute("gen_ai.usage.input_tokens", number)
    provider.shutdown()
    return list(memory.get_finished_spans())


def _grpc(receiver: Any, **options: Any) -> GrpcSpanExporter:
    return GrpcSpanExporter(endpoint=receiver.address, insecure=True, **options)


def _http(receiver: Any, **options: Any) -> HttpSpanExporter:
    return HttpSpanExporter(endpoint=f"{receiver.url}/v1/traces", **options)


def _export(exporter: SpanExporter, spans: list[ReadableSpan]) -> SpanExportResult:
    try:
        return exporter.export(spans)
    finally:
        exporter.shutdown()


@pytest.mark.parametrize("compression", [GrpcCompression.NoCompression, GrpcCompression.Gzip, GrpcCompression.Deflate])
def test_grpc_exporter_delivers(grpc_receiver: Any, compression: GrpcCompression) -> None:
    assert _export(_grpc(grpc_receiver, compression=compression), _finished_spans(3)) is SpanExportResult.SUCCESS
    assert [span.name for span in grpc_receiver.sink.spans] == ["chat gpt-4o"] * 3
    assert grpc_receiver.sample("received_spans_total", transport="grpc") == 3
    assert grpc_receiver.sample("requests_total", transport="grpc", code="OK") == 1


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_http_exporter_delivers(http_receiver: Any, compression: Compression) -> None:
    assert _export(_http(http_receiver, compression=compression), _finished_spans(3)) is SpanExportResult.SUCCESS
    assert [span.name for span in http_receiver.sink.spans] == ["chat gpt-4o"] * 3
    assert http_receiver.sample("received_spans_total", transport="http") == 3
    assert http_receiver.sample("requests_total", transport="http", code="200") == 1


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_busy_makes_the_exporter_come_back(transport: str, request: pytest.FixtureRequest) -> None:
    """The exporter waits as long as it is told, not its own first back-off of a second."""
    receiver = request.getfixturevalue(f"{transport}_receiver")
    receiver.sink.fail_with = [Busy("the spool is full", 0.2)]
    exporter = (_grpc if transport == "grpc" else _http)(receiver)
    assert _export(exporter, _finished_spans()) is SpanExportResult.SUCCESS
    assert len(receiver.sink.spans) == 1
    assert receiver.sample("received_spans_total", transport=transport) == 2, "counted before any refusal"
    refused = {"grpc": "RESOURCE_EXHAUSTED", "http": "429"}[transport]
    assert receiver.sample("requests_total", transport=transport, code=refused) == 1


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_partial_success_is_success_for_the_exporter(transport: str, request: pytest.FixtureRequest) -> None:
    receiver = request.getfixturevalue(f"{transport}_receiver")
    receiver.sink.answer = Receipt(1, 2, "2 refused: too_old")
    exporter = (_grpc if transport == "grpc" else _http)(receiver)
    assert _export(exporter, _finished_spans(3)) is SpanExportResult.SUCCESS


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_tokens_decide_who_sends_and_for_which_tenant(transport: str, request: pytest.FixtureRequest) -> None:
    access = Access({"secret-a": "tenant-a", "secret-b": None})
    receiver = request.getfixturevalue(f"start_{transport}")(access=access)
    export = _grpc if transport == "grpc" else _http
    spans = _finished_spans()

    def send(token: str | None) -> SpanExportResult:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return _export(export(receiver, headers=headers), spans)

    assert send("secret-a") is SpanExportResult.SUCCESS
    assert send("secret-b") is SpanExportResult.SUCCESS
    assert [tenant for _, tenant in receiver.sink.requests] == ["tenant-a", None]
    assert send(None) is SpanExportResult.FAILURE
    assert send("wrong") is SpanExportResult.FAILURE
    access.replace({"secret-c": "tenant-c"})
    assert send("secret-a") is SpanExportResult.FAILURE
    assert send("secret-c") is SpanExportResult.SUCCESS
    assert [tenant for _, tenant in receiver.sink.requests] == ["tenant-a", None, "tenant-c"]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_metrics_and_logs_exporters_are_content(
    transport: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """An SDK set up for all signals fills no log with errors."""
    receiver = request.getfixturevalue(f"{transport}_receiver")
    if transport == "grpc":
        metric_exporter: Any = OTLPMetricExporter(endpoint=receiver.address, insecure=True)
        log_exporter: Any = OTLPLogExporter(endpoint=receiver.address, insecure=True)
    else:
        metric_exporter = HttpMetricExporter(endpoint=f"{receiver.url}/v1/metrics")
        log_exporter = HttpLogExporter(endpoint=f"{receiver.url}/v1/logs")
    with caplog.at_level(logging.WARNING, "opentelemetry"):
        meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter, export_interval_millis=60_000)])
        meters.get_meter("tests").create_counter("calls").add(1)
        assert meters.force_flush()
        meters.shutdown()
        log_exporter.export([])
        log_exporter.shutdown()
    assert not caplog.records
    assert receiver.sample("discarded_requests_total", signal="metrics") >= 1
    assert receiver.sample("discarded_requests_total", signal="logs") == 1
    assert receiver.sink.requests == []
