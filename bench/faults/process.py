"""`spanledger serve` as a victim: started, killed, starved and started again on the same folder and ports."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count as count_from
from pathlib import Path
from typing import Any, Final

SPANLEDGER: Final = (sys.executable, "-m", "spanledger")
_POLL_S: Final = 0.05
_START_S: Final = 60.0


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on right now, nor will take while their collector is down.

    They lie below those that the system gives to outgoing connections, and each worker of the tests has its own.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = next(_candidates)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


def _own_ports() -> Iterator[int]:
    worker = int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"))
    first, many = 16_000 + worker % 4 * 4_000, 4_000
    start = secrets.randbelow(many)
    return (first + (start + number) % many for number in count_from(0))


_candidates: Final = _own_ports()


class Victim:
    """One collector on one folder; its ports stay the same over restarts, so that senders find it again."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = (*SPANLEDGER, "serve"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = folder / "spanledger-data"
        self.log = folder / "serve.log"
        self.command = list(command)
        self.grpc, self.http, self.sql, self.telemetry = free_ports(4)
        prefix = "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__"
        self.environment = {
            **os.environ,
            f"{prefix}GRPC__ENDPOINT": f"127.0.0.1:{self.grpc}",
            f"{prefix}HTTP__ENDPOINT": f"127.0.0.1:{self.http}",
            "SPANLEDGER_SQL__ENDPOINT": f"127.0.0.1:{self.sql}",
            "SPANLEDGER_TELEMETRY__ENDPOINT": f"127.0.0.1:{self.telemetry}",
            # inserts under way at any moment are what the damage is meant for
            "SPANLEDGER_EXPORTERS__CLICKHOUSE__FLUSH_INTERVAL": "300ms",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start, and do not wait."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Start and wait until it takes spans."""
        self.launch()
        self.await_ready()

    def await_ready(self) -> None:
        """Raises `AssertionError` with the end of the log if it ends, or takes too long."""
        deadline = time.monotonic() + _START_S
        while not self.ready():
            alive = self._process is not None and self._process.poll() is None
            if not alive or time.monotonic() > deadline:
                raise AssertionError(f"serve did not become ready:\n{self.log.read_text()[-3000:]}")
            time.sleep(_POLL_S)

    def ready(self) -> bool:
        """What /readyz says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/readyz", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def end(self, how: signal.Signals, timeout_s: float = 90.0) -> int:
        """Signal it and wait; the exit status, negative for the signal that killed it."""
        assert self._process is not None
        self._process.send_signal(how)
        status = self._process.wait(timeout_s)
        self._process = None
        return status

    def close(self) -> None:
        """Leave nothing running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def metric(self, name: str) -> float:
        """The value of a metric without labels; -1 while the page cannot be read."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics", timeout=5) as reply:
                for line in reply.read().decode().splitlines():
                    if line.startswith(name + " "):
                        return float(line.rpartition(" ")[2])
        except OSError:
            return -1
        return -1

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the SQL port."""
        url = f"http://127.0.0.1:{self.sql}/?" + urllib.parse.urlencode({"query": sql + " FORMAT JSONEachRow"})
        with urllib.request.urlopen(url, timeout=60) as reply:
            return [json.loads(line) for line in reply.read().splitlines()]

    def run(self, *arguments: str) -> str:
        """A command in the same folder; what it prints. Raises `AssertionError` with its errors if it fails."""
        done = subprocess.run(
            [*SPANLEDGER, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
        return done.stdout
