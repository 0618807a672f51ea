"""A door to the engine (`bench.faults.engine_over_http`) as a process: started, told to fail, killed, started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from bench.faults.process import free_ports

_START_S: Final = 60.0
_POLL_S: Final = 0.05


class DoorProcess:
    """One door on one folder; port and user stay the same over restarts."""

    def __init__(self, folder: Path, user: str = "default", password: str = "") -> None:
        self._folder = folder
        self._user, self._password = user, password
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def dsn(self, database: str = "spanledger", port: int | None = None) -> str:
        """The `--store` value that leads there; `port` where a proxy stands before it."""
        credentials = f"{quote(self._user, safe='')}:{quote(self._password, safe='')}"
        return f"clickhouse://{credentials}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench.faults.engine_over_http", str(self._folder), "--port", str(self.port)]
        command += ["--user", self._user, "--password", self._password]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2])
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the door to the engine did not open")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it at once; what the engine had confirmed is on its disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None

    def query(self, sql: str, database: str = "spanledger") -> list[dict[str, Any]]:
        """Rows of a query."""
        address = f"http://127.0.0.1:{self.port}/?database={quote(database)}"
        headers = {"X-ClickHouse-User": self._user, "X-ClickHouse-Key": self._password}
        request = urllib.request.Request(address, f"{sql} FORMAT JSONEachRow".encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return [json.loads(line) for line in reply.read().splitlines()]

    def fail(self, **fault: Any) -> None:
        """Answer so from now on (`bench.faults.engine_over_http.Fault`)."""
        self._control("PUT", json.dumps(fault).encode())

    def heal(self) -> None:
        """Answer truly again."""
        self._control("DELETE")

    @property
    def met(self) -> int:
        """How many statements the last fault has met."""
        return int(self._control("GET")["met"])

    @property
    def encodings(self) -> dict[str, int]:
        """How the bodies of statements came."""
        found: dict[str, int] = self._control("GET")["encodings"]
        return found

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5):
                return True
        except OSError:
            return False

    def _control(self, method: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/fault", body, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            found: dict[str, Any] = json.loads(reply.read())
        return found
