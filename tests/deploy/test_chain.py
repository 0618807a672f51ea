"""A real OpenTelemetry Collector, built with its own builder, in front of a running collector."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench import payload
from spanledger.config.tree import merged

BINARY = os.environ.get("SPANLEDGER_TEST_OTELCOL", "")
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS = 64
CALLS = SPANS // 2
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not BINARY, reason="no OpenTelemetry Collector: run `make chain` where Go is, or set SPANLEDGER_TEST_OTELCOL"
    ),
]


def _needs(name: str) -> None:
    """The exporter that balances needs modules that not every Go proxy has; `make chain` builds without it."""
    if name == "route-by-trace":
        known = subprocess.run([BINARY, "components"], capture_output=True, text=True, timeout=60, check=True).stdout
        if "loadbalancing" not in known:
            pytest.skip("this Collector has no loadbalancing exporter: give otelcol-contrib as SPANLEDGER_TEST_OTELCOL")


@pytest.fixture(scope="module")
def smoke(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("chain_smoke", root / "tests/e2e/smoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("names", [("chain",), ("chain", "strip-content"), ("route-by-trace",)], ids=" ".join)
def test_the_collector_itself_finds_nothing_wrong(deploy: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    options = []
    for name in names:
        _needs(name)
        text = (deploy / "opentelemetry-collector" / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text.replace("/var/lib/otelcol", str(tmp_path)))
        options += ["--config", str(tmp_path / f"{name}.yaml")]
    judged = subprocess.run([BINARY, "validate", *options], capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stderr


def _configuration(deploy: Path, folder: Path, name: str, port: int, behind: list[int]) -> Path:
    """A snippet as it stands, but for addresses and folders, and without the pipeline that is somebody else's."""
    found: dict[str, Any] = yaml.safe_load((deploy / "opentelemetry-collector" / f"{name}.yaml").read_text())
    found = merged(found, {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}}})
    del found["receivers"]["otlp"]["protocols"]["http"]
    found["extensions"]["file_storage/spanledger"]["directory"] = str(folder / "queue")
    found["service"]["pipelines"] = {"traces/spanledger": found["service"]["pipelines"]["traces/spanledger"]}
    found["service"]["telemetry"] = {"metrics": {"level": "none"}}
    found["processors"] = {"memory_limiter": found["processors"]["memory_limiter"]}
    addresses = [f"127.0.0.1:{each}" for each in behind]
    if name == "chain":
        found["exporters"] = {"otlp/spanledger": found["exporters"]["otlp/spanledger"] | {"endpoint": addresses[0]}}
    else:
        found["exporters"]["loadbalancing"]["resolver"]["static"]["hostnames"] = addresses
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(found))
    return file


class Chain:
    """The Collector, which can be killed and started again."""

    def __init__(self, file: Path, port: int) -> None:
        self.file = file
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.file.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen([BINARY, "--config", self.file], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(self.file.with_suffix(".log").read_text()[-3000:])

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


@pytest.fixture
def chain() -> Iterator[list[Chain]]:
    started: list[Chain] = []
    yield started
    for each in started:
        each.end(signal.SIGKILL)


def _send(port: int, seeds: range) -> list[int]:
    """The seeds of the requests that were acknowledged; like an exporter, each is tried again for a while."""
    acknowledged = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(EXPORT)
        for seed in seeds:
            body = payload.request(SPANS, seed=seed, now_ns=time.time_ns())
            export(body, timeout=20, wait_for_ready=True)
            acknowledged.append(seed)
    return acknowledged


CONTENT = {
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.tool_calls.0.arguments",
    "ai.prompt.messages",
    "ai.response.toolCalls",
    "llm.input_messages.0.message.contents.0.message_content.text",
    "mlflow.spanInputs",
}
FIGURES = {"gen_ai.usage.input_tokens", "gen_ai.request.model", "gen_ai.prompt", "gen_ai.completion"}


@pytest.fixture
def recorder(smoke: ModuleType) -> Iterator[tuple[int, Queue[bytes]]]:
    """The port of a backend that answers everything, and the requests it got."""
    (port,) = smoke.free_ports(1)
    taken: Queue[bytes] = Queue()

    def export(body: bytes, _: grpc.ServicerContext) -> bytes:
        taken.put(body)
        return b""

    service, method = EXPORT.strip("/").split("/")
    server = grpc.server(ThreadPoolExecutor(2))
    handlers = {method: grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield port, taken
    server.stop(None).wait()


def test_content_leaves_the_spans_and_nothing_else_does(
    deploy: Path, smoke: ModuleType, tmp_path: Path, chain: list[Chain], recorder: tuple[int, Queue[bytes]]
) -> None:
    behind, taken = recorder
    (port,) = smoke.free_ports(1)
    file = _configuration(deploy, tmp_path, "chain", port, [behind])
    strip = yaml.safe_load((deploy / "opentelemetry-collector/strip-content.yaml").read_text())
    file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), strip)))
    chain.append(Chain(file, port))
    chain[0].start()
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="chat", trace_id=b"t" * 16, span_id=b"s" * 8)
    event = span.events.add(name="exception")
    for target, names in ((span, CONTENT | FIGURES), (event, {"exception.message", "exception.type"})):
        for name in sorted(names):
            target.attributes.add(key=name).value.string_value = "7"
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        channel.unary_unary(EXPORT)(request.SerializeToString(), timeout=60, wait_for_ready=True)
    arrived = ExportTraceServiceRequest.FromString(taken.get(timeout=60)).resource_spans[0].scope_spans[0].spans[0]
    assert {attribute.key for attribute in arrived.attributes} == FIGURES
    assert [attribute.key for attribute in arrived.events[0].attributes] == ["exception.type"]


@pytest.mark.parametrize("name", ["chain", "route-by-trace"])
def test_nothing_is_lost_when_both_are_restarted_in_the_middle(
    deploy: Path, smoke: ModuleType, tmp_path: Path, chain: list[Chain], name: str
) -> None:
    """The Collector is killed and started again, then what stands behind it: every call acknowledged is booked once."""
    _needs(name)
    folders = [tmp_path / each for each in (("a",) if name == "chain" else ("a", "b"))]
    for folder in folders:
        folder.mkdir()
    ledgers = [smoke.Collector(folder) for folder in folders]
    (port,) = smoke.free_ports(1)
    front = Chain(_configuration(deploy, tmp_path, name, port, [each.grpc for each in ledgers]), port)
    chain.append(front)
    try:
        for ledger in ledgers:
            ledger.start()
        front.start()
        sent = _send(port, range(30))
        front.end(signal.SIGKILL)
        front.start()
        sent += _send(port, range(30, 60))
        for ledger in ledgers:
            ledger.stop()
        sent += _send(port, range(60, 90))
        for ledger in ledgers:
            ledger.start()
        sent += _send(port, range(90, 100))
        deadline = time.monotonic() + 90
        booked = [0]
        while sum(booked) < len(sent) * CALLS and time.monotonic() < deadline:
            time.sleep(0.5)
            booked = [int(each.sql_json("SELECT count() AS calls FROM calls")[0]["calls"]) for each in ledgers]
        time.sleep(4)
        booked = [int(each.sql_json("SELECT count() AS calls FROM calls")[0]["calls"]) for each in ledgers]
        assert sum(booked) == len(sent) * CALLS == 100 * CALLS
        assert all(booked), "every backend has its share"
    finally:
        for ledger in ledgers:
            ledger.stop()
