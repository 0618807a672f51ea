"""/readyz says that spans are taken only while they are."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults.process import Victim


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
