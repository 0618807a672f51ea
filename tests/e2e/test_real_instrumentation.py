"""An unmodified application against a stand-in for the provider's API: what the provider billed is what is booked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType


def test_an_unmodified_application_gets_its_exact_cost_row(
    smoke: ModuleType, tmp_path: Path, provider_url: str
) -> None:
    with smoke.Collector(tmp_path, SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL="500ms") as collector:
        subprocess.run(
            [sys.executable, Path(__file__).with_name("application.py"), provider_url],
            env=collector.environment
            | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.grpc}",
                "OTEL_SERVICE_NAME": "day-planner",
            },
            check=True,
            capture_output=True,
            timeout=60,
        )
        collector.wait_for("SELECT count() FROM calls", 1)
        asked = collector.run("query", "SELECT * FROM calls", "--format", "JSONEachRow")
        assert asked.returncode == 0, asked.stderr
        row = json.loads(asked.stdout)
        assert row == collector.sql_json("SELECT * FROM calls")[0]
        # 476 uncached at 2.50, 1024 cached at 1.25, 90 out at 10.00 USD per million
        exact = collector.run("query", "SELECT toString(cost_usd) FROM calls", "--format", "TSV").stdout
        assert exact == "0.00337\n"
        wanted = {
            "agent_id": "planner",
            "agent_source": "ancestor",
            "service_name": "day-planner",
            "provider": "openai",
            "request_model": "gpt-4o",
            "response_model": "gpt-4o-2024-08-06",
            "response_id": "chatcmpl-standin0001",
            "user_id": "user-7",
            "cost_status": "priced",
            "status": "ok",
        }
        assert {name: row[name] for name in wanted} == wanted
        tokens = {name: int(row[f"{name}_tokens"]) for name in ("input", "output", "cache_read")}
        assert tokens == {"input": 1500, "output": 90, "cache_read": 1024}
        assert collector.stop() == 0
    # neither the store, nor the spool, nor the log holds what was said
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"SECRET-" not in path.read_bytes(), path
