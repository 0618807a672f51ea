"""docs/queries.md: twenty questions, every one asked of the store, the ones about money against exact arithmetic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanledger_exporter.store import Store
from tools.dashboards.fleet import BUDGETS, NOW, Call

PAGE = (Path(__file__).resolve().parents[2] / "docs/queries.md").read_text()
QUESTIONS = dict(re.findall(r"^## (\d+\. [^\n]+)\n.*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
WEEK = timedelta(days=7)


def at_now(sql: str) -> str:
    """With the clock of the fleet, and a model it has."""
    return sql.replace("now()", f"toDateTime({int(NOW.timestamp())}, 'UTC')").replace("gpt-4o-mini", "small")


def answer(store: Store, number: int) -> list[dict[str, Any]]:
    (sql,) = [sql for title, sql in QUESTIONS.items() if title.startswith(f"{number}. ")]
    with store.lease() as client:
        got = client.query(at_now(sql))
        return [dict(zip(got.column_names, row, strict=True)) for row in got.result_rows]


def usd(calls: Sequence[Call]) -> Decimal:
    return Decimal(sum(call["cost_usd"] or 0 for call in calls)).scaleb(-12)


def after(calls: Sequence[Call], age: timedelta, agent: str | None = None) -> list[Call]:
    """Calls of whole hours that begin within `age` before now: what rollups can tell."""
    start = NOW - age
    return [
        call
        for call in calls
        if call["timestamp"].replace(minute=0, second=0, microsecond=0) >= start and agent in (None, call["agent_id"])
    ]


def test_there_are_twenty() -> None:
    assert [int(title.partition(".")[0]) for title in QUESTIONS] == list(range(1, 21))
    assert all(title.endswith("?") for title in QUESTIONS)


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_has_an_answer(store: Store, title: str) -> None:
    rows = answer(store, int(title.partition(".")[0]))
    assert rows
    assert all(any(row[column] is not None for row in rows) for column in rows[0])


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_reads_views_only(title: str) -> None:
    sql = QUESTIONS[title]
    read = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_.]+)", sql)) - set(re.findall(r"\b(\w+) AS \(\s*SELECT", sql))
    assert read - {"rates"} <= {"calls", "hourly", "hourly_customer", "budgets"}
    assert max(map(len, sql.splitlines())) <= 120


def test_the_week_of_an_agent_is_the_sum_of_its_calls(store: Store, fleet: list[Call]) -> None:
    start = NOW.replace(hour=0, minute=0, second=0) - timedelta(days=6)
    mine = [call for call in fleet if call["agent_id"] == "researcher" and call["timestamp"] >= start]
    rows = answer(store, 1)
    assert len(rows) == 7
    assert sum(row["spend"] for row in rows) == usd(mine)
    assert sum(row["made"] for row in rows) == len(mine)


def test_volume_mix_tokens_and_price_are_the_change(store: Store, fleet: list[Call]) -> None:
    rows = {row["agent_id"]: row for row in answer(store, 3)}
    for agent in ("planner", "researcher", "writer"):
        row = rows[agent]
        now, both = usd(after(fleet, WEEK, agent)), usd(after(fleet, 2 * WEEK, agent))
        assert row["now_spent"] == pytest.approx(float(now))
        assert row["change"] == pytest.approx(float(now - (both - now)))
        assert row["volume"] + row["mix"] + row["tokens"] + row["price"] == pytest.approx(row["change"])
    # one model at unchanged rates, the cached part always the same: nothing is left for price or mix
    assert rows["researcher"]["mix"] == pytest.approx(0, abs=1e-9)
    assert abs(rows["researcher"]["price"]) < 0.001 * abs(rows["researcher"]["change"])


def test_the_dearest_calls_are_the_dearest(store: Store, fleet: list[Call]) -> None:
    recent = [call for call in fleet if call["timestamp"] >= NOW - WEEK and call["cost_usd"] is not None]
    dearest = sorted((call["cost_usd"] for call in recent), reverse=True)[:10]
    assert [row["cost_usd"] for row in answer(store, 4)] == [Decimal(cost).scaleb(-12) for cost in dearest]


def test_customers_are_held_against_their_plan(store: Store, fleet: list[Call]) -> None:
    month = [call for call in fleet if call["timestamp"] >= NOW.replace(day=1, hour=0, minute=0, second=0)]
    rows = {row["customer_id"]: row for row in answer(store, 9)}
    (plan,) = [budget.amount for budget in BUDGETS if budget.scope == "customer"]
    acme = usd([call for call in month if call["customer_id"] == "acme"])
    assert (rows["acme"]["spend"], rows["acme"]["plan"]) == (acme, plan)
    assert rows["acme"]["used"] == pytest.approx(float(acme / plan))
    assert rows["globex"]["plan"] is None
    assert "" not in rows


def test_what_if_it_stayed_on_its_model(store: Store) -> None:
    with store.lease() as client:
        (sql,) = [sql for title, sql in QUESTIONS.items() if title.startswith("10. ")]
        got = client.query(at_now(sql.replace("gpt-4o-mini", "large")))
    ((model, spend, would_cost, _),) = got.result_rows
    assert model == "large"
    # its rates of thirty days are those of the week: prices of the fleet do not change
    assert would_cost == pytest.approx(float(spend))


def test_failed_money_is_that_of_failed_calls(store: Store, fleet: list[Call]) -> None:
    failed = [call for call in fleet if call["timestamp"] >= NOW - WEEK and call["status"] == "error"]
    rows = answer(store, 8)
    assert sum(row["failed"] for row in rows) == len(failed)
    assert sum(row["failed_spend"] or 0 for row in rows) == usd(failed)
    retried = [call for call in fleet if call["trace"].startswith("retried") and call["status"] == "ok"]
    assert {row["agent_id"]: (row["retries"], row["retry_spend"]) for row in rows}["lab"] == (
        len(retried),
        usd(retried),
    )


def test_nobodys_money_is_that_without_a_customer(store: Store, fleet: list[Call]) -> None:
    nobodys = [call for call in after(fleet, WEEK) if call["customer_id"] == ""]
    assert sum(row["without_customer"] for row in answer(store, 18)) == usd(nobodys)
