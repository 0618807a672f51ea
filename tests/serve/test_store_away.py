"""A server that cannot be reached when the collector starts is waited for."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.faults.doors import DoorProcess
from bench.faults.process import Victim
from bench.faults.traffic import Sender, requests


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorProcess]:
    """Closed."""
    door = DoorProcess(tmp_path / "engine")
    yield door
    door.kill()


@pytest.fixture
def victim(tmp_path: Path, door: DoorProcess) -> Iterator[Victim]:
    victim = Victim(tmp_path / "victim", environment={"SPANLEDGER_STORE": door.dsn()})
    victim.launch()
    yield victim
    victim.close()


def page(victim: Victim, path: str) -> tuple[int, str]:
    """Status 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{victim.telemetry}{path}", timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def await_waiting(victim: Victim) -> None:
    deadline = time.monotonic() + 60
    while not (answer := page(victim, "/readyz"))[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    status, said = answer
    assert status == 503
    assert set(json.loads(said)["faults"]) == {"store"}
    assert page(victim, "/healthz")[0] == 200


def await_metric(victim: Victim, name: str, wanted: Callable[[float], bool]) -> None:
    deadline = time.monotonic() + 180
    while not wanted(victim.metric(name)):
        assert time.monotonic() < deadline, victim.log.read_text()[-2000:]
        time.sleep(0.1)


def test_it_goes_on_by_itself_when_the_server_is_there(victim: Victim, door: DoorProcess) -> None:
    await_waiting(victim)
    door.start()
    victim.await_ready()
    sender = Sender(victim.grpc, requests(1, time.time_ns))
    sender.start()
    deadline = time.monotonic() + 60
    while not sender.acknowledged:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sender.stop()
    await_metric(victim, "spanledger_booking_lag_seconds", lambda lag: lag == 0)
    assert victim.end(signal.SIGTERM) == 0
    assert int(door.query("SELECT count() AS calls FROM calls")[0]["calls"]) > 0
    assert victim.log.read_text().count("the store cannot be reached, waiting for it") >= 1


def test_how_far_booking_lags_behind_is_told_while_the_server_is_away(victim: Victim, door: DoorProcess) -> None:
    door.start()
    victim.await_ready()
    door.kill()
    sender = Sender(victim.grpc, requests(1, time.time_ns))
    sender.start()
    await_metric(victim, "spanledger_booking_lag_seconds", lambda lag: lag > 1)
    sender.stop()
    victim.end(signal.SIGKILL)
    victim.launch()
    await_waiting(victim)
    assert victim.metric("spanledger_booking_lag_seconds") > 1
    door.start()
    await_metric(victim, "spanledger_booking_lag_seconds", lambda lag: lag == 0)


def test_told_to_stop_meanwhile_it_stops(victim: Victim) -> None:
    await_waiting(victim)
    assert victim.end(signal.SIGTERM) == 0
