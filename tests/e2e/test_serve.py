"""`spanledger serve` with the defaults, used as a user would: real SDK exporters, the command line, curl's protocol."""

from __future__ import annotations

import gzip
import json
import subprocess
import urllib.error
import urllib.request
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SpanExporter

HOUR_NS = 3600 * 10**9


def post(port: int, body: bytes, content_type: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/traces", data=body, headers={"Content-Type": content_type, **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def json_span(collector: Any, number: int, agent: str, **changes: Any) -> dict[str, Any]:
    """A chat span as OTLP/JSON writes it; `changes` replace whole fields."""
    now = int(collector.sql_json("SELECT toUnixTimestamp64Nano(now64(9)) AS now")[0]["now"])
    values: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.agent.name": agent,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    } | changes.pop("attributes", {})
    encoded = [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
    ]
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(now - 10**9),
        "endTimeUnixNano": str(now),
        "attributes": encoded,
    } | changes


def json_request(*spans: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "by-hand"}}]},
                    "scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}],
                }
            ]
        }
    ).encode()


def send(collector: Any, *spans: dict[str, Any]) -> dict[str, Any]:
    status, body = post(collector.http, json_request(*spans), "application/json")
    assert status == 200, body
    return dict(json.loads(body))


@pytest.mark.parametrize("transport", ["grpc", "grpc gzip", "http", "http gzip"])
def test_the_sdk_exporters_get_one_priced_row_per_call(collector: Any, smoke: ModuleType, transport: str) -> None:
    from grpc import Compression as GrpcCompression
    from opentelemetry.exporter.otlp.proto.http import Compression

    exporter: SpanExporter
    if transport.startswith("grpc"):
        squeeze = GrpcCompression.Gzip if "gzip" in transport else GrpcCompression.NoCompression
        exporter = GrpcExporter(endpoint=f"http://127.0.0.1:{collector.grpc}", insecure=True, compression=squeeze)
    else:
        zipped = Compression.Gzip if "gzip" in transport else Compression.NoCompression
        exporter = HttpExporter(endpoint=f"http://127.0.0.1:{collector.http}/v1/traces", compression=zipped)
    provider = smoke.sdk(exporter)
    agent = f"agent over {transport}"
    with provider.get_tracer("app").start_as_current_span(
        "invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
    ):
        for _ in range(3):
            with provider.get_tracer("app").start_as_current_span("chat gpt-4o", attributes=smoke.call_attributes()):
                pass
    provider.shutdown()
    where = f"agent_id = '{agent}'"
    collector.wait_for(f"SELECT count() FROM calls WHERE {where}", 3)
    rows = collector.sql_json(f"SELECT * FROM calls WHERE {where}")
    assert {row["cost_status"] for row in rows} == {"priced"}
    assert {row["agent_source"] for row in rows} == {"ancestor"}
    assert {row["service_name"] for row in rows} == {"shop"}
    total = collector.sql_json(f"SELECT toString(sum(cost_usd)) AS usd FROM calls WHERE {where}")
    assert total == [{"usd": "0.0225"}]
    collector.wait_for(f"SELECT toString(sum(cost_usd)) FROM hourly WHERE {where}", "0.0225")


def test_query_report_and_curl_agree_while_the_collector_runs(collector: Any) -> None:
    send(collector, json_span(collector, 101, "agreed"))
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'agreed'", 1)
    statement = "SELECT agent_id, model, input_tokens, cost_usd FROM calls WHERE agent_id = 'agreed'"
    asked = collector.run("query", statement, "--format", "JSONEachRow")
    assert asked.returncode == 0, asked.stderr
    curled = subprocess.run(
        ["curl", "-sS", f"http://127.0.0.1:{collector.sql}/", "--data-binary", statement + " FORMAT JSONEachRow"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == curled.stdout
    assert json.loads(asked.stdout)["cost_usd"] in (0.0075, "0.0075")
    report = collector.run("report", "--by", "agent", "--last", "1d")
    assert report.returncode == 0, report.stderr
    assert "agreed" in report.stdout


def test_clickhouse_connect_reads_the_sql_port(collector: Any) -> None:
    import clickhouse_connect

    send(collector, json_span(collector, 102, "connected"))
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'connected'", 1)
    client = clickhouse_connect.get_client(host="127.0.0.1", port=collector.sql)
    try:
        rows = client.query(
            "SELECT agent_id, cost_usd FROM calls WHERE agent_id = {agent:String}", parameters={"agent": "connected"}
        ).result_rows
    finally:
        client.close()
    assert [(name, str(cost)) for name, cost in rows] == [("connected", "0.007500000000")]


def test_health_and_metrics_tell_what_happened(collector: Any) -> None:
    assert collector.get("/healthz")[0] == 200
    assert collector.get("/readyz")[0] == 200
    send(collector, json_span(collector, 103, "measured"))
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'measured'", 1)
    page = collector.get("/metrics")[1]
    for name in ("received_spans", "facts", "booked_calls", "rows_inserted", "spool_facts", "insert_seconds"):
        assert f"spanledger_{name}" in page


def test_metrics_and_logs_are_taken_so_that_sdks_stay_quiet(collector: Any) -> None:
    for signal in ("metrics", "logs"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{collector.http}/v1/{signal}",
            data=b"",
            headers={"Content-Type": "application/x-protobuf"},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"),
    [
        pytest.param(b"\x0a\xff\x01\x02", "application/x-protobuf", {}, 400, id="truncated protobuf"),
        pytest.param(b'{"resourceSpans": 7}', "application/json", {}, 400, id="JSON with wrong types"),
        pytest.param(b"not json", "application/json", {}, 400, id="no JSON at all"),
        pytest.param(b"", "text/plain", {}, 415, id="unknown content type"),
        pytest.param(b"not gzip", "application/x-protobuf", {"Content-Encoding": "gzip"}, 400, id="broken gzip"),
        pytest.param(
            gzip.compress(bytes(200 << 20), 9),
            "application/x-protobuf",
            {"Content-Encoding": "gzip"},
            413,
            id="gzip bomb",
        ),
        pytest.param(bytes(64 << 20), "application/x-protobuf", {}, 413, id="64 MiB body"),
    ],
)
def test_a_bad_request_is_refused_by_name_and_the_collector_goes_on(
    collector: Any, body: bytes, content_type: str, headers: dict[str, str], status: int
) -> None:
    try:
        assert post(collector.http, body, content_type, **headers)[0] == status
    except (BrokenPipeError, ConnectionResetError, urllib.error.URLError):
        assert status == 413  # refused while the body was still being sent
    assert collector.get("/readyz")[0] == 200


def test_an_empty_request_is_fine(collector: Any) -> None:
    assert post(collector.http, b"", "application/x-protobuf")[0] == 200
    assert post(collector.http, b"{}", "application/json")[0] == 200


def test_the_good_spans_of_a_mixed_request_are_kept_and_the_reply_names_the_rest(collector: Any) -> None:
    good = json_span(collector, 201, "mixed")
    now = int(good["endTimeUnixNano"])
    bad = [
        json_span(collector, 202, "mixed", traceId="abcd"),
        json_span(collector, 203, "mixed", spanId="12"),
        json_span(collector, 204, "mixed", parentSpanId="12"),
        json_span(collector, 205, "mixed", startTimeUnixNano="1000", endTimeUnixNano="2000"),
        json_span(
            collector, 206, "mixed", startTimeUnixNano=str(now + 2 * HOUR_NS), endTimeUnixNano=str(now + 3 * HOUR_NS)
        ),
    ]
    answer = send(collector, good, *bad)["partialSuccess"]
    assert int(answer["rejectedSpans"]) == 5
    for reason in ("bad_trace_id", "bad_span_id", "bad_parent_id", "too_old", "in_future"):
        assert reason in answer["errorMessage"]
        assert f'reason="{reason}"' in collector.get("/metrics")[1]
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'mixed'", 1)


@pytest.mark.parametrize(
    ("number", "attributes"),
    [
        (301, {"gen_ai.usage.input_tokens": -5}),
        (302, {"gen_ai.usage.input_tokens": 2**62}),
        (303, {"gen_ai.usage.output_tokens": -(2**60)}),
    ],
)
def test_absurd_usage_is_a_row_without_a_price(collector: Any, number: int, attributes: dict[str, int]) -> None:
    agent = f"absurd {number}"
    send(collector, json_span(collector, number, agent, attributes=attributes))
    collector.wait_for(f"SELECT count() FROM calls WHERE agent_id = '{agent}'", 1)
    row = collector.sql_json(f"SELECT cost_status, cost_usd FROM calls WHERE agent_id = '{agent}'")[0]
    assert row == {"cost_status": "bad_usage", "cost_usd": None}


def test_a_span_that_ends_before_it_starts_lasts_no_time(collector: Any) -> None:
    span = json_span(collector, 304, "backwards")
    span["endTimeUnixNano"] = str(int(span["startTimeUnixNano"]) - 10**9)
    send(collector, span)
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'backwards'", 1)
    assert int(collector.sql_json("SELECT duration_ns FROM calls WHERE agent_id = 'backwards'")[0]["duration_ns"]) == 0


@pytest.mark.parametrize(
    ("number", "name", "stored"),
    [
        (401, 'it\'s "quoted" \\ and `ticked`', 'it\'s "quoted" \\ and `ticked`'),
        (402, "new\nline\tand\0nul", "new\ufffdline\ufffdand\ufffdnul"),
        (403, "agent 🤖 ünïcode", "agent 🤖 ünïcode"),
        (404, "'); DROP TABLE llm_costs; --", "'); DROP TABLE llm_costs; --"),
        (405, "~3", "~3"),
    ],
)
def test_hostile_agent_names_stay_names(collector: Any, number: int, name: str, stored: str) -> None:
    send(collector, json_span(collector, number, name))
    where = f"span_id = '{number:016x}'"
    collector.wait_for(f"SELECT count() FROM calls WHERE {where}", 1)
    assert collector.sql_json(f"SELECT agent_id FROM calls WHERE {where}") == [{"agent_id": stored}]


def test_a_name_of_ten_kilobytes_is_cut_and_hashed(collector: Any) -> None:
    send(collector, json_span(collector, 406, "x" * 10_000), json_span(collector, 407, "x" * 10_001))
    collector.wait_for("SELECT count() FROM calls WHERE span_id IN ('0000000000000196', '0000000000000197')", 2)
    rows = collector.sql_json("SELECT DISTINCT agent_id FROM calls WHERE agent_id LIKE 'xxx%'")
    assert len(rows) == 2
    assert all(len(row["agent_id"]) <= 256 and row["agent_id"].startswith("x" * 240) for row in rows)


def test_an_attribute_of_the_wrong_type_does_not_lose_the_call(collector: Any) -> None:
    span = json_span(collector, 408, "typed")
    span["attributes"].append({"key": "gen_ai.response.model", "value": {"arrayValue": {"values": [{"intValue": 3}]}}})
    span["attributes"].append({"key": "gen_ai.usage.cache_read.input_tokens", "value": {"stringValue": "many"}})
    send(collector, span)
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'typed'", 1)


def test_ten_thousand_agents_in_one_request_do_not_break_the_store(collector: Any) -> None:
    template = json_span(collector, 1, "many 0")
    spans = []
    for number in range(10_000):
        attributes = [each for each in template["attributes"] if each["key"] != "gen_ai.agent.name"]
        attributes.append({"key": "gen_ai.agent.name", "value": {"stringValue": f"many {number}"}})
        spans.append(
            template
            | {"traceId": f"{50_000 + number:032x}", "spanId": f"{50_000 + number:016x}", "attributes": attributes}
        )
    send(collector, *spans)
    collector.wait_for("SELECT uniqExact(agent_id) FROM calls WHERE agent_id LIKE 'many %'", 10_000)


def test_the_same_request_twice_is_booked_once(collector: Any) -> None:
    request = json_span(collector, 501, "twice")
    send(collector, request)
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'twice'", 1)
    send(collector, request)
    send(collector, request, json_span(collector, 502, "twice"))
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'twice'", 2)
    collector.wait_for("SELECT sum(calls) FROM hourly WHERE agent_id = 'twice'", 2)
    assert collector.sql_json("SELECT toString(sum(cost_usd)) AS usd FROM hourly WHERE agent_id = 'twice'") == [
        {"usd": "0.015"}
    ]


def test_an_unknown_model_is_null_counted_and_logged_once(collector: Any) -> None:
    for number in (601, 602, 603):
        send(
            collector,
            json_span(collector, number, "unpriced", attributes={"gen_ai.request.model": "no-such-model-9000"}),
        )
    collector.wait_for("SELECT count() FROM calls WHERE agent_id = 'unpriced'", 3)
    rows = collector.sql_json("SELECT DISTINCT cost_status, cost_usd FROM calls WHERE agent_id = 'unpriced'")
    assert rows == [{"cost_status": "unpriced_model", "cost_usd": None}]
    collector.wait_for("SELECT sum(unpriced_calls) FROM hourly WHERE agent_id = 'unpriced'", 3)
    assert collector.log.read_text().count("no-such-model-9000") == 1
