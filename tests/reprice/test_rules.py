"""The operator's price rules, from the configuration through replay to history."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spanledger.cli.app import app

RULES = """\
prices:
  rules:
    - {service_name: "batch-*", set: {batch: true}}
    - {provider: azure.ai.openai, model: prod-4o, as: gpt-4o-2024-08-06}
"""
INPUT, OUTPUT = Decimal("2.5") / 1000, Decimal("10") / 1000
Run = Callable[..., Result]


def otlp(service: str, number: int, **attributes: str) -> str:
    said: dict[str, Any] = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.usage.input_tokens": {"intValue": "1000"},
        "gen_ai.usage.output_tokens": {"intValue": "1000"},
        **{name.replace("__", "."): {"stringValue": value} for name, value in attributes.items()},
    }
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": "1781000000000000000",
        "endTimeUnixNano": "1781000001000000000",
        "attributes": [{"key": name, "value": value} for name, value in said.items()],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openai: dict[str, str] = {"gen_ai__provider__name": "openai", "gen_ai__request__model": "gpt-4o"}
    azure = {"gen_ai__provider__name": "azure.ai.openai", "gen_ai__request__model": "prod-4o"}
    path = tmp_path_factory.mktemp("spans") / "spans.jsonl"
    lines = [
        otlp("batch-mail", 1, **openai),
        otlp("chat", 2, **openai),
        otlp("chat", 3, **azure),
        otlp("batch-mail", 4, **azure, spanledger__price__batch="false"),
    ]
    path.write_text("\n".join(lines))
    return path


def ledger(data_dir: Path) -> Run:
    def invoke(*arguments: str, rules: str = "") -> Result:
        config = data_dir.parent / "spanledger.yaml"
        config.write_text(rules)
        kept = {"SPANLEDGER_DATA_DIR": str(data_dir), "SPANLEDGER_RETENTION_DAYS": "20000"}
        done = CliRunner().invoke(app, arguments, env=kept | {"SPANLEDGER_CONFIG": str(config)})
        assert done.exit_code == 0, done.output
        return done

    return invoke


def booked(run: Run) -> list[tuple[str, str, Decimal]]:
    sql = "SELECT model, request_model, toString(cost_usd) AS cost FROM calls ORDER BY trace_id"
    rows = map(json.loads, run("query", sql, "--format", "JSONEachRow").stdout.splitlines())
    return [(row["model"], row["request_model"], row["cost"] and Decimal(row["cost"])) for row in rows]


def test_replay_books_by_the_rules_and_reprice_moves_history_to_them(spans: Path, tmp_path: Path) -> None:
    ruled, plain = ledger(tmp_path / "ruled" / "data"), ledger(tmp_path / "plain" / "data")
    (tmp_path / "ruled").mkdir()
    (tmp_path / "plain").mkdir()
    ruled("replay", str(spans), rules=RULES)
    wanted = [
        ("gpt-4o", "gpt-4o", (INPUT + OUTPUT) / 2),
        ("gpt-4o", "gpt-4o", INPUT + OUTPUT),
        ("gpt-4o-2024-08-06", "prod-4o", INPUT + OUTPUT),
        ("gpt-4o-2024-08-06", "prod-4o", INPUT + OUTPUT),
    ]
    assert booked(ruled) == wanted
    shown = ruled("prices", "explain", f"{1:032x}", f"{1:016x}", rules=RULES).stdout
    assert "cost_usd 0.00625, priced" in shown

    plain("replay", str(spans))
    assert [cost for _, _, cost in booked(plain)] == [INPUT + OUTPUT, INPUT + OUTPUT, None, None]
    done = plain("reprice", "--from", "2026-01-01", rules=RULES)
    assert "3 of 4 calls changed" in done.stdout
    # what a span says in full (`batch: false`) is kept for rules that may ask for it, once there is one
    assert booked(plain) == [*wanted[:3], ("gpt-4o-2024-08-06", "prod-4o", (INPUT + OUTPUT) / 2)]
    assert "0 of 4 calls changed" in plain("reprice", "--from", "2026-01-01", rules=RULES).stdout
