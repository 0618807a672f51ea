"""Shuffled requests in slices, pauses longer than a flush, a kill -9 and a restart midway: the rows of `replay`."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

REQUESTS = sorted((Path(__file__).resolve().parents[1] / "data" / "corpus").glob("*/request-*.pb"))
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
FLUSH_S = 0.3
# the captured spans keep their date while the calendar goes on
KEPT = {"SPANLEDGER_RETENTION_DAYS": "20000"}
SLICE = 6
ROWS = "SELECT * EXCEPT (version, ingested_at, settles_at) FROM calls ORDER BY ALL"
HOURLY = "SELECT hour, agent_id, model, calls, toString(cost_usd) AS cost FROM hourly ORDER BY ALL"


def send(port: int, bodies: list[bytes]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(EXPORT)
        for body in bodies:
            export(body, timeout=30, wait_for_ready=True)


def settled(collector: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows, once nothing waits and the rollups agree with the calls."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        calls, hourly = collector.sql_json(ROWS), collector.sql_json(HOURLY)
        waiting = "\nspanledger_spool_facts 0.0\n" not in collector.get("/metrics")[1]
        if not waiting and sum(int(row["calls"]) for row in hourly) == len(calls):
            return calls, hourly
        time.sleep(0.2)
    raise AssertionError(collector.log.read_text()[-3000:])


def differences(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[tuple[str, str, Any, Any]]:
    """(span, column, got, wanted) of everything that is not equal."""
    have, want = ({(row["span_id"], row["agent_id"]): row for row in rows} for rows in (got, wanted))
    found: list[tuple[str, str, Any, Any]] = [
        (*key, key in have, key in want) for key in sorted(have.keys() ^ want.keys())
    ]
    for key in have.keys() & want.keys():
        found += [
            (key[0], name, have[key][name], want[key][name]) for name in want[key] if have[key][name] != want[key][name]
        ]
    return found


@pytest.fixture(scope="module")
def wanted(smoke: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], ...]:
    """The rows and hours of `replay`."""
    replayed = smoke.Collector(tmp_path_factory.mktemp("replayed"), **KEPT)
    assert replayed.run("replay", *map(str, REQUESTS)).returncode == 0
    with replayed:
        return settled(replayed)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_with_a_kill_midway_gives_the_rows_of_replay(
    smoke: ModuleType, tmp_path: Path, wanted: tuple[list[dict[str, Any]], ...], seed: int
) -> None:
    bodies = [path.read_bytes() for path in REQUESTS]
    random.Random(seed).shuffle(bodies)
    slices = [bodies[start : start + SLICE] for start in range(0, len(bodies), SLICE)]
    served = smoke.Collector(
        tmp_path, SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL=f"{int(FLUSH_S * 1000)}ms", **KEPT
    )
    with served:
        for number, some in enumerate(slices):
            send(served.grpc, some)
            time.sleep(1.5 * FLUSH_S)
            if number == len(slices) // 2:
                served.stop(signal.SIGKILL)
                served.start()
        got = settled(served)
    assert differences(got[0], wanted[0]) == []
    assert got == wanted
