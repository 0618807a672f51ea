"""`spanledger doctor`: what it finds on a real store, and what it says of traffic."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanledger.cli import traffic
from spanledger_exporter.migrations import known_migrations

pytestmark = pytest.mark.usefixtures("engine_stays_up")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def findings(run: Run, **more: str) -> tuple[int, list[dict[str, Any]]]:
    done = run("doctor", "--json", **more)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_on_a_healthy_store_it_names_what_is_lost(run: Run) -> None:
    status, found = findings(run)
    assert status == 0, found
    says = {finding["check"]: finding for finding in found}
    assert says["collector"]["level"] == "warn"
    assert says["store"]["level"] == "ok"
    assert f"schema {known_migrations()[-1].version}" in says["store"]["says"]
    assert says["data directory"]["level"] in ("ok", "warn")
    unpriced = [finding for finding in found if "acme-7b" in finding["says"]]
    assert len(unpriced) == 1
    assert "prices.files" in unpriced[0]["remedy"]


def test_every_finding_that_is_not_ok_says_what_to_do(run: Run) -> None:
    _, found = findings(run)
    assert all(finding["remedy"] for finding in found if finding["level"] != "ok")


def test_a_taken_port_fails(run: Run, sql_port: Any) -> None:
    status, found = findings(run, SPANLEDGER_SQL__ENDPOINT=f"127.0.0.1:{sql_port.port}")
    assert status == 1
    assert [finding["check"] for finding in found if finding["level"] == "fail"] == ["port SQL"]


def test_a_broken_price_file_and_an_unreachable_store_fail(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("provider,model,bucket,unit_price\nopenai,a,inputs,1\n")
    status, found = findings(
        run, SPANLEDGER_PRICES__FILES=f"[{bad}]", SPANLEDGER_STORE="clickhouse://u:hunter2@127.0.0.1:1/d"
    )
    assert status == 1
    failed = {finding["check"] for finding in found if finding["level"] == "fail"}
    assert failed == {"prices", "store"}
    assert "hunter2" not in str(found)


def test_a_store_that_is_not_there_yet_is_no_fault(run: Run, tmp_path: Path) -> None:
    status, found = findings(run, SPANLEDGER_DATA_DIR=str(tmp_path / "new"))
    assert status == 0
    assert any("none yet" in finding["says"] for finding in found)
    assert not (tmp_path / "new").exists()


def test_the_table_is_for_people(run: Run) -> None:
    done = run("doctor")
    assert "what to do" in done.stdout
    assert "spanledger serve" in done.stdout


ROW = {
    "scope": "openai", "service": "shop", "calls": 10, "no_usage": 0, "no_usage_streams": 0, "doubtful_usage": 0,
    "no_model": 0, "no_agent": 0, "sampled": 0, "ahead_of_us": 0,
}  # fmt: skip


def test_nothing_missing_is_said_too() -> None:
    (finding,) = traffic.of_scopes([ROW])
    assert finding.level == "ok"


def test_no_traffic_is_nothing_to_say() -> None:
    assert not list(traffic.of_scopes([]))


@pytest.mark.parametrize("loss", traffic.LOSSES, ids=lambda loss: loss.column)
def test_every_loss_is_told_once_with_scope_service_and_share(loss: traffic.Loss) -> None:
    row = ROW | {loss.column: 3}
    if loss.column == "no_usage_streams":
        row["no_usage"] = 3
    (finding,) = traffic.of_scopes([row])
    assert (finding.level, finding.check) == ("warn", loss.check)
    assert finding.says.startswith("openai in shop: 3 of 10 ")


def test_metrics_name_the_scope_and_the_reason() -> None:
    found = list(
        traffic.of_metrics(
            [
                ("spanledger_span_quality_total", {"kind": "attributes_dropped", "scope": "langchain"}, 4.0),
                ("spanledger_refused_spans_total", {"reason": "too_old"}, 2.0),
                ("spanledger_refused_spans_total", {"reason": "in_future"}, 0.0),
                ("spanledger_received_spans_total", {"transport": "grpc"}, 9.0),
            ]
        )
    )
    assert [finding.check for finding in found] == ["span quality", "refused spans"]
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in found[0].remedy
    assert "too_old" in found[1].says
