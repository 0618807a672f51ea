"""What people and their tools ask is answered. The list is in legitimate.sql."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

LINES = (Path(__file__).parent / "legitimate.sql").read_text().splitlines()
QUERIES = [line for line in LINES if line and not line.startswith("--")]
Ask = Callable[..., httpx.Response]


def test_there_are_at_least_40_queries() -> None:
    assert len(set(QUERIES)) >= 40


@pytest.mark.parametrize("sql", QUERIES)
def test_query_is_answered(ask: Ask, sql: str) -> None:
    answer = ask(sql)
    assert answer.status_code == 200, answer.text
    assert "x-clickhouse-query-id" in answer.headers


def test_hidden_columns_stay_hidden_and_the_rest_is_there(ask: Ask) -> None:
    columns = ask("SELECT * FROM system.tables LIMIT 1 FORMAT TSVWithNames").text.splitlines()[0].split("\t")
    assert "engine" in columns
    assert not {"data_paths", "metadata_path"} & set(columns)
    assert ask("SELECT data_paths FROM system.tables").headers["x-clickhouse-exception-code"] == "47"


def test_results_are_those_of_the_text_as_it_was_sent(ask: Ask) -> None:
    """What runs is written anew from the tree; column names and values must not change by that."""
    sql = "SELECT 1 + 2 * 3 AS a, (1 + 2) * 3, - -1, NOT (1 AND 0), 'a''b\\n', 1e3, 0.1 FORMAT TSVWithNames"
    names, values = ask(sql).text.splitlines()
    assert values == "7\t9\t1\t1\ta\\'b\\n\t1000\t0.1"
    assert names.split("\t")[:2] == ["a", "multiply(plus(1, 2), 3)"]


def test_statement_settings_and_formats_apply(ask: Ask) -> None:
    sql = "SELECT toInt64(1) AS x FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 1"
    assert ask(sql).text == '{"x":"1"}\n'
    assert ask("SELECT number FROM numbers(3) SETTINGS limit = 2").text == "0\n1\n"
    kept = ask(
        "SELECT count() FROM calls SETTINGS additional_table_filters = {'spanledger.calls': 'agent_id = \\'coder\\''}"
    )
    assert kept.text == "100\n"
