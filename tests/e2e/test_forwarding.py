"""Spans go on to another OTLP endpoint with what they cost; that endpoint's trouble never touches booking."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

SAID = {
    "spanledger.customer_id": "acme",
    "spanledger.step": "draft",
    "spanledger.team": "search",
    "spanledger.price.batch": "true",
}
"""Decides how the next collector books a call, and for how much: in a batch for half."""
FORGED: dict[str, str | float] = {"spanledger.cost_usd": 0.0, "spanledger.agent_id": "somebody"}


def send_one(smoke: ModuleType, port: int, **said: str | float) -> None:
    provider = smoke.sdk(OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True))
    tracer = provider.get_tracer("app")
    with (
        tracer.start_as_current_span("GET /", attributes={"http.request.method": "GET"}),
        tracer.start_as_current_span("chat gpt-4o", attributes=smoke.call_attributes() | said),
    ):
        pass
    provider.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_next_collector_books_the_same_from_enriched_spans(
    smoke: ModuleType, tmp_path: Path, protocol: str
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    fast = {"SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL": "300ms"}
    with smoke.Collector(tmp_path / "far", SPANLEDGER_KEEP_ATTRIBUTES="[spanledger.*]", **fast) as far:
        onward = {
            "SPANLEDGER_EXPORTERS__OTLP__ENDPOINT": f"http://127.0.0.1:{far.grpc if protocol == 'grpc' else far.http}",
            "SPANLEDGER_EXPORTERS__OTLP__PROTOCOL": protocol,
        }
        with smoke.Collector(tmp_path / "near", **onward, **fast) as near:
            send_one(smoke, near.grpc, **SAID, **FORGED)
            far.wait_for("SELECT count() FROM calls", 1)
            near.wait_for("SELECT count() FROM calls", 1)
            booked = (
                "SELECT trace_id, span_id, agent_id, customer_id, step, team, toString(cost_usd) AS cost, cost_status, "
                "price_ids FROM calls"
            )
            (found,) = far.sql_json(booked)
            assert [found] == near.sql_json(booked)
            assert {
                "customer_id": "acme",
                "step": "draft",
                "team": "search",
                "cost": "0.00375",
            }.items() <= found.items()
            attributes = far.sql_json("SELECT attributes FROM calls")[0]["attributes"]
            assert attributes == {
                **{key: value for key, value in SAID.items() if ".price." not in key},  # those are not kept as they are
                "spanledger.cost_usd": "0.00375",
                "spanledger.cost_status": "priced",
                "spanledger.agent_id": "shop",
            }


def test_booking_goes_on_while_the_next_endpoint_is_away(smoke: ModuleType, tmp_path: Path) -> None:
    (nowhere,) = smoke.free_ports(1)
    with smoke.Collector(
        tmp_path,
        SPANLEDGER_EXPORTERS__OTLP__ENDPOINT=f"http://127.0.0.1:{nowhere}",
        SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL="300ms",
    ) as collector:
        send_one(smoke, collector.grpc)
        collector.wait_for("SELECT count() FROM calls", 1)
        assert collector.stop() == 0
