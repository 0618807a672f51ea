"""Commands as processes of their own, on a real embedded store: pipes, terminals, exit status."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

from spanledger_core.clock import SystemClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import open_store

COMMAND = str(Path(sys.executable).with_name("spanledger"))
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_piped_it_answers_like_clickhouse_client_without_header(process: Run) -> None:
    done = process(
        "query",
        "SELECT agent_id, toString(cost_usd) FROM calls WHERE agent_id IN ('planner','writer') ORDER BY 1, 2 DESC;",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "planner\t2\nplanner\t1.000000000001\nplanner\t1\nwriter\t1\nwriter\t\\N\n"


def test_a_reader_that_leaves_early_is_no_crash(environ: dict[str, str]) -> None:
    shell = which("bash")
    assert shell is not None
    done = subprocess.run(
        [shell, "-c", f"{COMMAND} query 'SELECT number FROM numbers(300000)' | head -n 1"],
        capture_output=True, text=True, env=environ, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "0\n"
    assert "Traceback" not in done.stderr


def test_on_a_terminal_it_is_a_table(environ: dict[str, str]) -> None:
    shown = on_terminal(
        [
            COMMAND,
            "query",
            "SELECT 'a[red]\x1b]0;x' AS name, 12.50::Decimal(18,12) AS dollars, NULL AS nothing, [1] AS list",
        ],
        environ,
    )
    assert "name" in shown
    assert "a[red]\\x1b]0;x" in shown
    assert "12.5" in shown
    assert "NULL" in shown
    assert "1 row" in shown


def test_a_store_that_another_process_has_open_is_named_with_the_way_out(process: Run, data_dir: Path) -> None:
    with open_store(StoreAddress.parse("chdb", data_dir), StoreSettings(), SystemClock()):
        done = process("query", "SELECT 1")
    assert done.returncode == 1
    assert "If another process has it open" in done.stderr
    assert "Traceback" not in done.stderr


def on_terminal(command: list[str], environ: dict[str, str]) -> str:
    """What a command writes to a terminal of 200 columns."""
    main, other = pty.openpty()
    process = subprocess.Popen(command, stdout=other, stderr=other, env=environ | {"COLUMNS": "200", "TERM": "dumb"})
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    process.wait(30)
    os.close(main)
    return shown.decode()
