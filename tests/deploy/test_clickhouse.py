"""Users, grants and cluster tables: parsed by the embedded engine, which has neither users nor replicas to run them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import pytest

from spanledger_exporter.sql import query_text, statements

Parse = Callable[[str], str]
_FILES = ("users.sql", "replicated.sql", "distributed.sql")
_HASH = "0" * 64


def script(deploy: Path, name: str) -> list[str]:
    return list(statements((deploy / "clickhouse" / name).read_text()))


@pytest.fixture(scope="module")
def parse() -> Iterator[Parse]:
    with clickhouse_connect.get_client(interface="chdb", path=":memory:") as client:
        yield lambda sql: str(client.command(f"EXPLAIN AST {sql}"))


@pytest.mark.parametrize("name", _FILES)
def test_statements_parse(deploy: Path, parse: Parse, name: str) -> None:
    found = script(deploy, name)
    assert len(found) > 5
    for statement in found:
        assert parse(re.sub(r"\w+_PASSWORD_SHA256", _HASH, statement)), statement


def test_a_slip_would_be_seen(parse: Parse) -> None:
    with pytest.raises(clickhouse_connect.driver.exceptions.Error):
        parse("GRANT SELECTT ON spanledger.calls TO spanledger_read")


def test_replicated_tables_are_those_of_the_schema(deploy: Path) -> None:
    """replicated.sql is what generate.py makes of schemas/; run it again when this fails."""
    spec = importlib.util.spec_from_file_location("generate", deploy / "clickhouse/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (deploy / "clickhouse/replicated.sql").read_text() == generate.script()


def test_no_table_of_a_cluster_is_left_unreplicated(deploy: Path) -> None:
    tables = [each for each in script(deploy, "replicated.sql") if "CREATE TABLE" in each]
    assert tables
    for table in tables:
        if "ENGINE = Null" in table:
            continue  # it keeps nothing
        assert re.search(r"ENGINE = Replicated(Replacing)?MergeTree", table), table
        assert "non_replicated" not in table


def test_grafana_reads_the_views_and_what_they_read_and_nothing_else(root: Path, deploy: Path) -> None:
    """A view runs with the rights of the reader, so its table is granted; no other table and no write is."""
    text = (deploy / "clickhouse/users.sql").read_text()
    grants = re.findall(r"^GRANT (\w+) ON spanledger\.(\S+) TO spanledger_read;$", text, re.M)
    assert {right for right, _ in grants} == {"SELECT"}
    granted = {name for _, name in grants}
    schema = "".join(file.read_text() for file in sorted((root / "schemas").glob("0*.sql"))) + query_text("calls")
    views = dict(re.findall(r"CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?(\w+) AS\s.*?\bFROM (\w+)", schema, re.S))
    assert granted == set(views) | set(views.values())


def test_writer_may_what_the_statements_of_the_store_do(deploy: Path) -> None:
    text = (deploy / "clickhouse/users.sql").read_text()
    grant = re.search(r"^GRANT ([^;]*?)\s+ON spanledger\.\* TO spanledger_write;$", text, re.M)
    assert grant is not None
    rights = {right.strip() for right in grant[1].split(",")}
    needed = {
        "SELECT", "INSERT", "CREATE TABLE", "CREATE VIEW", "DROP VIEW", "TRUNCATE",
        "ALTER DELETE", "ALTER TTL", "ALTER SETTINGS", "SYSTEM CLEANUP",
    }  # fmt: skip
    assert needed <= rights
    assert not {"ALL", "DROP TABLE", "DROP DATABASE"} & rights


def test_compose_puts_the_hashes_where_users_sql_has_places(deploy: Path) -> None:
    places = set(re.findall(r"BY '(\w+)'", (deploy / "clickhouse/users.sql").read_text()))
    assert places == set(re.findall(r"s/(\w+)/\$", (deploy / "compose/clickhouse/10-users.sh").read_text()))
    assert len(places) == 2
