"""The allow-lists against the engine they are about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import chdb
import pytest

from spanledger.sqlport import parsing, rules
from spanledger.sqlport.engine import Handle
from spanledger.sqlport.errors import SqlError
from spanledger.sqlport.gate import Gate, Scope
from spanledger_exporter.store import Store

ROOT = Path(__file__).resolve().parents[2]
RULES = rules.load()


@pytest.fixture(scope="module")
def handle(store: Store) -> Iterator[Handle]:
    opened = chdb.connect(str(store.address.path))
    yield opened
    opened.close()


def names(handle: Handle, sql: str) -> set[str]:
    return set((handle.query(sql, "TSVRaw").bytes() or b"").decode().split())


def judged(handle: Handle, sql: str, **params: str) -> None:
    tables = parsing.table_names(handle, "spanledger")
    statement = parsing.parse(handle, sql, RULES)
    if statement.tree is not None:
        Gate(RULES, Scope("spanledger", "spanledger", tables, tables, params)).judge(statement.tree)


def test_every_function_of_the_engine_is_either_allowed_or_refused_with_a_reason(handle: Handle) -> None:
    """A new engine brings new functions: look at each before it is let in, and write it into functions.toml."""
    known = names(handle, "SELECT name FROM system.functions WHERE origin = 'System'")
    undecided = {n for n in known if not RULES.allows_function(n) and n.lower() not in RULES.refused_functions}
    assert undecided == set()


def test_no_refused_name_is_allowed_in_other_letters() -> None:
    allowed = [name for name in RULES.refused_functions if RULES.allows_function(name)]
    assert allowed == []


def test_allowed_functions_are_the_engines_own(handle: Handle) -> None:
    known = {name.lower() for name in names(handle, "SELECT name FROM system.functions")}
    syntax = {"lambda", "untuple", "exists", "grouping"}
    assert (RULES.functions | RULES.aggregates) - known - syntax == set()


def test_combinators_are_those_of_the_engine(handle: Handle) -> None:
    known = names(handle, "SELECT name FROM system.aggregate_function_combinators")
    assert all(RULES.allows_function(f"sum{end}") for end in known)
    assert RULES.allows_function("uniqExactArrayIf")
    assert not RULES.allows_function("fileIf")
    assert not RULES.allows_function("IfState")


def test_tables_and_table_functions_exist(handle: Handle) -> None:
    system = names(handle, "SELECT name FROM system.tables WHERE database = 'system'")
    assert RULES.tables["system"] <= system
    schema = names(handle, "SELECT name FROM system.tables WHERE database = 'information_schema'")
    assert RULES.tables["information_schema"] <= schema
    functions = {n.lower() for n in names(handle, "SELECT name FROM system.table_functions")}
    assert RULES.table_functions - functions <= {"primes"}


def test_no_function_is_also_a_table_function_that_is_refused(handle: Handle) -> None:
    """The engine takes a function on the right of IN for a table function if there is one of that name."""
    both = {n for n in names(handle, "SELECT name FROM system.table_functions") if RULES.allows_function(n)}
    # Makes rows of the text it is given.
    assert both - {"format"} == set()


def test_hidden_columns_exist_and_no_other_column_shows_a_path(handle: Handle) -> None:
    sql = "SELECT concat(table, '.', name) FROM system.columns WHERE database = 'system' AND name LIKE '%path%'"
    hidden = {f"{table.removeprefix('system.')}.{c}" for table, cs in RULES.hidden_columns.items() for c in cs}
    shown = {name for name in names(handle, sql) if name.split(".")[0] in RULES.tables["system"]}
    assert shown == hidden


def test_settings_exist_and_none_of_them_names_a_file(handle: Handle) -> None:
    known = names(handle, "SELECT name FROM system.settings")
    assert RULES.free_settings - known == set()
    allowed = {name for name in known if RULES.allows_setting(name)}
    suspicious = {n for n in allowed if any(w in n for w in ("path", "file", "schema", "url", "host", "dialect"))}
    assert suspicious <= {"output_format_parquet_bloom_filter_flush_threshold_bytes"}


def test_formats_are_the_engines_and_streams_can_follow_one_another(handle: Handle) -> None:
    known = names(handle, "SELECT name FROM system.formats WHERE is_output")
    assert set(RULES.formats.values()) - known == set()
    assert set(RULES.formats.values()) >= RULES.streamable
    for name in sorted(
        RULES.streamable - {"Null", "Native", "RowBinary", "LineAsString", "Raw", "TSVRaw", "TabSeparatedRaw"}
    ):
        sql = "SELECT number, 'x' AS y FROM numbers(200000)"
        stream = chdb_blocks(handle, sql, name)
        whole = handle.query(sql, name).bytes() or b""
        assert stream == whole, name


def chdb_blocks(handle: Handle, sql: str, output_format: str) -> bytes:
    stream = handle.send_query(sql, output_format)
    parts = []
    while (part := stream.fetch()) is not None:
        parts.append(part.bytes() or b"")
    return b"".join(parts)


def test_the_products_own_queries_pass(handle: Handle) -> None:
    checked = 0
    for path in sorted((ROOT / "schemas" / "queries").glob("*.sql")):
        if path.name.startswith(("report", "doctor")):
            judged(handle, path.read_text())
            checked += 1
    assert checked


def raw_queries(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "rawSql" and isinstance(value, str):
                yield value
            yield from raw_queries(value)
    elif isinstance(node, list):
        for item in node:
            yield from raw_queries(item)


def test_dashboards_call_nothing_that_is_refused(handle: Handle) -> None:
    """Variables and macros are filled in by Grafana; here they only have to parse."""
    boards = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
    if not boards:
        pytest.skip("there are no dashboards in grafana/dashboards")
    refused = []
    for board in boards:
        for sql in raw_queries(json.loads(board.read_text())):
            try:
                judged(handle, expanded(sql))
            except SqlError as error:
                if error.code in (164, 497):
                    refused.append(f"{board.name}: {error}")
    assert refused == []


def expanded(sql: str) -> str:
    """Enough of the plugin's macros for the text to parse; what still does not parse is its own tests' affair."""
    for macro in ("$__timeFilter", "$__timeFilter_ms", "$__dateFilter", "$__timeInterval", "$__conditionalAll"):
        sql = sql.replace(f"{macro}(", "tuple(")
    return sql.replace("$__", "").replace("${", "").replace("$", "")
