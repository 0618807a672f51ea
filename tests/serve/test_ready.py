"""/readyz says that spans are taken only while they are."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from bench.faults.process import Victim
from spanledger.config.load import load_config
from spanledger.serve import Service
from spanledger_core.clock import SystemClock


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(tmp_path)
    yield victim
    victim.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_who_is_told_that_it_is_ready_can_send_at_once(victim: Victim) -> None:
    """Health answers earlier than the receivers listen."""
    victim.launch()
    deadline = time.monotonic() + 60
    while not victim.ready():
        assert time.monotonic() < deadline
    assert is_open(victim.grpc)
    assert is_open(victim.http)


def test_a_reload_asked_for_while_it_starts_does_not_end_it(victim: Victim) -> None:
    victim.launch()
    deadline = time.monotonic() + 60
    while not is_open(victim.telemetry):
        assert time.monotonic() < deadline
    os.kill(victim.pid, signal.SIGHUP)
    victim.await_ready()
    assert victim.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("waiting_bytes", "trouble", "said"),
    [
        (940_000, "", None),
        (960_000, "", "960000 of 1000000 bytes wait to be booked"),
        (0, "database or disk is full", "cannot write: database or disk is full"),
    ],
)
def test_a_spool_that_is_nearly_full_or_cannot_write_is_not_ready(
    tmp_path: Path, waiting_bytes: int, trouble: str, said: str | None
) -> None:
    environment = {"SPANLEDGER_DATA_DIR": str(tmp_path), "SPANLEDGER_SPOOL__MAX_BYTES": "1000000"}
    service = Service(load_config(None, environment, None), SystemClock(), Event())
    service._not_taking = ""
    service._booker = SimpleNamespace(alive=True)  # type: ignore[assignment]
    service._spool = SimpleNamespace(waiting_bytes=waiting_bytes, trouble=trouble)  # type: ignore[assignment]
    assert service._ready().get("spool") == said
