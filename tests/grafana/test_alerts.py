"""Alert rules on seeded history: a planted fault fires its rule for its agent, and quiet weeks fire nothing.

The history is eight weeks of hourly sums of six agents that live differently. A fault is written over it with a higher
version and taken back after the test.
"""

from __future__ import annotations

import math
import os
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from spanledger_core.clock import ManualClock
from spanledger_exporter.budgets import Budget, replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from tools.dashboards.alerts import RULES, Rule
from tools.dashboards.asking import Grafana
from tools.dashboards.expand import Context
from tools.dashboards.fleet import AWKWARD, Call, Fleet, fill, micros

WEEKS = 8
END = datetime(2026, 11, 26, tzinfo=UTC)
START = END - timedelta(weeks=WEEKS)
HOUR = timedelta(hours=1)
STORE_RULES = [rule for rule in RULES if not rule.prometheus]
EVERY_HOUR = os.environ.get("SPANLEDGER_TEST_EVERY_HOUR")
SEED = int(EVERY_HOUR or 3)
AGENT_RULES = ("spend-high", "spend-low", "model-mix", "cost-per-success")
BUDGET_RULES = {"budget-pace", "budget-50", "budget-80", "budget-100"}


class Sum(NamedTuple):
    """One row of the rollups: what an agent did in an hour on a model."""

    hour: datetime
    agent: str
    model: str
    calls: int
    errors: int
    dollars: float


class Habit(NamedTuple):
    """How an agent lives."""

    agent: str
    models: Sequence[tuple[str, float, float]]
    """Model, part of the calls, dollars a call."""
    calls: Callable[[datetime], float]
    """Calls an hour, on average."""
    since: datetime = START


def office(hour: datetime) -> float:
    weekday = hour.weekday() < 5
    return (60 if 8 <= hour.hour < 19 else 6) * (1 if weekday else 0.3)


HABITS = (
    Habit("desk", [("small", 1, 0.004)], office),
    Habit("router", [("small", 0.85, 0.004), ("large", 0.15, 0.07)], lambda hour: 40),
    Habit("nightly", [("small", 1, 0.01)], lambda hour: 200 if hour.hour == 2 else 0),
    Habit("rare", [("huge", 1, 2.0)], lambda hour: 7 / 24),
    Habit("steady", [("small", 1, 0.004)], lambda hour: 120 + 20 * math.sin(hour.hour / 24 * 2 * math.pi)),
    Habit("O'Brien's \\ agent", [("small", 1, 0.006)], lambda hour: 25),
    Habit("fresh", [("small", 1, 0.004)], lambda hour: 50, END - timedelta(days=5)),
)


def history(seed: int = 3) -> dict[tuple[datetime, str, str], Sum]:
    """Eight quiet weeks: counts scatter like counts do, costs of calls by some half."""
    chance = random.Random(seed)
    rows = {}
    for number in range(WEEKS * 168):
        hour = START + number * HOUR
        for habit in HABITS:
            if hour < habit.since:
                continue
            for model, part, price in habit.models:
                count = poisson(chance, habit.calls(hour) * part)
                if count:
                    errors = poisson(chance, count * 0.02)
                    dollars = price * count * max(0.2, 1 + chance.gauss(0, 0.5) / math.sqrt(count))
                    rows[hour, habit.agent, model] = Sum(hour, habit.agent, model, count, min(errors, count), dollars)
    return rows


def poisson(chance: random.Random, mean: float) -> int:
    count, product, floor = 0, chance.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= chance.random()
    return count


def write(store: Store, rows: Iterable[Sum], version: int) -> None:
    """Over both rollups; a row without calls is withdrawn."""
    rows = list(rows)
    hourly = ["hour", "agent_id", "model", "calls", "errors", "cost_usd", "version", "is_deleted"]
    by_customer = ["hour", "agent_id", "customer_id", "team", *hourly[3:]]
    amounts = [(row.calls, row.errors, Decimal(f"{row.dollars:.12f}"), version, int(row.calls == 0)) for row in rows]
    with store.lease() as client:
        data = [[row.hour, row.agent, row.model, *rest] for row, rest in zip(rows, amounts, strict=True)]
        client.insert("llm_costs_hourly", data, column_names=hourly)
        data = [
            [row.hour, row.agent, f"{row.agent}'s customer {row.model}", f"team {row.agent}", *rest]
            for row, rest in zip(rows, amounts, strict=True)
        ]
        client.insert("llm_costs_hourly_customer", data, column_names=by_customer)


class World:
    """The history in a store, and what is planted in it."""

    def __init__(self, store: Store, rows: dict[tuple[datetime, str, str], Sum]) -> None:
        self.store = store
        self.rows = rows
        self.version = 1
        write(store, rows.values(), 1)

    def plant(self, rows: Iterable[Sum]) -> list[Sum]:
        """Write over; what it takes to undo it."""
        rows = list(rows)
        self.version += 1
        write(self.store, rows, self.version)
        stand = "SELECT count() FROM llm_costs_hourly WHERE version = {version:UInt64}"
        keys = [(row.hour, row.agent, row.model) for row in rows]
        assert self.store.query(stand, {"version": self.version}) == [(len(set(keys)),)], "what is planted stands"
        return [self.rows.get(key, row._replace(calls=0)) for key, row in zip(keys, rows, strict=True)]

    def changed(self, agent: str, start: datetime, end: datetime, change: Callable[[Sum], Sum]) -> list[Sum]:
        return [change(row) for row in self.rows.values() if row.agent == agent and start <= row.hour < end]

    def firing(self, at: datetime, rules: Sequence[Rule] = STORE_RULES) -> set[tuple[str, tuple[str, ...]]]:
        """Rule and labels of everything beyond its bound at `at`, and that long before as the rule waits."""
        found = set()
        for rule in rules:
            now = self._beyond(rule, at)
            if now and rule.wait != "0s":
                now &= self._beyond(rule, at - waiting(rule))
            found |= {(rule.name, labels) for labels in now}
        return found

    def _beyond(self, rule: Rule, at: datetime) -> set[tuple[str, ...]]:
        answer = Grafana(self.store).ask(rule.sql, Context(at - HOUR, at))
        return {
            tuple(map(str, row[:-1]))
            for row in answer.rows
            if (row[-1] > rule.bound if rule.comparison == "gt" else row[-1] < rule.bound)
        }


def waiting(rule: Rule) -> timedelta:
    return timedelta(minutes=int(rule.wait[:-1]) * (60 if rule.wait.endswith("h") else 1))


@pytest.fixture(scope="module")
def world(store: Store) -> Iterator[World]:
    """A database of its own beside the fleet's; no calls yet, sums only.

    Of its own each time: a worker may come back to this module, and versions begin anew.
    """
    address = replace(store.address, database=f"alerts_{secrets.token_hex(4)}")
    settings = StoreSettings(partitioning="day", retention_days=20_000, rollup_retention_days=20_000)
    with open_store(address, settings, ManualClock(micros(END) * 1000)) as opened:
        opened.migrate()
        yield World(opened, history(SEED))


@pytest.fixture
def planted(world: World) -> Iterator[Callable[[Iterable[Sum]], None]]:
    undo: list[Sum] = []
    yield lambda rows: undo.extend(world.plant(rows))
    world.plant(undo)


@pytest.fixture
def budgets(world: World) -> Iterator[Callable[..., None]]:
    yield lambda *wanted: replace_budgets(world.store, wanted, ManualClock())
    with world.store.lease() as client:
        client.command("TRUNCATE TABLE llm_budgets")


@pytest.fixture
def calls(world: World) -> Iterator[Callable[[Sequence[Call]], None]]:
    """Books calls without rolling them up: the sums stay those of the history."""

    def book(wanted: Sequence[Call]) -> None:
        fill(world.store, wanted, rollups=False)

    yield book
    with world.store.lease() as client:
        client.command("TRUNCATE TABLE llm_costs")


def spent(world: World, start: datetime, end: datetime, agent: str | None = None) -> Decimal:
    rows = (row for row in world.rows.values() if start <= row.hour < end and agent in (None, row.agent))
    return Decimal(f"{sum(row.dollars for row in rows):.6f}")


# -- quiet


def test_four_quiet_weeks_fire_nothing(world: World, budgets: Callable[..., None]) -> None:
    """Every rule on sums, at instants that fall on every hour of the day and every day of the week."""
    daily = {habit.agent: spent(world, START, END, habit.agent) / (END - habit.since).days for habit in HABITS}
    budgets(
        # twice a usual day or week is enough; who works once a night gets a budget for the week
        *(Budget("agent", agent, "week", 14 * each, START) for agent, each in daily.items()),
        *(Budget("agent", agent, "day", 4 * daily[agent], START) for agent in ("desk", "router", "steady")),
        Budget("total", "", "month", 62 * sum(daily.values()), START),
    )
    rules = [rule for rule in STORE_RULES if rule.board != "health"]
    used = [rule for rule in rules if rule.name not in ("budget-50", "budget-80")]
    for step in range(12):
        at = END - timedelta(weeks=4) + step * timedelta(hours=53) + timedelta(minutes=13 * step % 60)
        assert world.firing(at, used) == set(), at


@pytest.mark.skipif(EVERY_HOUR is None, reason="takes minutes: set SPANLEDGER_TEST_EVERY_HOUR to the seed of a fleet")
@pytest.mark.timeout(3600)
def test_no_hour_of_four_quiet_weeks_fires_a_rule_on_agents(world: World) -> None:
    rules = [rule for rule in STORE_RULES if rule.name in AGENT_RULES]
    assert len(rules) == len(AGENT_RULES)
    hours = [END - hour * HOUR for hour in range(4 * 7 * 24)]
    assert {at: found for at in hours if (found := world.firing(at, rules))} == {}


# -- one fault, one rule


AT = datetime(2026, 11, 25, 13, 20, tzinfo=UTC)
"""A Wednesday; the last full hour is that from 12:00."""
FULL = AT.replace(minute=0)


def test_nothing_is_wrong_before(world: World) -> None:
    assert {found for found in world.firing(AT) if found[0] != "silence"} == set()


@pytest.mark.parametrize("agent", ["steady", "desk", "router", "O'Brien's \\ agent"])
def test_four_times_the_calls_fire_for_that_agent(
    world: World, planted: Callable[[Iterable[Sum]], None], agent: str
) -> None:
    planted(
        world.changed(agent, FULL - HOUR, FULL, lambda row: row._replace(calls=row.calls * 4, dollars=row.dollars * 4))
    )
    assert world.firing(AT) == {("spend-high", (agent,))}


def test_a_rare_and_dear_agent_fires_by_what_it_costs(world: World, planted: Callable[[Iterable[Sum]], None]) -> None:
    planted([Sum(FULL - HOUR, "rare", "huge", 12, 0, 24.0)])
    assert world.firing(AT) == {("spend-high", ("rare",))}


def test_silence_of_one_agent_fires_low_after_a_second_hour(
    world: World, planted: Callable[[Iterable[Sum]], None]
) -> None:
    none = world.changed("steady", FULL - HOUR, FULL, lambda row: row._replace(calls=0))
    planted(none)
    assert world.firing(AT) == set()
    planted(world.changed("steady", FULL, FULL + HOUR, lambda row: row._replace(calls=0)))
    assert world.firing(AT + HOUR) == {("spend-low", ("steady",))}


def test_a_cheap_agent_on_a_costly_model_fires_the_mix(world: World, planted: Callable[[Iterable[Sum]], None]) -> None:
    """For the same money as before: no other rule could see it."""

    def fewer(row: Sum) -> Sum:
        return row._replace(calls=row.calls // 5, dollars=row.dollars / 5)

    start, end = FULL - 2 * HOUR, FULL + HOUR
    dear = [
        Sum(row.hour, "steady", "medium", row.calls // 4, 0, row.dollars * 0.8)
        for row in world.changed("steady", start, end, lambda row: row)
    ]
    planted([*world.changed("steady", start, end, fewer), *dear])
    assert world.firing(AT) == {("model-mix", ("steady",))}


def test_an_agent_that_always_used_both_models_is_quiet(world: World) -> None:
    assert {habit.agent for habit in HABITS if len(habit.models) > 1} == {"router"}
    rules = [rule for rule in RULES if rule.name == "model-mix"]
    for hours in range(48):
        assert world.firing(AT - hours * HOUR, rules) == set()


def test_paid_failures_double_the_cost_of_a_success(world: World, planted: Callable[[Iterable[Sum]], None]) -> None:
    start = FULL - 7 * HOUR
    planted(world.changed("desk", start, FULL, lambda row: row._replace(errors=row.calls * 3 // 5)))
    assert world.firing(AT) == {("cost-per-success", ("desk",))}


def test_thirty_percent_of_a_days_budget_in_two_hours(world: World, budgets: Callable[..., None]) -> None:
    day = datetime(2026, 11, 24, tzinfo=UTC)
    early = spent(world, day, day + 2 * HOUR, "steady")
    customer = "steady's customer small"
    budgets(Budget("customer", customer, "day", early / Decimal("0.3"), START))
    rules = [rule for rule in STORE_RULES if rule.name in BUDGET_RULES]
    labels = ("customer", customer, "day", "")
    assert world.firing(day + 2 * HOUR, rules) == {("budget-pace", labels)}
    # at noon as much is used as at noon may be: the pace is as far above 1 as the budget is too small
    assert ("budget-100", labels) in world.firing(day + 12 * HOUR, rules)


@pytest.mark.parametrize(
    ("part", "fired"), [("0.45", 0), ("0.55", 1), ("0.85", 2), ("1.05", 3)], ids=["45", "55", "85", "105"]
)
def test_budgets_tell_half_most_and_all(world: World, budgets: Callable[..., None], part: str, fired: int) -> None:
    month = AT.replace(day=1, hour=0, minute=0)
    used = spent(world, month, FULL + HOUR, "desk") / Decimal(part)
    budgets(Budget("team", "team desk", "month", used, START))
    rules = [rule for rule in STORE_RULES if rule.name in BUDGET_RULES]
    names = ["budget-50", "budget-80", "budget-100"][:fired]
    assert world.firing(AT + timedelta(minutes=40), rules) == {
        (name, ("team", "team desk", "month", "")) for name in names
    }


def test_the_budget_in_force_is_the_latest_that_has_begun(world: World, budgets: Callable[..., None]) -> None:
    used = spent(world, AT.replace(hour=0, minute=0), FULL + HOUR, "desk")
    budgets(
        Budget("agent", "desk", "day", used / 2, START),
        Budget("agent", "desk", "day", used * 3, AT - HOUR),
        Budget("agent", "desk", "day", used / 9, AT + HOUR),
        Budget("agent", "router", "day", Decimal("0.01"), START),
        Budget("agent", "router", "day", Decimal(0), AT - HOUR),
    )
    rules = [rule for rule in STORE_RULES if rule.name in BUDGET_RULES]
    assert world.firing(AT, rules) == set()


# -- faults of the data


def healthy(count: int = 60) -> list[Call]:
    made = Fleet(5)
    return [made.call(AT - timedelta(seconds=30 * number + 5)) for number in range(count)]


def test_calls_that_arrive_and_have_a_price_are_quiet(world: World, calls: Callable[[Sequence[Call]], None]) -> None:
    calls(healthy())
    assert world.firing(AT) == set()


def test_a_model_without_a_price_fires_by_its_name(world: World, calls: Callable[[Sequence[Call]], None]) -> None:
    unpriced = {"model": "", "request_model": "brand-new", "cost_status": "unpriced_model", "cost_usd": None}
    calls([*healthy(), *({**call, **unpriced, "provider": "acme"} for call in healthy(40)[30:])])
    assert world.firing(AT) == {("unpriced", ("acme", "brand-new"))}


def test_streams_without_usage_fire_for_their_service(world: World, calls: Callable[[Sequence[Call]], None]) -> None:
    silent = {"cost_status": "no_usage", "cost_usd": None, "input_tokens": None, "output_tokens": None}
    calls([*healthy(), *({**call, **silent, "service_name": "chat"} for call in healthy(80))])
    assert world.firing(AT) == {("missing-usage", ("chat", "opentelemetry.instrumentation.openai"))}


def test_no_new_rows_fire_silence(world: World, calls: Callable[[Sequence[Call]], None]) -> None:
    calls(healthy())
    assert world.firing(AT + timedelta(minutes=20)) == {("silence", ())}


def test_rows_that_come_late_fire_delay(world: World, calls: Callable[[Sequence[Call]], None]) -> None:
    late = [
        {**call, "ingested_at": micros(call["timestamp"] + timedelta(minutes=8)) // 1000}
        for call in (Fleet(6).call(AT - timedelta(minutes=8, seconds=20 * number)) for number in range(90))
    ]
    calls(late)
    assert world.firing(AT) == {("delay", ())}


def test_a_runaway_fires_what_describes_it_for_that_agent_alone(
    world: World, planted: Callable[[Iterable[Sum]], None], budgets: Callable[..., None]
) -> None:
    """All calls of a cheap agent go to a model 17 times dearer, for three hours."""
    dear = world.changed("desk", FULL - 2 * HOUR, FULL + HOUR, lambda row: row._replace(model="large",
                         dollars=row.dollars * 17))  # fmt: skip
    gone = world.changed("desk", FULL - 2 * HOUR, FULL + HOUR, lambda row: row._replace(calls=0))
    usual = spent(world, START, END, "desk") / (WEEKS * 7)
    budgets(Budget("agent", "desk", "day", usual * 3, START))
    planted([*dear, *gone])
    found = world.firing(AT)
    assert {name for name, _ in found} >= {"spend-high", "model-mix", "budget-100"}
    assert {("desk" in labels) for _, labels in found} == {True}


@pytest.mark.parametrize("rule", STORE_RULES, ids=lambda rule: rule.name)
def test_an_alert_query_is_one_number_and_texts(world: World, rule: Rule, calls: Any, budgets: Any) -> None:
    """Grafana makes an instance of each row and labels of its texts; a second number or a time would be an error."""
    calls(healthy())
    budgets(Budget("agent", "desk", "day", Decimal(5), START))
    assert "${" not in rule.sql
    assert "$__conditionalAll" not in rule.sql
    answer = Grafana(world.store).ask(rule.sql, Context(AT - HOUR, AT))
    *labels, number = answer.types
    assert answer.rows
    assert all(kind in ("String", "LowCardinality(String)") for kind in labels), answer.types
    assert number.removeprefix("Nullable(").startswith(("Float", "Int", "UInt"))
    named = set(answer.names[:-1])
    told = {word.split("}")[0].strip() for word in f"{rule.summary}".split("$labels.")[1:]}
    assert told <= named, "the summary names a label that the query does not give"


def test_an_awkward_agent_is_a_label_like_any_other(world: World, planted: Callable[[Iterable[Sum]], None]) -> None:
    for name in AWKWARD:
        hours = [FULL - (number + 1) * HOUR for number in range(400)]
        planted([Sum(hour, name, "small", 50, 0, 0.2) for hour in hours])
    planted([Sum(FULL - HOUR, name, "small", 500, 0, 20.0) for name in AWKWARD])
    rules = [rule for rule in RULES if rule.name == "spend-high"]
    assert world.firing(AT, rules) == {("spend-high", (name,)) for name in AWKWARD}
