"""Prices, tokens, passwords and certificates are read again while it runs: on SIGHUP, and when their files change."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from bench.faults.process import Victim
from bench.faults.traffic import METHOD, set_attributes
from spanledger.reloading import Part, Reloading
from spanledger_core.errors import ConfigError
from spanledger_core.metrics import Metrics

LOOK_S = 0.05
HEAD = "provider,model,bucket,unit_price\n"
CONFIG = """
prices: {files: [prices.csv]}
receivers: {otlp: {auth: {tokens: [{token_file: token, tenant: acme}]}}}
exporters: {clickhouse: {flush_interval: 300ms}}
"""


class Parts:
    """A part made of one file, and what became of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file"
        self.file.write_text("first")
        self.in_force = "first"
        self.reads = 0
        self.metrics = Metrics(CollectorRegistry())
        self.reloading = Reloading([Part("prices", (self.file,), self.renew)], self.metrics, LOOK_S)

    def renew(self) -> None:
        self.reads += 1
        text = self.file.read_text()
        if text == "broken":
            raise ZeroDivisionError
        if text == "bad":
            raise ConfigError(["line 1: a fault", "line 2: another"])
        self.in_force = text

    def outcomes(self) -> dict[str, float]:
        samples = next(iter(self.metrics.reloads.collect())).samples
        return {sample.labels["outcome"]: sample.value for sample in samples if sample.name.endswith("_total")}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    parts = Parts(tmp_path)
    parts.reloading.start()
    yield parts
    parts.reloading.stop()


def until(done: Any, what: str) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(parts: Parts) -> None:
    parts.file.write_text("second")
    until(lambda: parts.in_force == "second", "not read again")
    time.sleep(5 * LOOK_S)
    assert parts.reads == 1


def test_a_file_that_is_replaced_or_comes_back_is_read_again(parts: Parts, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.write_text("other")  # of the same length as what it replaces
    fresh.replace(parts.file)
    until(lambda: parts.in_force == "other", "not read again")
    parts.file.unlink()
    until(lambda: parts.outcomes().get("refused") == 1, "its absence was not seen")
    assert parts.in_force == "other"
    parts.file.write_text("again")
    until(lambda: parts.in_force == "again", "its return was not seen")


def test_what_cannot_be_used_leaves_the_old_in_force_and_is_not_tried_for_ever(parts: Parts) -> None:
    parts.file.write_text("bad")
    until(lambda: parts.outcomes().get("refused") == 1, "not refused")
    time.sleep(5 * LOOK_S)
    assert (parts.in_force, parts.reads) == ("first", 1)
    parts.file.write_text("broken")
    until(lambda: parts.outcomes().get("refused") == 2, "the thread ended")
    parts.file.write_text("good")
    until(lambda: parts.in_force == "good", "not read again")


def test_told_to_it_reads_what_has_not_changed(parts: Parts) -> None:
    parts.reloading.ask()
    until(lambda: parts.reads == 1, "not read again")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "prices.csv").write_text(HEAD + "openai,house-model,input,1\nopenai,house-model,output,1\n")
    (folder / "token").write_text("first-token-of-acme")
    (folder / "collector.yaml").write_text(CONFIG)
    victim = Victim(folder)
    victim.command += ["--config", "collector.yaml"]
    victim.start()
    yield victim
    victim.close()


@pytest.fixture
def guarded(victim: Victim) -> Victim:
    """With a SQL user."""
    victim.end(signal.SIGTERM)
    (victim.folder / "password").write_text("first")
    (victim.folder / "collector.yaml").write_text(CONFIG + "sql: {users: [{name: fin, password_file: password}]}\n")
    victim.start()
    return victim


def reloads(victim: Victim, part: str, outcome: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{victim.telemetry}/metrics", timeout=30) as reply:
        for line in reply.read().decode().splitlines():
            if line.startswith("spanledger_reloads_total{") and f'"{part}"' in line and f'"{outcome}"' in line:
                return float(line.rpartition(" ")[2])
    return 0


def send(victim: Victim, agent: str, token: str) -> grpc.StatusCode:
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(trace_id=os.urandom(16), span_id=os.urandom(8))
    now_ns = time.time_ns()
    span.start_time_unix_nano, span.end_time_unix_nano = now_ns - 10**9, now_ns
    set_attributes(
        span,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "house-model",
            "gen_ai.agent.name": agent,
            "gen_ai.usage.input_tokens": 1_000_000,
            "gen_ai.usage.output_tokens": 0,
        },
    )
    with grpc.insecure_channel(f"127.0.0.1:{victim.grpc}") as channel:
        try:
            channel.unary_unary(METHOD)(
                message.SerializeToString(), timeout=30, metadata=[("authorization", f"Bearer {token}")]
            )
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def cost(victim: Victim, agent: str) -> str:
    rows = victim.query(f"SELECT toString(cost_usd) AS usd FROM calls WHERE agent_id = '{agent}'")
    return str(rows[0]["usd"]) if rows else "no row"


@pytest.mark.slow
def test_a_running_collector_takes_new_prices_and_tokens_without_losing_a_span(victim: Victim) -> None:
    old, new = "first-token-of-acme", "second-token-of-acme"
    prices, token = victim.folder / "prices.csv", victim.folder / "token"
    stop, answers = threading.Event(), []

    def keep_sending() -> None:
        while not stop.is_set():
            answers.append(send(victim, "steady", old))
            time.sleep(0.02)

    sender = threading.Thread(target=keep_sending, daemon=True)
    sender.start()
    assert send(victim, "before", old) is grpc.StatusCode.OK
    until(lambda: cost(victim, "before") == "1", "no price from the file")

    prices.write_text(HEAD + "openai,house-model,input,2\nopenai,house-model,output,2\n")
    until(lambda: reloads(victim, "prices", "done") == 1, "new prices were not read")
    assert send(victim, "after", old) is grpc.StatusCode.OK
    until(lambda: cost(victim, "after") == "2", "not the new price")
    assert cost(victim, "before") == "1"

    prices.write_text(HEAD + "openai,house-model,inputs,3\nopenai,house-model,output,three\n")
    until(lambda: reloads(victim, "prices", "refused") == 1, "a bad file was not refused")
    assert send(victim, "meanwhile", old) is grpc.StatusCode.OK
    until(lambda: cost(victim, "meanwhile") == "2", "the old book did not stay in force")
    log = victim.log.read_text()
    assert "prices.csv:2" in log
    assert "prices.csv:3" in log

    stop.set()
    sender.join()
    assert set(answers) == {grpc.StatusCode.OK}
    until(lambda: int(victim.query("SELECT count() AS n FROM calls WHERE agent_id = 'steady'")[0]["n"]) == len(answers),
          "spans are missing")  # fmt: skip

    token.write_text(new)
    os.kill(victim.pid, signal.SIGHUP)
    until(lambda: send(victim, "new", new) is grpc.StatusCode.OK, "the new token is not taken")
    assert send(victim, "new", old) is grpc.StatusCode.UNAUTHENTICATED


def asks(victim: Victim, password: str) -> int:
    url = f"http://127.0.0.1:{victim.sql}/?query=SELECT+1"
    return httpx.get(url, auth=("fin", password), timeout=60).status_code


@pytest.mark.slow
def test_emptied_files_of_secrets_open_nothing_and_shut_nobody_out(guarded: Victim) -> None:
    victim = guarded
    token, password = victim.folder / "token", victim.folder / "password"
    for empty in (token, password):
        empty.write_text("")
    for part in ("tokens", "users"):
        until(lambda part=part: reloads(victim, part, "refused") >= 1, f"empty {part} were not refused")
    assert send(victim, "agent", "first-token-of-acme") is grpc.StatusCode.OK
    assert (asks(victim, ""), asks(victim, "first")) == (403, 200)
    password.unlink()
    os.kill(victim.pid, signal.SIGHUP)
    until(lambda: reloads(victim, "users", "refused") >= 2, "a password that is gone was not refused")
    assert asks(victim, "first") == 200
    password.write_text("second")
    until(lambda: asks(victim, "second") == 200, "the new password is not taken")
    assert asks(victim, "first") == 403


@pytest.mark.slow
def test_what_to_ask_is_said_with_the_configuration_it_was_started_with(victim: Victim) -> None:
    until(lambda: "report --by agent --last 1d --config collector.yaml\n" in victim.log.read_text(), "not said")
