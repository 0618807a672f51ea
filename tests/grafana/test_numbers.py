"""What the panels show, against the same worked out from the calls themselves in exact arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tools.dashboards.asking import Grafana, named, picked
from tools.dashboards.fleet import HOUR, NOW, TWIN, Call

START = NOW.replace(minute=0, second=0) - 24 * HOUR
RUNNING = NOW.replace(minute=0, second=0)
Numbers = Mapping[Any, Decimal]


def usd(calls: Iterable[Call]) -> Decimal:
    """Exact dollars of the calls whose cost is known."""
    return Decimal(sum(call["cost_usd"] or 0 for call in calls)).scaleb(-12)


def within(calls: Iterable[Call], start: datetime, end: datetime) -> list[Call]:
    return [call for call in calls if start <= call["timestamp"] < end]


def group(calls: Iterable[Call], key: Callable[[Call], Any]) -> dict[Any, list[Call]]:
    groups: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    return groups


def hour_of(call: Call) -> datetime:
    return call["timestamp"].replace(minute=0, second=0, microsecond=0)


def billed_unknown(call: Call) -> bool:
    return call["cost_usd"] is None and call["cost_status"] != "not_billed"


@pytest.fixture(scope="module")
def now_calls(fleet: list[Call]) -> list[Call]:
    return within(fleet, START, NOW)


@pytest.mark.parametrize(("board", "panel"), [("overview", "Spend A"), ("agent", "Spend A"), ("customer", "Spend A")])
def test_spend_is_the_sum_of_the_calls(grafana: Grafana, now_calls: list[Call], board: str, panel: str) -> None:
    assert grafana.ask(named(board, panel).sql, picked()).rows == [(usd(now_calls),)]


def test_a_picked_agent_is_its_calls_alone(grafana: Grafana, now_calls: list[Call]) -> None:
    mine = [call for call in now_calls if call["agent_id"] == "researcher"]
    assert grafana.ask(named("overview", "Spend A").sql, picked(agent=["researcher"])).rows == [(usd(mine),)]


def test_no_customer_can_be_picked(grafana: Grafana, now_calls: list[Call]) -> None:
    nobodys = [call for call in now_calls if call["customer_id"] == ""]
    assert grafana.ask(named("customer", "Spend A").sql, picked(customer=["(none)"])).rows == [(usd(nobodys),)]


def test_hourly_spend_by_agent(grafana: Grafana, now_calls: list[Call]) -> None:
    shown = {
        (row["time"], row["series"]): row["spend"] or 0
        for row in grafana.ask(named("overview", "Hourly spend by agent A").sql, picked()).dicts()
    }
    by_agent = {agent: usd(calls) for agent, calls in group(now_calls, lambda call: call["agent_id"]).items()}
    top = sorted(by_agent, key=lambda agent: (-by_agent[agent], agent))[:7]
    series = group(now_calls, lambda c: (hour_of(c), c["agent_id"] if c["agent_id"] in top else "others"))
    assert shown == {key: usd(calls) for key, calls in series.items()}


def test_wider_bars_hold_the_same_money(grafana: Grafana) -> None:
    sql = named("overview", "Hourly spend by agent A").sql
    narrow, wide = (
        sum(row["spend"] or 0 for row in grafana.ask(sql, picked(hours=480, interval_s=width)).dicts())
        for width in (3600, 21600)
    )
    assert narrow == wide


def test_the_table_of_agents(grafana: Grafana, fleet: list[Call], now_calls: list[Call]) -> None:
    rows = grafana.ask(named("overview", "Agents A").sql, picked()).dicts()
    groups = group(now_calls, lambda call: call["agent_id"])
    assert {row["agent"] for row in rows} == set(groups)
    complete = group(within(fleet, START, RUNNING), lambda call: call["agent_id"])
    before = group(within(fleet, START - 24 * HOUR, START), lambda call: call["agent_id"])
    for row in rows:
        mine = groups[row["agent"]]
        worked = [call for call in mine if call["status"] == "ok"]
        known = any(call["cost_usd"] is not None for call in mine)
        assert row["spend"] == (usd(mine) if known else None)
        assert (row["calls"], row["unknown_cost"]) == (len(mine), sum(map(billed_unknown, mine)))
        assert row["failed_share"] == pytest.approx(1 - len(worked) / len(mine))
        if known:
            assert row["share"] == pytest.approx(float(usd(mine) / usd(now_calls)))
            assert row["per_success"] == pytest.approx(float(usd(mine) / len(worked)))
            change = usd(complete[row["agent"]]) / usd(before[row["agent"]]) - 1
            assert row["change"] == pytest.approx(float(change))
        read, tokens = (sum(call[name] or 0 for call in mine) for name in ("cache_read_tokens", "input_tokens"))
        assert row["cache_share"] == pytest.approx(read / tokens)


def test_the_top_model_is_the_dearest_not_the_most_called(grafana: Grafana, now_calls: list[Call]) -> None:
    rows = grafana.ask(named("overview", "Agents A").sql, picked()).dicts()
    shown = {row["agent"]: row["top_model"] for row in rows}["planner"]
    models = group([call for call in now_calls if call["agent_id"] == "planner"], lambda call: call["model"])
    assert shown == max(models, key=lambda model: usd(models[model]))


def test_the_last_hour_is_sixty_minutes_to_the_second(grafana: Grafana, fleet: list[Call]) -> None:
    (answer,) = grafana.ask(named("overview", "Last hour A").sql, picked()).rows
    assert answer == (usd(within(fleet, NOW - HOUR, NOW)),)


def test_the_month_is_projected_from_what_is_spent_and_the_pace_of_seven_days(
    grafana: Grafana, fleet: list[Call]
) -> None:
    month = NOW.replace(day=1, hour=0, minute=0, second=0)
    week = NOW - timedelta(days=7)
    # from the first full hour inside the seven days on
    pace = usd(within(fleet, week.replace(minute=0, second=0) + HOUR, NOW)) / (7 * 24 * 3600)
    left = int((NOW.replace(month=12, day=1, hour=0, minute=0, second=0) - NOW).total_seconds())
    (answer,) = grafana.ask(named("overview", "Projected month A").sql, picked()).rows[0]
    assert answer == pytest.approx(float(usd(within(fleet, month, NOW)) + pace * left), rel=0.001)


@pytest.mark.parametrize("agent", ["planner", "researcher", "writer"])
def test_volume_mix_and_cost_per_call_add_up_to_the_change(grafana: Grafana, fleet: list[Call], agent: str) -> None:
    rows = grafana.ask(named("agent", "Why the spend changed A").sql, picked(agent=[agent])).dicts()
    assert rows
    for row in rows:
        parts = row["from_volume"] + row["from_mix"] + row["from_cost_per_call"]
        assert parts == pytest.approx(row["now"] - row["was"], abs=1e-12)
    now, before = (
        usd(call for call in within(fleet, start, start + 24 * HOUR) if call["agent_id"] == agent)
        for start in (START, START - 24 * HOUR)
    )
    assert sum(row["change"] for row in rows) == pytest.approx(float(now - before))
    mine = [call for call in within(fleet, START, RUNNING) if call["agent_id"] == agent]
    assert sum(row["calls_now"] for row in rows) == len(mine)


def test_the_runaway_is_told_from_what_is_usual(grafana: Grafana) -> None:
    rows = grafana.ask(named("hourly", "Is this usual? A").sql, picked(environment=["production"])).dicts()
    sigmas = {row["agent"]: row["sigmas"] for row in rows}
    assert sigmas["researcher"] > 3
    assert abs(sigmas["writer"]) < 3


def test_sigmas_are_those_of_twelve_hours(grafana: Grafana, fleet: list[Call]) -> None:
    latest = RUNNING - HOUR
    mine = [call for call in fleet if call["agent_id"] == "researcher"]
    hours = [latest - timedelta(days=7 * week) + side * HOUR for week in range(1, 5) for side in (-1, 0, 1)]
    spent = [float(usd(within(mine, hour, hour + HOUR))) for hour in hours]
    mean = sum(spent) / 12
    sigma = (sum((each - mean) ** 2 for each in spent) / 11) ** 0.5
    expected = (float(usd(within(mine, latest, latest + HOUR))) - mean) / max(sigma, mean / 4, 0.01)
    rows = grafana.ask(named("hourly", "Is this usual? A").sql, picked(agent=["researcher"])).dicts()
    assert [(row["usual"], row["sigmas"]) for row in rows] == [(pytest.approx(mean), pytest.approx(expected))]


def test_what_if_takes_the_rates_that_were_paid(grafana: Grafana) -> None:
    """A model that was billed at the same rates would have cost the same."""
    sql = named("model", "What if all ran on the chosen model A").sql
    (row,) = grafana.ask(sql, picked(agent=["researcher"], what_if=TWIN)).dicts()
    assert row["estimate"] == pytest.approx(float(row["spend"]))
    (row,) = grafana.ask(sql, picked(agent=["researcher"], what_if="large")).dicts()
    assert row["difference"] == pytest.approx(0, abs=1e-9)


def test_chargeback_counts_every_customer_once(grafana: Grafana, now_calls: list[Call]) -> None:
    rows = grafana.ask(named("customer", "Customers A").sql, picked()).dicts()
    table = {row["customer"]: row["spend"] for row in rows}
    groups = group(now_calls, lambda call: call["customer_id"] or "(none)")
    assert table == {customer: usd(calls) for customer, calls in groups.items()}


def test_panels_that_show_the_same_agree(grafana: Grafana) -> None:
    def total(board: str, panel: str, column: str = "spend") -> Decimal:
        return sum(
            (row[column] or Decimal() for row in grafana.ask(named(board, panel).sql, picked()).dicts()), Decimal()
        )

    spend = total("overview", "Spend A")
    assert spend > 0
    for board, panel in [
        ("overview", "Hourly spend by agent A"),
        ("overview", "Agents A"),
        ("agent", "Hourly spend, and a week before A"),
        ("agent", "Hourly spend by model A"),
        ("agent", "Where inside the agent A"),
        ("model", "Hourly spend by model A"),
        ("model", "Models A"),
        ("model", "Who uses it A"),
        ("hourly", "Hourly spend by agent A"),
        ("customer", "Spend by customer A"),
        ("customer", "Team, customer, agent A"),
    ]:
        assert total(board, panel) == spend, (board, panel)
    parts = grafana.ask(named("agent", "What the money is for A").sql, picked()).dicts()
    names = ("input", "output", "cache_read", "cache_write", "other")
    assert sum(row[name] for row in parts for name in names) == spend
