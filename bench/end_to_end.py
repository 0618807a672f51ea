"""A whole collector in a process of its own, fed over a loopback socket: CPU per span, memory, acknowledge latency."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import grpc

from bench import payload

SPANS = 512
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TICKS = os.sysconf("SC_CLK_TCK")
SERVE = ("-m", "spanledger", "serve")
WITHOUT_ROLLUPS = (str(Path(__file__).with_name("without_rollups.py")),)
"""Arguments of Python that start a collector."""


class Run(NamedTuple):
    """What one load showed."""

    us_per_span: float
    spans_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    rss_mib: float
    idle_mib: float


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int | str) -> float:
    """Resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


class Collector:
    """`spanledger serve` at its defaults, but on free ports and in a folder of its own."""

    def __init__(self, folder: str, command: Sequence[str] = SERVE) -> None:
        self.grpc, self.http, self.sql, self.telemetry = (free_port() for _ in range(4))
        prefix = "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__"
        environment = os.environ | {
            f"{prefix}GRPC__ENDPOINT": f"127.0.0.1:{self.grpc}",
            f"{prefix}HTTP__ENDPOINT": f"127.0.0.1:{self.http}",
            "SPANLEDGER_SQL__ENDPOINT": f"127.0.0.1:{self.sql}",
            "SPANLEDGER_TELEMETRY__ENDPOINT": f"127.0.0.1:{self.telemetry}",
        }
        with Path(folder, "serve.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log
            )
        self.await_metric("spanledger_spool_facts", 0, 60)

    def metric(self, name: str) -> float:
        """The value of a metric without labels; -1 while the page cannot be read."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics", timeout=5) as reply:
                for line in reply.read().decode().splitlines():
                    if line.startswith(name + " "):
                        return float(line.rpartition(" ")[2])
        except OSError:
            return -1
        return -1

    def await_metric(self, name: str, value: float, timeout_s: float) -> None:
        """Until the metric has the value."""
        deadline = time.monotonic() + timeout_s
        while self.metric(name) != value:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{name} did not become {value}")
            time.sleep(1)  # to answer costs the collector as much as a hundred spans

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


def load(
    requests: int = 600, streams: int = 4, rate_spans_s: float | None = None, command: Sequence[str] = SERVE
) -> Run:
    """Send `requests` requests over `streams` channels, as fast as they are taken or at `rate_spans_s`."""
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        collector = Collector(folder, command)
        try:
            return _drive(collector, requests, streams, rate_spans_s)
        finally:
            collector.stop()


def _drive(collector: Collector, requests: int, streams: int, rate_spans_s: float | None) -> Run:
    pid = collector.process.pid
    idle = rss_mib(pid)
    bodies = [payload.request(SPANS, seed=seed, now_ns=time.time_ns()) for seed in range(requests)]
    latencies: list[float] = []
    started_at = time.monotonic()

    def send(stream: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{collector.grpc}", [("stream", stream)]) as channel:
            export = channel.unary_unary(METHOD)
            for number in range(stream, requests, streams):
                if rate_spans_s is not None:
                    due = started_at + number * SPANS / rate_spans_s
                    time.sleep(max(0.0, due - time.monotonic()))
                sent = time.monotonic()
                export(bodies[number], timeout=60)
                latencies.append(time.monotonic() - sent)

    before = cpu_s(pid)
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(send, range(streams)))
    seconds = time.monotonic() - started_at
    collector.await_metric("spanledger_spool_facts", 0, 120)
    time.sleep(4)  # the rollups that follow an insert are part of the price
    spent = cpu_s(pid) - before
    ordered = sorted(latencies)
    return Run(
        spent / (requests * SPANS) * 1e6,
        requests * SPANS / seconds,
        ordered[len(ordered) // 2] * 1000,
        ordered[int(len(ordered) * 0.99)] * 1000,
        rss_mib(pid),
        idle,
    )
