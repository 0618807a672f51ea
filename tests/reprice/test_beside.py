"""While a collector runs: it does the work, and what arrives meanwhile and afterwards moves no amounts."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
DEAR = "0.0175"
"""A chat of 1000 tokens in and 500 out under the dearer book; 0.0075 under the shipped one."""


class Recording(SpanExporter):
    """Sends spans and keeps them, to be sent again."""

    def __init__(self, endpoint: str) -> None:
        self.sent: list[ReadableSpan] = []
        self._inner = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")

    def export(self, spans: Any) -> SpanExportResult:
        self.sent += spans
        return self._inner.export(spans)

    def again(self) -> None:
        assert self._inner.export(self.sent) is SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._inner.shutdown()


@pytest.fixture
def collector(smoke: ModuleType, tmp_path: Path) -> Iterator[Any]:
    quick = {"SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL": "200ms"}
    with smoke.Collector(tmp_path, **quick) as running:
        yield running


def restart(collector: Any, how: signal.Signals = signal.SIGTERM) -> None:
    collector.stop(how)
    collector.start()


def one(collector: Any, sql: str) -> dict[str, Any]:
    (row,) = collector.sql_json(sql)
    return dict(row)


def test_a_late_agent_a_new_book_a_restart_and_a_second_copy_move_no_amounts(
    smoke: ModuleType, collector: Any, dearer: Path
) -> None:
    exporter = Recording(f"http://127.0.0.1:{collector.http}")
    provider = smoke.sdk(exporter)
    tracer = provider.get_tracer("reprice")
    with tracer.start_as_current_span("agent", attributes=AGENT):
        with tracer.start_as_current_span("chat gpt-4o", attributes=smoke.call_attributes()):
            pass
        provider.force_flush()
        collector.wait_for("SELECT agent_id FROM calls", "shop")
        done = collector.run("reprice", "--from", "2020-01-01", "--prices", str(dearer))
        assert done.returncode == 0, done.stderr
        assert "1 of 1 calls changed by the running collector" in done.stdout
        row = one(
            collector, "SELECT agent_id, toString(cost_usd) AS cost, bitShiftRight(version, 52) AS moved FROM calls"
        )
        assert (row["agent_id"], row["cost"], int(row["moved"])) == ("shop", DEAR, 1)
        wanted = "SELECT count(), any(agent_id), toString(sum(cost_usd)), any(price_book), any(version) FROM calls"
    provider.force_flush()
    collector.wait_for("SELECT agent_id FROM calls", "planner")
    moved = one(collector, wanted)
    assert (int(moved["count()"]), moved["any(agent_id)"], moved["toString(sum(cost_usd))"]) == (1, "planner", DEAR)

    config = collector.folder / "prices.csv"
    config.write_text("provider,model,bucket,unit_price\nopenai,gpt-4o*,input,99\n")
    collector.environment["SPANLEDGER_PRICES__FILES"] = f"[{config}]"
    for how in (signal.SIGTERM, signal.SIGKILL):
        restart(collector, how)
        exporter.again()
        time.sleep(1.0)
        assert one(collector, wanted) == moved
    with tracer.start_as_current_span("later", attributes=smoke.call_attributes()):
        pass
    provider.shutdown()
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'shop' AND input_cost_usd = 0.099", 1)
    collector.wait_for("SELECT sum(calls) FROM hourly", 2)
    collector.wait_for("SELECT (SELECT sum(cost_usd) FROM hourly) = (SELECT sum(cost_usd) FROM calls)", 1)


def test_explain_asks_the_collector(smoke: ModuleType, collector: Any) -> None:
    provider = smoke.sdk(Recording(f"http://127.0.0.1:{collector.http}"))
    with provider.get_tracer("proof").start_as_current_span("chat", attributes=smoke.call_attributes()) as span:
        ids = span.get_span_context()
    provider.shutdown()
    collector.wait_for("SELECT count() FROM calls", 1)
    done = collector.run("prices", "explain", f"{ids.trace_id:032x}", f"{ids.span_id:016x}", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cost_usd"] == "0.0075"


def holds(folder: Path, name: str) -> list[str]:
    """Files that hold a name, as it is."""
    while True:
        try:
            files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
            return [str(path) for path in files if name.encode() in path.read_bytes()]
        except FileNotFoundError:
            continue  # merges take files away under our eyes


def test_a_forgotten_person_does_not_come_back_from_spool_or_memory(smoke: ModuleType, collector: Any) -> None:
    """Nor with an ancestor that arrives later, a second copy, or a restart; what they do from now on is booked."""
    data_dir = collector.folder / "spanledger-data"
    alice, bob = f"alice-{os.urandom(9).hex()}", f"bob-{os.urandom(9).hex()}"
    exporter = Recording(f"http://127.0.0.1:{collector.http}")
    provider = smoke.sdk(exporter)
    tracer = provider.get_tracer("forget")

    def chat(user: str) -> None:
        attributes = smoke.call_attributes() | {"user.id": user, "customer.id": f"of-{user}"}
        with tracer.start_as_current_span("chat gpt-4o", attributes=attributes):
            pass

    with tracer.start_as_current_span("agent", attributes=AGENT):
        chat(alice)
        chat(bob)
        provider.force_flush()
        collector.wait_for("SELECT count() FROM calls", 2)
        assert holds(data_dir, alice)
        done = collector.run("forget", "--user", alice)
        assert done.returncode == 0, done.stdout + done.stderr
        found = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in done.stdout.splitlines()[3:-1]}
        assert found["llm_costs"] == ["1", "0"]
        assert found["spooled facts"] == ["1", "0"]
        customer = collector.run("forget", "--customer", f"of-{alice}")
        assert customer.returncode == 0, customer.stdout + customer.stderr
        assert holds(data_dir, alice) == []
    # the agent comes: the call of bob moves to it, that of alice is gone
    provider.force_flush()
    collector.wait_for("SELECT agent_id FROM calls", "planner")
    assert collector.sql_json("SELECT user_id FROM calls") == [{"user_id": bob}]
    restart(collector, signal.SIGKILL)
    assert collector.sql_json("SELECT user_id, agent_id FROM calls") == [{"user_id": bob, "agent_id": "planner"}]
    assert holds(data_dir, alice) == []
    chat(alice)
    provider.shutdown()
    collector.wait_for(f"SELECT count() FROM calls WHERE user_id = '{alice}'", 1)
    collector.wait_for("SELECT sum(calls) FROM hourly_customer", 2)
    collector.wait_for("SELECT toString(sum(cost_usd)) FROM hourly_customer", "0.015")
