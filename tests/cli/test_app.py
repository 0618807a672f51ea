"""The application as a whole: start, help, exit status, and what the documents say of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spanledger.cli import docs

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("spanledger")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
NAMES = dict(docs.commands())


def test_help_comes_at_once() -> None:
    """Under 0.4 s. Of processor time, and the best of five, because the machine that runs the tests is shared."""
    taken = []
    for _ in range(5):
        process = subprocess.Popen([COMMAND, "--help"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        taken.append(used.ru_utime + used.ru_stime)
    assert min(taken) < 0.4, taken


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['spanledger', '--help']\n"
        "from spanledger.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'grpc', 'chdb', 'clickhouse_connect', 'starlette', 'genai_prices', 'google.protobuf',"
        " 'httpx', 'structlog', 'yaml', 'sqlglot', 'uvicorn'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_the_base_install_says_which_extra_to_take() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom spanledger.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'spanledger[embedded]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_module_of_our_own_is_not_mistaken_for_a_missing_extra() -> None:
    code = "import sys; sys.modules['spanledger.cli.query'] = None\nfrom spanledger.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "spanledger[embedded]" not in done.stderr
    assert "Traceback" in done.stderr


def test_without_arguments_it_shows_what_there_is(run: Run) -> None:
    done = run()
    assert "serve" in done.stdout + done.stderr
    assert done.returncode in (0, 2)


@pytest.mark.parametrize("name", [*NAMES])
def test_every_command_has_help_with_an_example(run: Run, name: str) -> None:
    done = run(*name.split(), "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"spanledger {name}" in done.stdout.replace("[FILE]", "")


def test_the_version_is_printed(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"spanledger {version('spanledger')}\n"


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["query", ""], ["query"], ["report", "--no-such-option"], ["replay"]]
)
def test_wrong_usage_exits_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr


def test_a_wrong_configuration_exits_2_with_every_fault_a_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("recievers: {}\nretention_days: 0\n")
    for arguments in (["check-config", str(file)], ["query", "SELECT 1", "--config", str(file)]):
        done = run(*arguments)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            f"spanledger: {file}:1: recievers: unknown key; did you mean receivers?",
            f"spanledger: {file}:2: retention_days: must be greater than or equal to 1",
        ]


def test_check_config_shows_what_is_in_force_without_secrets(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("store: clickhouse://u:hunter2@h/db\nsql: {users: [{name: g, password: swordfish}]}\n")
    done = run("check-config", "--show", SPANLEDGER_CONFIG=str(file), SPANLEDGER_RETENTION_DAYS="30")
    assert done.returncode == 0, done.stderr
    assert "retention_days: 30" in done.stdout
    assert "clickhouse://u:***@h/db" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "swordfish" not in done.stdout + done.stderr


def test_what_check_config_shows_is_a_configuration(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(run("check-config", "--show").stdout)
    done = run("check-config", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{file}: ok\n"


def test_check_config_warns_of_open_ports(run: Run) -> None:
    done = run("check-config", SPANLEDGER_SQL__ENDPOINT="0.0.0.0:8123", SPANLEDGER_SQL__INSECURE="true")
    assert done.returncode == 0
    assert "warning: sql: everybody who can reach 0.0.0.0:8123 can use it" in done.stderr


def test_migrate_makes_a_store_and_says_so(run: Run, tmp_path: Path) -> None:
    first = run("migrate", SPANLEDGER_DATA_DIR=str(tmp_path / "new"))
    assert first.returncode == 0, first.stderr
    assert "applied 0001_store" in first.stdout
    again = run("migrate", SPANLEDGER_DATA_DIR=str(tmp_path / "new"))
    assert again.stdout.endswith("up to date\n")


def test_migrate_leaves_a_running_collectors_store_alone(run: Run, sql_port, leave_address, tmp_path: Path) -> None:
    leave_address(tmp_path / "d", sql_port.url)
    done = run("migrate", SPANLEDGER_DATA_DIR=str(tmp_path / "d"))
    assert done.returncode == 1
    assert "has this store open" in done.stderr


def test_the_reference_is_generated_from_the_commands() -> None:
    assert (ROOT / "docs/commands.md").read_text() == docs.reference(), "run: python -m spanledger.cli.docs"


@pytest.mark.parametrize("name", [*NAMES])
def test_every_option_of_help_stands_in_the_reference(run: Run, name: str) -> None:
    import re

    shown = run(*name.split(), "--help").stdout
    section = docs.reference().split(f"\n## {name}\n")[1].split("\n## ")[0]
    options = set(re.findall(r"^  (--[\w-]+)", shown, flags=re.M)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[\w-]+)", section, flags=re.M))


def test_what_must_be_given_is_called_required_in_the_reference() -> None:
    assert "| `--from TIME` | required |" in docs.reference()


def test_a_file_that_is_named_and_cannot_be_read_fails_a_replay_and_one_found_in_a_folder_does_not(
    process: Run, tmp_path: Path
) -> None:
    file = tmp_path / "traces" / "readme.txt"
    file.parent.mkdir()
    file.write_text("what this is")
    for path, status in ((file, 1), (file.parent, 0)):
        done = process("replay", str(path), "--store", "chdb://memory")
        assert done.returncode == status, done.stderr
        assert "skipped" in done.stdout
        assert "0 spans read" in done.stdout
