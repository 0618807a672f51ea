"""`make demo`: a collector in a temporary directory, two days of a made-up fleet, and what the reports say about it.

The spans are made with the OpenTelemetry SDK and sent by its own gRPC exporter, with timestamps of the past, so that
hours and the change against the day before show something. One agent ran away some hours ago.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console

from spanledger_core.clock import Clock, SystemClock

_HOURS: Final = 48
_SECOND_NS: Final = 10**9
_HOUR_NS: Final = 3600 * _SECOND_NS
_BATCH: Final = 512
_RUNAWAY_HOURS_AGO: Final = range(5, 9)


@dataclass(frozen=True)
class Agent:
    """One member of the fleet: what it runs on and how much it does in an hour."""

    name: str
    service: str
    provider: str
    request_model: str
    response_model: str
    runs_per_hour: float
    input_tokens: int
    output_tokens: int
    cached_share: float = 0.0


FLEET: Final = (
    Agent("support-triage", "helpdesk", "openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 9, 1400, 120),
    Agent("support-writer", "helpdesk", "openai", "gpt-4o", "gpt-4o-2024-08-06", 5, 2600, 420, 0.4),
    Agent("researcher", "insights", "anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 3, 9000, 900, 0.7),
    Agent("invoice-reader", "back-office", "gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash", 12, 3200, 180),
    Agent("code-reviewer", "platform", "openai", "gpt-4.1", "gpt-4.1-2025-04-14", 2, 12000, 700, 0.5),
    Agent("night-summary", "back-office", "mistral_ai", "mistral-small-latest", "mistral-small-2506", 1, 6000, 300),
    Agent("lab-assistant", "research", "acme-labs", "acme-7b-preview", "acme-7b-preview", 1, 800, 200),
)
CUSTOMERS: Final = ("acme", "globex", "initech", "umbrella")


class Fleet:
    """Makes the spans of two days, hour by hour."""

    def __init__(self, now_ns: int, seed: int = 7) -> None:
        self._now_ns = now_ns
        self._random = random.Random(seed)  # noqa: S311 - made-up traffic, not a secret
        self._memory = InMemorySpanExporter()
        self._providers: dict[str, TracerProvider] = {}

    def hours(self) -> Iterator[Sequence[ReadableSpan]]:
        """The ended spans of each hour, oldest first."""
        for hours_ago in range(_HOURS, 0, -1):
            for agent in FLEET:
                for _ in range(self._runs(agent, hours_ago)):
                    self._run(agent, self._now_ns - hours_ago * _HOUR_NS)
            yield self._memory.get_finished_spans()
            self._memory.clear()

    def close(self) -> None:
        """Shut the tracer providers down."""
        for provider in self._providers.values():
            provider.shutdown()

    def _runs(self, agent: Agent, hours_ago: int) -> int:
        busy = 1.5 if 8 <= (24 - hours_ago) % 24 < 20 else 0.5
        runaway = 60 if agent.name == "researcher" and hours_ago in _RUNAWAY_HOURS_AGO else 0
        return int(self._random.uniform(0.5, 1.5) * agent.runs_per_hour * busy) + runaway

    def _tracer(self, service: str) -> trace.Tracer:
        provider = self._providers.get(service)
        if provider is None:
            resource = Resource.create({"service.name": service, "deployment.environment.name": "production"})
            provider = self._providers[service] = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(self._memory))
        return provider.get_tracer("spanledger.demo")

    def _run(self, agent: Agent, hour_ns: int) -> None:
        """One run: the agent span names agent and customer, the one or two calls beneath it know neither."""
        tracer = self._tracer(agent.service)
        start_ns = hour_ns + self._random.randrange(_HOUR_NS - 60 * _SECOND_NS)
        run = tracer.start_span(
            f"invoke_agent {agent.name}",
            start_time=start_ns,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent.name,
                "customer.id": self._random.choice(CUSTOMERS),
            },
        )
        context = trace.set_span_in_context(run)
        for _ in range(self._random.choice((1, 1, 2))):
            end_ns = start_ns + self._random.randrange(_SECOND_NS, 8 * _SECOND_NS)
            call = tracer.start_span(
                f"chat {agent.request_model}", context, start_time=start_ns, attributes=self._usage(agent)
            )
            if self._random.random() < 0.02:
                call.set_status(trace.StatusCode.ERROR)
                call.set_attribute("error.type", "429")
            call.end(end_ns)
            start_ns = end_ns
        run.end(start_ns)

    def _usage(self, agent: Agent) -> dict[str, str | int]:
        scale = self._random.uniform(0.6, 1.4)
        tokens = int(agent.input_tokens * scale)
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": agent.provider,
            "gen_ai.request.model": agent.request_model,
            "gen_ai.response.model": agent.response_model,
            "gen_ai.response.id": f"demo-{self._random.getrandbits(64):016x}",
            "gen_ai.usage.input_tokens": tokens,
            "gen_ai.usage.output_tokens": int(agent.output_tokens * scale),
            "gen_ai.usage.cache_read.input_tokens": int(tokens * agent.cached_share),
        }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


class Demo:
    """A collector of its own, traffic for it, and the questions."""

    def __init__(self, folder: Path, console: Console, clock: Clock) -> None:
        self._folder = folder
        self._console = console
        self._clock = clock
        self._grpc, http, self._sql, self._telemetry = (_free_port() for _ in range(4))
        self._environment = os.environ | {
            "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__GRPC__ENDPOINT": f"127.0.0.1:{self._grpc}",
            "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__HTTP__ENDPOINT": f"127.0.0.1:{http}",
            "SPANLEDGER_SQL__ENDPOINT": f"127.0.0.1:{self._sql}",
            "SPANLEDGER_TELEMETRY__ENDPOINT": f"127.0.0.1:{self._telemetry}",
            "SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL": "1s",
        }

    def run(self) -> int:
        """Everything; the exit status of the collector."""
        log = self._folder / "collector.log"
        with log.open("wb") as output:
            collector = subprocess.Popen(
                [sys.executable, "-m", "spanledger", "serve"],
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        try:
            self._await_ready(collector, log)
            spans = self._send()
            self._console.print(f"sent {spans} spans; waiting until they are booked ...")
            self._await_booked()
            self._show()
        finally:
            collector.terminate()
            status = collector.wait(30)
        return status

    def _await_ready(self, collector: subprocess.Popen[bytes], log: Path) -> None:
        self._console.print(f"starting a collector in {self._folder} ...")
        for _ in range(300):
            if collector.poll() is not None:
                raise SystemExit(f"the collector did not start:\n{log.read_text()}")
            try:
                if httpx.get(f"http://127.0.0.1:{self._telemetry}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                self._clock.sleep(0.1)
        raise SystemExit(f"the collector did not become ready:\n{log.read_text()}")

    def _send(self) -> int:
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{self._grpc}", insecure=True)
        fleet = Fleet(self._clock.now_ns())
        sent = 0
        for spans in fleet.hours():
            for start in range(0, len(spans), _BATCH):
                batch = spans[start : start + _BATCH]
                if exporter.export(batch) is not SpanExportResult.SUCCESS:
                    raise SystemExit("the collector refused spans; see its log")
                sent += len(batch)
        exporter.shutdown()
        fleet.close()
        return sent

    def _await_booked(self) -> None:
        """Until the rollups hold every call and nothing waits any more."""
        for _ in range(300):
            waiting = self._query(
                "SELECT (SELECT count() FROM calls) AS c, (SELECT sum(calls) FROM hourly) AS h FORMAT TSV"
            )
            calls, _, hourly = waiting.partition("\t")
            page = httpx.get(f"http://127.0.0.1:{self._telemetry}/metrics").text
            if calls == hourly and "\nspanledger_spool_facts 0.0\n" in page:
                return
            self._clock.sleep(0.1)
        raise SystemExit("the calls were not booked within 30 seconds")

    def _query(self, sql: str) -> str:
        return httpx.post(f"http://127.0.0.1:{self._sql}/", content=sql).text.strip()

    def _show(self) -> None:
        for by, last in (("agent", "1d"), ("model", "2d"), ("hour", "12h")):
            self._console.rule(f"spanledger report --by {by} --last {last}")
            sys.stdout.flush()
            subprocess.run(
                [sys.executable, "-m", "spanledger", "report", "--by", by, "--last", last],
                cwd=self._folder,
                env=self._environment,
                check=True,
            )
        self._console.rule("look further")
        self._console.print(
            "The researcher ran away some hours ago, and acme-7b-preview has no known price: its cost is NULL, not 0.\n"
            "Start your own with [bold]make run[/bold], export to it with\n"
            "  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317\n"
            "and ask with\n"
            '  spanledger query "SELECT agent_id, sum(cost_usd) FROM calls GROUP BY 1 ORDER BY 2 DESC"\n'
            "  curl 'http://127.0.0.1:8123/?query=SELECT+*+FROM+hourly+LIMIT+5'"
        )


def main() -> int:
    """Run the demo in a directory that disappears afterwards."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="spanledger-demo-") as folder:
        return Demo(Path(folder), console, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main())
