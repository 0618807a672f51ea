"""A running collector, as a user starts it: shared by the end-to-end tests and by the check of the built wheel.

Run as a script it starts `spanledger serve` in the current folder, sends spans through the OpenTelemetry SDK and
reads the cost back through the command line and the SQL port.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

COMMAND = Path(sys.executable).with_name("spanledger")


def own_ports() -> Iterator[int]:
    """Below those that the system gives to outgoing connections; each worker of the tests has its own."""
    worker = int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"))
    first, many = 16_000 + worker % 4 * 4_000, 4_000
    start = secrets.randbelow(many)
    return (first + (start + number) % many for number in itertools.count())


CANDIDATES = own_ports()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on right now, nor will take while their collector is down."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(CANDIDATES)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


class Collector:
    """`spanledger serve` in `folder`, on free ports; stops with SIGTERM."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.grpc, self.http, self.sql, self.telemetry = free_ports(4)
        self.environment = {
            **os.environ,
            "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__GRPC__ENDPOINT": f"127.0.0.1:{self.grpc}",
            "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__HTTP__ENDPOINT": f"127.0.0.1:{self.http}",
            "SPANLEDGER_SQL__ENDPOINT": f"127.0.0.1:{self.sql}",
            "SPANLEDGER_TELEMETRY__ENDPOINT": f"127.0.0.1:{self.telemetry}",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "serve.log"

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *options: str, timeout_s: float = 120.0) -> None:
        """Start and wait until it takes spans."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "serve", *options], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with suppress(OSError):
                if self.get("/readyz")[0] == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"serve did not become ready: {self.log.read_text()[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        status = self.process.wait(90)
        self.process = None
        return status

    def get(self, path: str) -> tuple[int, str]:
        """A page of the telemetry endpoint."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}{path}", timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def sql_json(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query through the SQL port, as curl would ask."""
        url = f"http://127.0.0.1:{self.sql}/?" + urllib.parse.urlencode({"query": query + " FORMAT JSON"})
        with urllib.request.urlopen(url, timeout=60) as reply:
            return list(json.loads(reply.read())["data"])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command beside the running collector, in the same folder."""
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def wait_for(self, query: str, wanted: Any, timeout_s: float = 90.0) -> None:
        """Until the first value of `query` equals `wanted` as text."""
        deadline = time.monotonic() + timeout_s
        got: Any = None
        while time.monotonic() < deadline:
            with suppress(OSError):
                rows = self.sql_json(query)
                got = next(iter(rows[0].values())) if rows else None
            if str(got) == str(wanted):
                return
            time.sleep(0.1)
        raise AssertionError(f"{query}: wanted {wanted}, last saw {got}; log: {self.log.read_text()[-2000:]}")


def sdk(exporter: SpanExporter, service: str = "shop") -> TracerProvider:
    """A tracer provider as an application would set it up."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    return provider


def call_attributes(model: str = "gpt-4o-2024-08-06", tokens: tuple[int, int] = (1000, 500)) -> dict[str, Any]:
    """What the official conventions put on a chat span."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }


def main() -> None:
    """Start, send, read back, stop."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    with Collector(Path.cwd()) as collector:
        provider = sdk(OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector.grpc}", insecure=True))
        tracer = provider.get_tracer("smoke")
        with (
            tracer.start_as_current_span(
                "invoke_agent planner",
                attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
            ),
            tracer.start_as_current_span("chat gpt-4o", attributes=call_attributes()),
        ):
            pass
        provider.shutdown()
        collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'planner'", 1)
        asked = collector.run("query", "SELECT agent_id, cost_usd FROM calls", "--format", "TSV")
        assert asked.stdout == "planner\t0.0075\n", asked
        assert collector.run("report", "--by", "agent").returncode == 0
        assert "spanledger_rows_inserted_total" in collector.get("/metrics")[1]
        status = collector.stop()
        assert status == 0, status
    print("the installed collector received, priced and answered: planner 0.0075 USD")


if __name__ == "__main__":
    main()
