"""A small ledger on disk, commands as users run them, and a stand-in for a SQL port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from spanledger.cli.app import app
from spanledger_core.clock import SystemClock
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store

COMMAND = Path(sys.executable).with_name("spanledger")
NOW = datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
HOSTILE = "evil\x1b[31m[bold]agent[/bold]\u202e=1+1"
DOLLAR = 10**12

_TEXTS = {
    "trace_id", "span_id", "parent_span_id", "response_id", "agent_id", "agent_name", "agent_source", "service_name",
    "environment", "tenant_id", "customer_id", "team", "user_id", "session_id", "run_id", "workflow", "step",
    "feature", "prompt_version", "provider", "operation", "request_model", "response_model", "model", "service_tier",
    "usage_convention", "cost_status", "price_book", "status", "error_type", "finish_reason", "scope_name",
    "scope_version", "dialect",
}  # fmt: skip
_MAPS, _LISTS = {"units", "attributes"}, {"price_ids", "absorbed_spans"}
_NULLS = {"time_to_first_token_ns", "is_streaming", "sampling_probability", "input_tokens", "output_tokens"}


def call(number: int, at: datetime, **values: Any) -> CallRow:
    """A row of `calls`; what is not said is empty, and a cost not said is unknown."""
    row: dict[str, Any] = {}
    for name in CALL_COLUMNS:
        is_null = name in _NULLS or name.endswith("_usd")
        row[name] = "" if name in _TEXTS else {} if name in _MAPS else [] if name in _LISTS else None if is_null else 0
    moment = int(at.timestamp() * 1e6)
    row |= {
        "timestamp": moment, "duration_ns": 10**9, "trace_id": f"{number:032x}", "span_id": f"{number:016x}",
        "is_aggregate": False, "settles_at": moment // 1000, "ingested_at": moment // 1000, "version": number + 1,
        "status": "ok", "agent_source": "span", "scope_name": "openai", "service_name": "shop",
    }  # fmt: skip
    row |= values
    if row["cost_usd"] is not None:
        row.setdefault("cost_status", "priced")
        row["cost_status"] = row["cost_status"] or "priced"
    return tuple(row.values())


def rows() -> list[CallRow]:
    """Three agents yesterday and the day before, one call without a price, one refused, one of a hostile name."""
    yesterday, before = TODAY - timedelta(hours=10), TODAY - timedelta(hours=34)
    common = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    return [
        call(1, yesterday, agent_id="planner", customer_id="acme", cost_usd=2 * DOLLAR, **common),
        call(2, yesterday, agent_id="planner", customer_id="acme", cost_usd=DOLLAR + 1, **common),
        call(3, yesterday - timedelta(hours=1), agent_id="writer", cost_usd=DOLLAR, **common),
        call(4, before, agent_id="planner", cost_usd=DOLLAR, **common),
        call(5, before, agent_id="retired", cost_usd=5 * DOLLAR, **common),
        call(6, yesterday, agent_id="lab", request_model="acme-7b", cost_status="unpriced_model", provider="acme"),
        call(7, yesterday, agent_id="writer", cost_status="not_billed", status="error", provider="openai"),
        call(8, yesterday, agent_id=HOSTILE, cost_usd=7, **common),
    ]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose embedded store holds `rows()`; nothing has it open."""
    folder = tmp_path_factory.mktemp("ledger")
    address = StoreAddress.parse("chdb", folder)
    with open_store(address, StoreSettings(), SystemClock()) as store:
        store.migrate()
        store.book(rows(), [], "token")
        store.rebuild_rollups([])
    return folder


@pytest.fixture(scope="module")
def engine_stays_up(data_dir: Path) -> Iterator[None]:
    """Keeps the engine open between the commands of a module, as starting it is what takes the time."""
    with open_store(StoreAddress.parse("chdb", data_dir), StoreSettings(), SystemClock()):
        yield


@pytest.fixture
def environ(data_dir: Path) -> dict[str, str]:
    """The environment of a command on the ledger, with no ports of a real collector in reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPANLEDGER_")}
    return kept | {
        "SPANLEDGER_DATA_DIR": str(data_dir),
        "SPANLEDGER_TELEMETRY__ENDPOINT": "127.0.0.1:1",
        "SPANLEDGER_SQL__ENDPOINT": "127.0.0.1:1",
        "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__GRPC__ENDPOINT": "127.0.0.1:1",
        "SPANLEDGER_RECEIVERS__OTLP__PROTOCOLS__HTTP__ENDPOINT": "127.0.0.1:1",
    }


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def process(environ: dict[str, str], tmp_path: Path) -> Run:
    """Runs `spanledger ARGUMENTS` as a process of its own; keywords are more environment."""

    def command(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env=environ | more,
        )

    return command


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `spanledger ARGUMENTS` in this process, on the real engine: starting it anew takes a second each time.

    What time it is was asked once, before the ledger was written.
    """

    # the ledger's "yesterday" stays yesterday when the tests run into midnight
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: int(NOW.timestamp() * 1e9))

    before = os.umask(0o022)
    os.umask(before)

    def command(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        for name in [name for name in os.environ if name.startswith("SPANLEDGER_")]:
            monkeypatch.delenv(name)
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=environ | more, prog_name="spanledger")
        os.umask(before)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(list(arguments), result.exit_code, result.stdout, result.stderr)

    return command


class SqlPort:
    """Speaks ClickHouse's HTTP protocol as far as the command line uses it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Mapping[str, str], bytes]] = []
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(200, {}, b"Ok.\n")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
                port.asked.append({"sql": body.decode(), "query": query, "headers": dict(self.headers)})
                self.reply(*(port.answers.pop(0) if port.answers else (200, {}, b"1\n")))

            def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def port(self) -> int:
        return self._server.server_port

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """What the next question gets."""
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    def __enter__(self) -> SqlPort:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def sql_port() -> Iterator[SqlPort]:
    with SqlPort() as port:
        yield port


@pytest.fixture
def leave_address() -> Callable[..., Path]:
    """Writes `sql-address.json` as a collector does, with any pid."""

    def leave(folder: Path, url: str, pid: int | None = None, **more: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "sql-address.json"
        path.write_text(
            json.dumps({"url": url, "pid": os.getpid() if pid is None else pid, "database": "spanledger", **more})
        )
        return path

    return leave


@pytest.fixture
def dead_pid() -> int:
    """A process id that belongs to nobody."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def hostile() -> str:
    return HOSTILE
