"""The client library that Python users have, over real HTTP."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from spanledger.sqlport.server import SqlServer
from spanledger.sqlport.settings import SqlUser
from spanledger_exporter.store import Store

Connect = Callable[..., Client]


@pytest.fixture
def connect(server: SqlServer) -> Iterator[Connect]:
    opened: list[Client] = []

    def connect(**options: Any) -> Client:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, **options)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


@pytest.mark.parametrize("compress", [False, True, "gzip", "lz4", "zstd", "deflate"])
def test_rows_arrive_with_every_compression(connect: Connect, compress: bool | str) -> None:
    result = connect(compress=compress).query("SELECT agent_id, count() AS n FROM calls GROUP BY 1 ORDER BY 1")
    assert result.column_names == ("agent_id", "n")
    assert result.result_rows == [("coder", 100), ("it's", 100), ("planner", 100)]


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("toDecimal64('1.000000000001', 12)", Decimal("1.000000000001")),
        ("toNullable(toDecimal128('-79228162514264337593543.5', 1))", Decimal("-79228162514264337593543.5")),
        ("CAST(NULL AS Nullable(Decimal(18, 12)))", None),
        ("map('a', toUInt64(1))", {"a": 1}),
        ("CAST(map('a', 1) AS Map(LowCardinality(String), UInt64))", {"a": 1}),
        ("['x', 'y']", ["x", "y"]),
        ("CAST(['x'] AS Array(LowCardinality(String)))", ["x"]),
        ("[[1, 2], []]", [[1, 2], []]),
        ("tuple(1, 'a')", (1, "a")),
        ("toDateTime64('2026-11-01 01:02:03.456789', 6, 'UTC')", dt.datetime(2026, 11, 1, 1, 2, 3, 456789)),
        ("toDateTime('2026-11-01 01:02:03', 'UTC')", dt.datetime(2026, 11, 1, 1, 2, 3)),
        ("toDate('2026-11-01')", dt.date(2026, 11, 1)),
        ("toLowCardinality('x')", "x"),
        ("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")),
        ("toUInt64(18446744073709551615)", 18446744073709551615),
        ("true", True),
        ("CAST('ok' AS Enum8('ok' = 1))", "ok"),
        ("1.5", 1.5),
        ("'it''s \\\\ \\n é'", "it's \\ \n é"),
    ],
)
def test_values_arrive_as_what_they_are(connect: Connect, sql: str, value: object) -> None:
    assert connect().query(f"SELECT {sql}").result_rows == [(value,)]


def test_a_row_of_calls_arrives_exactly(connect: Connect) -> None:
    sql = "SELECT cost_usd, units, attributes, price_ids, input_tokens FROM calls ORDER BY timestamp LIMIT 2"
    assert connect().query(sql).result_rows == [
        (None, {"images": 0}, {"app.tenant": "x"}, ["line-1"], 100),
        (Decimal("0.001000000000"), {"images": 1}, {"app.tenant": "x"}, ["line-1"], 101),
    ]
    assert connect().query("SELECT * FROM calls").row_count == 300


def test_the_embedded_client_gives_the_same(connect: Connect, store: Store) -> None:
    sql = "SELECT * EXCEPT (ingested_at) FROM calls ORDER BY timestamp"
    with store.lease() as embedded:
        assert connect(tz_mode="aware").query(sql).result_rows == embedded.query(sql).result_rows


def test_parameters_are_bound_by_the_server(connect: Connect) -> None:
    sql = "SELECT {s:String}, {n:Int64}, {a:Array(String)}, {d:DateTime('UTC')}, {x:Nullable(Decimal(18, 12))}"
    values = {
        "s": "it's\\ \n\t`",
        "n": -5,
        "a": ["a'b", "c"],
        "d": dt.datetime(2026, 11, 1),
        "x": Decimal("0.000000000001"),
    }
    assert connect().query(sql, parameters=values).result_rows == [tuple(values.values())]
    by_client = connect().query("SELECT count() FROM calls WHERE agent_id = %(agent)s", parameters={"agent": "it's"})
    assert by_client.result_rows == [(100,)]


def test_empty_results_have_columns(connect: Connect) -> None:
    result = connect().query("SELECT agent_id, cost_usd FROM calls WHERE agent_id = 'nobody'")
    assert result.result_rows == []
    assert result.column_names == ("agent_id", "cost_usd")
    assert [kind.name for kind in result.column_types] == ["LowCardinality(String)", "Nullable(Decimal(18, 12))"]
    assert connect().query("SELECT agent_id FROM calls LIMIT 0").column_names == ("agent_id",)


def test_settings_that_may_be_made_are_seen_and_made(connect: Connect) -> None:
    client = connect(settings={"max_threads": 1})
    shown = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 1000})
    assert shown.result_rows == [(1000,)]
    assert client.server_settings["max_threads"].readonly == 0
    assert client.server_settings["format_schema"].readonly == 1


def test_errors_are_database_errors_with_codes(connect: Connect) -> None:
    for sql, code in (
        ("SELECT nope", 47),
        ("SELECT * FROM nope", 60),
        ("SELECT file('/etc/passwd')", 497),
        ("DROP TABLE calls", 164),
    ):
        with pytest.raises(DatabaseError, match=f"code: {code}"):
            connect().query(sql)
    with pytest.raises(DatabaseError, match="readonly"):
        connect().insert("llm_costs", [["x"]], column_names=["agent_id"])
    with pytest.raises(DatabaseError, match="readonly"):
        connect().command("CREATE TABLE x (a Int8) ENGINE = Memory")


def test_large_results_are_streamed(connect: Connect) -> None:
    client = connect()
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        assert sum(len(block) for block in stream) == 1_000_000
    with client.query_rows_stream("SELECT number FROM numbers(1000000)") as rows:
        assert next(iter(rows)) == (0,)


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_an_error_in_mid_stream_is_an_error(connect: Connect, compress: bool | str) -> None:
    sql = "SELECT number, throwIf(number = 2000000, 'gone wrong') FROM numbers(3000000)"
    with pytest.raises((StreamFailureError, DatabaseError), match="gone wrong"):
        connect(compress=compress).query(sql)


def test_raw_formats_and_commands(connect: Connect) -> None:
    client = connect()
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'
    assert client.command("SELECT count() FROM calls") == 300
    assert client.query("SHOW TABLES LIKE 'calls'").result_rows == [("calls",)]
    assert client.query("DESCRIBE TABLE hourly").row_count > 10
    assert client.ping()


def test_sessions_and_databases(connect: Connect) -> None:
    client = connect(session_id="ours")
    client.command("SET join_use_nulls = 1")
    assert client.command("SELECT getSetting('join_use_nulls')") in (1, "true", True)
    assert connect(database="system").query("SELECT count() > 0 FROM tables").result_rows == [(1,)]
    assert connect(username="grafana", password="pass word").command("SELECT 1") == 1
    with pytest.raises(DatabaseError, match="516"):
        connect(username="grafana", password="wrong")


def test_the_summary_says_what_was_read(connect: Connect) -> None:
    summary = connect().query("SELECT sum(input_tokens) FROM llm_costs").summary
    assert int(summary["read_rows"]) == 300
    assert int(summary["result_rows"]) == 1


def test_a_user_with_a_tenant_sees_its_rows_only(connect: Connect) -> None:
    client = connect(username="acme", password="pw")
    for sql in (
        "SELECT count(), groupUniqArray(tenant_id) FROM calls",
        "SELECT count(), groupUniqArray(tenant_id) FROM spanledger.calls AS c",
        "SELECT count(), groupUniqArray(tenant_id) FROM (SELECT * FROM calls)",
        "SELECT count(), groupUniqArray(tenant_id) FROM view(SELECT * FROM calls)",
        "WITH c AS (SELECT * FROM calls) SELECT count(), groupUniqArray(tenant_id) FROM c",
        "SELECT count(), groupUniqArray(b.tenant_id) FROM calls AS a RIGHT JOIN calls AS b USING (span_id)",
        "SELECT count(), groupUniqArray(tenant_id) FROM calls WHERE span_id IN (SELECT span_id FROM calls)",
        "SELECT count(), groupUniqArray(tenant_id) FROM calls WHERE tenant_id = 'acme' OR tenant_id = 'other' OR 1",
        "SELECT count(), groupUniqArray(tenant_id) FROM {t:Identifier}",
        "WITH llm_costs AS (SELECT 1) SELECT count(), groupUniqArray(tenant_id) FROM calls",
    ):
        assert client.query(sql, parameters={"t": "calls"}).result_rows == [(150, ["acme"])], sql
    hourly = client.query("SELECT sum(calls), groupUniqArray(tenant_id) FROM hourly").result_rows
    assert hourly == [(150, ["acme"])]
    assert client.query("SELECT tenant_id, amount_usd FROM budgets").result_rows == [("acme", 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM llm_costs",
        "SELECT * FROM llm_costs_hourly",
        "SELECT * FROM agent_partitions",
        "WITH llm_costs AS (SELECT 1) SELECT * FROM llm_costs",
        "WITH llm_costs AS (SELECT 1) SELECT * FROM spanledger.llm_costs",
        "SELECT * FROM (WITH llm_costs AS (SELECT 1) SELECT 1) AS a, llm_costs",
        "SELECT 'x' IN calls",
        "SELECT * FROM calls SETTINGS additional_table_filters = {}",
        "SELECT * FROM calls SETTINGS additional_table_filters = {'calls': '1'}",
        "SET additional_table_filters = {}",
        "SELECT * FROM system.parts",
        "SELECT total_rows FROM system.tables",
        "SELECT data_compressed_bytes FROM system.columns",
        "SELECT table_rows FROM information_schema.tables",
        "SELECT TABLE_ROWS FROM information_schema.tables",
        "SELECT data_length, index_length FROM information_schema.TABLES",
        "SELECT DATA_LENGTH FROM information_schema.TABLES",
        "SELECT t.INDEX_LENGTH FROM information_schema.TABLES AS t",
        "SELECT table_rows FROM INFORMATION_SCHEMA.TABLES",
        "EXPLAIN indexes = 1 SELECT * FROM calls",
        "EXPLAIN ESTIMATE SELECT * FROM calls",
        "SELECT * FROM merge('spanledger', '.*')",
    ],
)
def test_a_user_with_a_tenant_cannot_leave_it(connect: Connect, sql: str) -> None:
    with pytest.raises(DatabaseError, match=r"code: (497|164|62|47)"):
        connect(username="acme", password="pw").query(sql)


@pytest.mark.parametrize("table", ["tables", "TABLES"])
def test_a_user_with_a_tenant_still_sees_which_tables_there_are(connect: Connect, table: str) -> None:
    sql = f"SELECT * FROM information_schema.{table} WHERE table_name = 'calls'"
    result = connect(username="acme", password="pw").query(sql)
    assert result.row_count == 1
    assert not {"table_rows", "data_length", "index_length"} & {name.lower() for name in result.column_names}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM calls WHERE throwIf(tenant_id = 'other') = 0",
        "SELECT count() FROM (SELECT * FROM calls WHERE throwIf(tenant_id = 'other') = 0)",
        "SELECT count() FROM calls WHERE throwIf(tenant_id = 'other') = 0 AND agent_id LIKE '%'",
        "SELECT count() FROM calls WHERE agent_id = 'coder' OR throwIf(tenant_id = 'other') = 0",
        "SELECT count() FROM calls GROUP BY throwIf(tenant_id = 'other')",
        "SELECT max(throwIf(tenant_id = 'other')) FROM calls",
        "SELECT count() FROM hourly WHERE throwIf(tenant_id = 'other') = 0",
    ],
)
def test_rows_of_other_tenants_do_not_even_cause_errors(connect: Connect, sql: str) -> None:
    result = connect(username="acme", password="pw").query(sql)
    assert result.row_count == 1
    assert int(result.summary["read_rows"]) == 0


def test_a_tenants_name_may_hold_anything(serve: Callable[..., SqlServer]) -> None:
    name = "it's \\ 'acme' OR 1 = 1 --\n`é"
    server = serve(users=(SqlUser("odd", tenant=name),))
    with clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="odd") as client:
        assert client.query("SELECT count() FROM calls").result_rows == [(0,)]
        shown = client.query("SELECT getSetting('additional_table_filters')['spanledger.calls']").result_rows[0][0]
    assert shown.startswith("tenant_id = 'it\\'s")
