"""`spanledger query` on a real embedded store and against a SQL port."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("engine_stays_up")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_any_output_format(run: Run) -> None:
    done = run("query", "SELECT 1 AS a, NULL AS b", "--format", "JSONEachRow")
    assert done.stdout == '{"a":1,"b":null}\n'


def test_a_statement_may_name_its_format(run: Run) -> None:
    assert run("query", "SELECT 1 AS a FORMAT CSVWithNames").stdout == '"a"\n1\n'


def test_naming_the_format_twice_is_a_usage_error(run: Run) -> None:
    done = run("query", "SELECT 1 FORMAT CSV", "--format", "JSON")
    assert done.returncode == 2
    assert "names a FORMAT itself" in done.stderr


def test_the_statement_can_come_from_standard_input(run: Run) -> None:
    assert run("query", "-", stdin="SELECT 'x'\n;\n").stdout == "x\n"
    assert run("query", stdin="SELECT 'x'").stdout == "x\n"


@pytest.mark.parametrize(
    "value", ["it's", "back\\slash", "tab\tbed", "two\nlines", "''; DROP TABLE calls", "{c:String}"]
)
def test_parameters_are_values_never_sql(run: Run, value: str) -> None:
    done = run("query", "SELECT {c:String} AS c", "--param", f"c={value}", "--format", "RawBLOB")
    assert done.stdout == value, done.stderr


def test_a_wrong_statement_exits_1_with_the_engines_words(run: Run) -> None:
    done = run("query", "SELEC 1")
    assert done.returncode == 1
    assert "Syntax error" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_only_reads(run: Run) -> None:
    done = run("query", "CREATE TABLE t (a Int8) ENGINE = Memory")
    assert done.returncode == 1
    assert "readonly" in done.stderr


def test_a_store_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    done = run("query", "SELECT 1", SPANLEDGER_DATA_DIR=str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert "start one with 'spanledger serve'" in done.stderr
    assert not (tmp_path / "nothing").exists()


def test_an_unreachable_server_is_said_without_its_password(run: Run) -> None:
    done = run("query", "SELECT 1", "--store", "clickhouse://ledger:hunter2@127.0.0.1:1/db")
    assert done.returncode == 1
    assert "clickhouse://ledger@127.0.0.1:1/db cannot be reached" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_wrong_store_is_a_usage_error(run: Run) -> None:
    done = run("query", "SELECT 1", "--store", "sqlite:///x")
    assert done.returncode == 2
    assert done.stderr.startswith("spanledger: --store: ")


def test_the_collector_that_runs_here_is_asked(run: Run, sql_port: Any, leave_address: Any, tmp_path: Path) -> None:
    leave_address(tmp_path / "d", sql_port.url, user="local", password="pw")
    sql_port.answer(200, b"from the port\n")
    done = run("query", "SELECT {x:String}", "--param", "x=a\tb", SPANLEDGER_DATA_DIR=str(tmp_path / "d"))
    assert done.stdout == "from the port\n", done.stderr
    (asked,) = sql_port.asked
    assert asked["sql"] == "SELECT {x:String}"
    assert asked["query"] == {"database": "spanledger", "default_format": "TabSeparated", "param_x": "a\\tb"}
    assert asked["headers"]["X-ClickHouse-User"] == "local"


def test_it_is_also_found_by_the_path_of_its_store(run: Run, sql_port: Any, leave_address: Any, tmp_path: Path) -> None:
    leave_address(tmp_path / "d", sql_port.url)
    done = run("query", "SELECT 1", "--store", f"chdb://{tmp_path}/d/store")
    assert done.stdout == "1\n", done.stderr


def test_a_collector_with_its_store_in_memory_is_asked_too(
    run: Run, sql_port: Any, leave_address: Any, tmp_path: Path
) -> None:
    leave_address(tmp_path / "d", sql_port.url, store=":memory:")
    sql_port.answer(200, b"from the port\n")
    done = run("query", "SELECT 1", SPANLEDGER_DATA_DIR=str(tmp_path / "d"), SPANLEDGER_STORE="chdb://memory")
    assert done.stdout == "from the port\n", done.stderr


def test_a_link_to_the_data_directory_leads_to_the_same_collector(
    run: Run, sql_port: Any, leave_address: Any, tmp_path: Path
) -> None:
    leave_address(tmp_path / "d", sql_port.url, store=f"{tmp_path}/d/store")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    sql_port.answer(200, b"from the port\n")
    done = run("query", "SELECT 1", SPANLEDGER_DATA_DIR=str(tmp_path / "link"))
    assert done.stdout == "from the port\n", done.stderr


def test_another_store_is_not_the_collectors(
    run: Run, sql_port: Any, leave_address: Any, data_dir: Path, tmp_path: Path
) -> None:
    leave_address(tmp_path / "d", sql_port.url)
    done = run(
        "query",
        "SELECT count() FROM calls",
        "--store",
        f"chdb://{data_dir}/store",
        SPANLEDGER_DATA_DIR=str(tmp_path / "d"),
    )
    assert done.stdout == "8\n", done.stderr
    assert not sql_port.asked


@pytest.mark.parametrize(
    ("command", "elsewhere"), [(["query", "SELECT 1"], ":memory:"), (["doctor"], "/somewhere/else")]
)
def test_where_nobody_names_a_store_the_collector_that_runs_here_is_asked_whatever_its_store(
    run: Run,
    sql_port: Any,
    leave_address: Any,
    tmp_path: Path,
    *,
    command: list[str],
    elsewhere: str,
) -> None:
    leave_address(tmp_path / "d", sql_port.url, store=elsewhere)
    sql_port.answer(500, b"told by the port")
    done = run(*command, SPANLEDGER_DATA_DIR=str(tmp_path / "d"))
    assert "told by the port" in done.stdout + done.stderr
    named = run(*command, SPANLEDGER_DATA_DIR=str(tmp_path / "d"), SPANLEDGER_STORE=f"chdb://{tmp_path}/d/store")
    assert f"at {tmp_path}/d/store" in named.stdout + named.stderr
    assert len(sql_port.asked) == 1


@pytest.mark.parametrize("left", ["refused", "garbled", "null"])
def test_a_left_over_address_counts_for_nothing(run: Run, leave_address: Any, data_dir: Path, left: str) -> None:
    path = leave_address(data_dir, "http://127.0.0.1:1")
    if left != "refused":
        path.write_text("{" if left == "garbled" else "null")
    done = run("query", "SELECT count() FROM calls")
    path.unlink()
    assert done.stdout == "8\n", done.stderr


def test_an_address_of_a_dead_process_counts_for_nothing_whoever_has_its_port_now(
    run: Run, leave_address: Any, data_dir: Path, dead_pid: int, sql_port: Any
) -> None:
    path = leave_address(data_dir, sql_port.url, dead_pid)
    done = run("query", "SELECT count() FROM calls")
    path.unlink()
    assert done.stdout == "8\n", done.stderr
    assert not sql_port.asked


def test_errors_of_the_port_carry_the_engines_words(
    run: Run, sql_port: Any, leave_address: Any, tmp_path: Path
) -> None:
    leave_address(tmp_path / "d", sql_port.url)
    sql_port.answer(404, b"Code: 60. DB::Exception: no such table", X_ClickHouse_Exception_Code="60")
    done = run("query", "SELECT * FROM calls", SPANLEDGER_DATA_DIR=str(tmp_path / "d"))
    assert done.returncode == 1
    assert "no such table" in done.stderr
    assert "spanledger migrate" in done.stderr


def test_a_server_is_asked_to_change_nothing_and_a_read_only_user_may_not_even_say_so(run: Run, sql_port: Any) -> None:
    sql_port.answer(
        500, b"Code: 164. Cannot modify 'readonly' setting in readonly mode", X_ClickHouse_Exception_Code="164"
    )
    done = run("query", "SELECT 1", "--store", f"clickhouse://u:p%40%C3%A4@127.0.0.1:{sql_port.port}/db")
    assert done.stdout == "1\n", done.stderr
    first, second = sql_port.asked
    assert first["query"]["readonly"] == "2"
    assert "readonly" not in second["query"]
    assert first["headers"]["X-ClickHouse-Key"].encode("latin-1").decode() == "p@ä"
    assert first["query"]["database"] == "db"
