"""Nothing but reading the store's tables gets through the endpoint. The list is in attacks.sql."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

CANARY = "canary-5c1f2b9d"
Ask = Callable[..., httpx.Response]


def attacks() -> Iterator[tuple[str, list[int]]]:
    codes = [497, 164]
    for line in (Path(__file__).parent / "attacks.sql").read_text().splitlines():
        if line.startswith("-- =="):
            named = re.search(r": code (\d+)$", line)
            codes = [int(named[1])] if named else [497, 164]
        elif line and not line.startswith("--"):
            yield line, codes


ATTACKS = list(attacks())


@dataclass
class Trap:
    """What an attack would touch if it worked."""

    secret: Path
    folder: Path
    port: int
    connections: list[object] = field(default_factory=list)

    def fill(self, sql: str) -> str:
        values = {"$SECRET": self.secret, "$FOLDER": self.folder, "$PORT": self.port}
        for name, value in values.items():
            sql = sql.replace(name, str(value))
        return sql


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    base = tmp_path_factory.mktemp("trap")
    secret, folder = base / "secret.txt", base / "out"
    secret.write_text(CANARY + "\n")
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trap = Trap(secret, folder, listener.getsockname()[1])
        listener.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, peer = listener.accept()
                except TimeoutError:
                    continue
                trap.connections.append(peer)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield trap
        stop.set()
        thread.join()


def holdings(ask: Ask) -> str:
    tables = "SELECT name FROM system.tables WHERE database = 'spanledger' ORDER BY name"
    return ask("SELECT count(), sum(cost_usd) FROM llm_costs").text + ask(tables).text


@pytest.fixture(scope="module", autouse=True)
def before(ask: Ask) -> str:
    """What the store held before the first attack."""
    return holdings(ask)


def test_there_are_at_least_60_attacks() -> None:
    assert len({sql for sql, _ in ATTACKS}) >= 60


@pytest.mark.parametrize(("sql", "codes"), ATTACKS, ids=[sql for sql, _ in ATTACKS])
def test_attack_is_refused_and_touches_nothing(ask: Ask, trap: Trap, sql: str, codes: list[int]) -> None:
    answer = ask(trap.fill(sql))
    assert int(answer.headers.get("x-clickhouse-exception-code", 0)) in codes, answer.text
    assert answer.status_code >= 400
    assert CANARY not in answer.text
    assert list(trap.folder.iterdir()) == []
    assert trap.connections == []


@pytest.mark.parametrize(("sql", "codes"), ATTACKS[::15], ids=[sql for sql, _ in ATTACKS[::15]])
def test_attack_is_refused_over_get_too(http: httpx.Client, trap: Trap, sql: str, codes: list[int]) -> None:
    answer = http.get("/", params={"query": trap.fill(sql)})
    assert int(answer.headers.get("x-clickhouse-exception-code", 0)) in codes, answer.text


def test_the_store_is_as_it_was_after_all_that(ask: Ask, before: str) -> None:
    assert holdings(ask) == before


@pytest.mark.parametrize(
    ("sql", "params", "code"),
    [
        ("SELECT * FROM {t:Identifier}", {"param_t": "$SECRET"}, 497),
        ("SELECT * FROM {d:Identifier}.{t:Identifier}", {"param_d": "system", "param_t": "users"}, 497),
        ("SELECT * FROM {d:Identifier}.tables", {"param_d": "default"}, 497),
        ("SELECT 1 IN {t:Identifier}", {"param_t": "$SECRET"}, 497),
        ("SELECT 1 IN ({t:Identifier})", {"param_t": "system.users"}, 497),
        ("USE {d:Identifier}", {"param_d": "/etc"}, 497),
        ("SELECT * FROM {t:Identifier}", {}, 456),
        ("SELECT 1", {"database": "/etc"}, 497),
        ("SELECT * FROM users", {"database": "system"}, 497),
        ("WITH users AS (SELECT 1) SELECT * FROM (SELECT * FROM users)", {"database": "system"}, 497),
        ("SELECT 'x' IN processes", {"database": "system"}, 497),
        ("SELECT 'x' NOT IN (processes)", {"database": "system"}, 497),
        ("WITH processes AS p SELECT 'x' IN p", {"database": "system"}, 497),
        ("WITH processes AS p, p AS q SELECT 'x' GLOBAL IN q", {"database": "system"}, 497),
        ("WITH (1, 2) AS p SELECT (WITH processes AS p SELECT 'x' IN p)", {"database": "system"}, 497),
        ("WITH `/etc/passwd` AS p SELECT 'x' IN p", {}, 497),
        ("WITH (1, 2) AS p SELECT (WITH `/etc/passwd` AS p SELECT 'x' IN p)", {}, 497),
        ("SELECT 'x' IN nowhere", {}, 497),
        ("SELECT 1", {"format_schema": "$SECRET"}, 164),
        ("SELECT 1", {"user_files_path": "/"}, 164),
        ("SELECT 1", {"dialect": "clickhouse_json"}, 164),
        ("SELECT 1", {"allow_ddl": "1"}, 164),
        ("SELECT 1", {"max_threads": "1', readonly='0"}, 0),
        ("SELECT 1", {"max_threads=1, readonly": "0"}, 115),
        ("SELECT 1", {"default_format": "Template"}, 73),
        ("SELECT count() FROM calls", {"additional_table_filters": "{'calls': 'file(\\'$SECRET\\') = 1'}"}, 497),
        ("SELECT 1", {"additional_table_filters": "{}, readonly = 0"}, 36),
        ("SELECT 1", {"additional_table_filters": "(SELECT file('$SECRET'))"}, 62),
        ("SELECT 1", {"readonly": "0"}, 164),
        (" /* */", {"query": "SELECT file('$SECRET')"}, 497),
        ("FROM system.users", {"query": "SELECT *"}, 497),
    ],
)
def test_attack_by_parameter_is_refused(ask: Ask, trap: Trap, sql: str, params: dict[str, str], code: int) -> None:
    filled = {name: trap.fill(value) for name, value in params.items()}
    answer = ask(sql, **filled)
    found = int(answer.headers.get("x-clickhouse-exception-code", 0))
    assert found == code or (code == 0 and found), answer.text
    assert CANARY not in answer.text


def test_refusals_say_what_and_why(ask: Ask) -> None:
    assert "function file is not allowed: it reads or shows files" in ask("SELECT file('/x')").text
    assert "table function url is not allowed" in ask("SELECT * FROM url('http://x')").text
    assert "this endpoint only reads" in ask("DROP TABLE calls").text
    assert "INTO OUTFILE" in ask("SELECT 1 INTO OUTFILE '/tmp/x'").text
    assert "there are: " in ask("SELECT * FROM cals").text
