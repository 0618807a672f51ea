"""`hourly` and `hourly_customer` equal the sums of `calls` to the last digit, whatever happened in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from spanledger_core.calls import CallKey
from spanledger_core.clock import ManualClock
from spanledger_core.errors import StoreError
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter import rollups
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.hours import minutes_of
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.sql import query_text
from spanledger_exporter.store import Store, open_store

Row = Callable[..., CallRow]
HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US
START = START_US // 1_000_000
TOKENS = [name for name in CALL_COLUMNS if name.endswith("_tokens")]
DOLLARS = [name for name in CALL_COLUMNS if name.endswith("cost_usd")]
DIMENSIONS = {
    "hourly": ["hour", "tenant_id", "agent_id", "service_name", "provider", "model", "environment"],
    "hourly_customer": ["hour", "tenant_id", "team", "customer_id", "agent_id"],
}
STATUSES = ["priced", "free", "partial", "reported", "unpriced_model", "no_usage", "not_billed", "bad_usage"]


def summed_calls(view: str) -> str:
    dimensions = ", ".join(name for name in DIMENSIONS[view] if name != "hour")
    sums = ", ".join(f"sum(calls.{name})" for name in TOKENS + DOLLARS)
    return (
        f"SELECT toDateTime(toStartOfHour(timestamp), 'UTC') AS hour, {dimensions}, count(), countIf(status = 'error'),"
        f" countIf(cost_usd IS NULL AND cost_status != 'not_billed'), {sums}"
        f" FROM calls GROUP BY hour, {dimensions} ORDER BY ALL"
    )


def rolled_up(view: str) -> str:
    columns = ", ".join([*DIMENSIONS[view], "calls", "errors", "unpriced_calls", *TOKENS, *DOLLARS])
    return f"SELECT {columns} FROM {view} ORDER BY ALL"


def assert_rollups_are_right(store: Store) -> None:
    for view in DIMENSIONS:
        assert store.query(rolled_up(view)) == store.query(summed_calls(view))


def random_row(row: Row, rng: random.Random, number: int, version: int) -> CallRow:
    status = rng.choice(STATUSES)
    known = status in ("priced", "free", "partial", "reported")
    costs = {name: rng.randrange(10 ** rng.randrange(1, 17)) if known else None for name in DOLLARS}
    tokens = {name: rng.randrange(10**6) for name in TOKENS}
    if rng.random() < 0.3:
        tokens["input_tokens"] = tokens["output_tokens"] = None
    return row(
        number,
        timestamp=START_US + rng.randrange(3 * HOUR_US),
        agent_id=rng.choice(["a", "b", "c"]),
        tenant_id=rng.choice(["", "acme"]),
        customer_id=rng.choice(["", "x", "y"]),
        team=rng.choice(["", "t"]),
        environment=rng.choice(["", "prod"]),
        model=rng.choice(["gpt-5", "claude"]),
        status=rng.choice(["ok", "error"]),
        cost_status=status,
        version=version,
        **costs,
        **tokens,
    )


def key_of(row: CallRow) -> CallKey:
    values = dict(zip(CALL_COLUMNS, row, strict=True))
    ids = bytes.fromhex(values["trace_id"]), bytes.fromhex(values["span_id"])
    return CallKey(*ids, values["timestamp"] * 1000, values["agent_id"], values["tenant_id"])


def test_the_views_have_exactly_the_declared_columns(store: Store) -> None:
    for view, dimensions in DIMENSIONS.items():
        columns = [name for name, *_ in store.query(f"DESCRIBE TABLE {view}")]
        assert columns == [*dimensions, "calls", "errors", "unpriced_calls", *TOKENS, *DOLLARS]


@pytest.mark.parametrize("seed", range(2))
def test_rollups_equal_calls_after_random_puts_and_deletes(store: Store, row: Row, seed: int) -> None:
    rng = random.Random(seed)
    standing: dict[int, CallRow] = {}
    for step in range(5):
        rows, tombstones = [], []
        for number in rng.sample(range(60), 25):
            version = START_US + step * 1000 + number
            if number in standing:
                tombstones.append((key_of(standing.pop(number)), version))
            if rng.random() < 0.7:
                standing[number] = random_row(row, rng, number, version + 1)
                rows.append(standing[number])
        store.book(rows, tombstones, f"step {step}")
        store.rebuild_rollups([START, START + 3600, START + 7200])
        assert_rollups_are_right(store)
    assert store.query("SELECT count() FROM calls") == [(len(standing),)]


def test_an_hour_whose_calls_are_all_withdrawn_is_empty(store: Store, row: Row) -> None:
    only = row(timestamp=START_US, version=1)
    store.book([only], [], "1")
    store.rebuild_rollups([START])
    assert store.query("SELECT calls FROM hourly") == [(1,)]
    store.book([], [(key_of(only), 2)], "2")
    store.rebuild_rollups([START])
    assert store.query("SELECT count() FROM hourly") == [(0,)]
    assert store.query("SELECT count() FROM hourly_customer") == [(0,)]
    store.book([row(timestamp=START_US, version=3)], [], "3")
    store.rebuild_rollups([START])
    assert_rollups_are_right(store)


def test_unknown_is_null_and_counted_never_zero(store: Store, row: Row) -> None:
    unknown = dict.fromkeys(DOLLARS) | {"cost_status": "unpriced_model"}
    store.book([row(1, timestamp=START_US, **unknown), row(2, timestamp=START_US, **unknown)], [], "1")
    store.rebuild_rollups([START])
    assert store.query("SELECT calls, unpriced_calls, cost_usd FROM hourly") == [(2, 2, None)]


def test_only_the_asked_hours_are_rebuilt(store: Store, row: Row) -> None:
    store.book([row(number, timestamp=START_US + number * HOUR_US) for number in range(5)], [], "1")
    store.rebuild_rollups([START, START + 2 * 3600])
    assert store.query("SELECT toUnixTimestamp(hour) FROM hourly ORDER BY hour") == [(START,), (START + 7200,)]


def test_months_of_hours_at_once(store: Store, row: Row) -> None:
    """A replay touches more partitions than one insert may write."""
    rows = [row(day, timestamp=START_US - day * 24 * HOUR_US, agent_id=f"a{day % 7}") for day in range(110)]
    store.book(rows, [], "1")
    store.rebuild_rollups([row[0] // HOUR_US * 3600 for row in rows])
    assert_rollups_are_right(store)


@pytest.mark.parametrize("seed", range(2))
def test_an_hour_under_way_is_right_minute_by_minute(address: StoreAddress, row: Row, seed: int) -> None:
    """Whatever part of it is rebuilt, by which process, while it becomes an hour that is over."""
    rng = random.Random(seed)
    clock = ManualClock((START_US + HOUR_US) * 1000)
    standing: dict[int, CallRow] = {}
    for step in range(9):
        with open_store(address, StoreSettings(), clock) as store:
            store.migrate()
            for turn in range(2):
                rows, tombstones = [], []
                for number in rng.sample(range(60), 12):
                    version = START_US + (2 * step + turn) * 1000 + number
                    if number in standing:
                        tombstones.append((key_of(standing.pop(number)), version))
                    if rng.random() < 0.7:
                        standing[number] = random_row(row, rng, number, version + 1)
                        rows.append(standing[number])
                store.book(rows, tombstones, f"step {step} {turn}")
                store.rebuild_rollups(minutes_of(rows, tombstones))
                assert_rollups_are_right(store)
                clock.advance(rng.choice([60.0, 600.0, 3000.0, -600.0]))


def test_of_an_hour_under_way_only_the_minutes_that_changed_are_read(address: StoreAddress, row: Row) -> None:
    slices = "SELECT slice, calls, version FROM llm_costs_hourly FINAL ORDER BY slice"
    clock = ManualClock((START_US + HOUR_US) * 1000)
    with open_store(address, StoreSettings(), clock) as store:
        store.migrate()
        first = [row(minute, timestamp=START_US + minute * 60_000_000) for minute in (3, 4, 5)]
        store.book(first, [], "1")
        store.rebuild_rollups(minutes_of(first, []))
        before = store.query(slices)
        assert [row[:2] for row in before] == [(4, 1), (5, 1), (6, 1)]
        second = [row(9, timestamp=START_US + 4 * 60_000_000 + 7)]
        store.book(second, [], "2")
        store.rebuild_rollups(minutes_of(second, []))
        after = store.query(slices)
        assert (after[0], after[1][:2], after[2]) == (before[0], (5, 2), before[2])
        assert_rollups_are_right(store)


def test_an_hour_that_is_over_becomes_one_again(address: StoreAddress, row: Row) -> None:
    slices = "SELECT toUnixTimestamp(hour), slice, calls FROM llm_costs_hourly FINAL ORDER BY ALL"
    clock = ManualClock((START_US + HOUR_US) * 1000)
    with open_store(address, StoreSettings(), clock) as store:
        store.migrate()
        rows = [row(minute, timestamp=START_US + minute * 60_000_000) for minute in (3, 4)]
        store.book(rows, [], "1")
        store.rebuild_rollups(minutes_of(rows, []))
        clock.advance(3600.0)
        later = [row(9, timestamp=START_US + 2 * HOUR_US)]
        store.book(later, [], "2")
        store.rebuild_rollups(minutes_of(later, []))
        assert store.query(slices) == [(START, 0, 2), (START + 7200, 1, 1)]
        assert_rollups_are_right(store)
    with open_store(address, StoreSettings(), clock) as store:
        assert START + 7200 in store.unrolled_hours()


def test_a_rebuild_whose_answer_was_lost_is_not_added_to(
    address: StoreAddress, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour became one, nobody learnt of it, and the clock goes back to where it is kept by minutes."""
    clock = ManualClock((START_US + HOUR_US) * 1000)
    with open_store(address, StoreSettings(), clock) as store:
        store.migrate()
        rows = [row(minute, timestamp=START_US + minute * 60_000_000) for minute in (3, 4)]
        store.book(rows, [], "1")
        store.rebuild_rollups(minutes_of(rows, []))
        clock.advance(3601.0)
        with monkeypatch.context() as lossy:
            lossy.setattr(
                rollups, "query_text", lambda name: query_text(name) if name != "rebuild_rollups" else "SELECT nonsense"
            )
            with pytest.raises(StoreError):
                store.rebuild_rollups([START])
        with open_store(address, StoreSettings(), clock) as other:
            other.rebuild_rollups([START])
        clock.advance(-2.0)
        later = [row(9, timestamp=START_US + 4 * 60_000_000 + 5)]
        store.book(later, [], "2")
        store.rebuild_rollups(minutes_of(later, []))
        assert_rollups_are_right(store)


def test_an_hour_becomes_one_though_the_first_try_failed(
    address: StoreAddress, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock((START_US + HOUR_US) * 1000)
    with open_store(address, StoreSettings(), clock) as store:
        store.migrate()
        rows = [row(minute, timestamp=START_US + minute * 60_000_000) for minute in (3, 4)]
        store.book(rows, [], "1")
        store.rebuild_rollups(minutes_of(rows, []))
        clock.advance(3601.0)
        with monkeypatch.context() as failing:
            failing.setattr(rollups, "query_text", lambda name: query_text(name) if "version" in name else "SELECT no")
            with pytest.raises(StoreError):
                store.rebuild_rollups([START + 7200])
        store.rebuild_rollups([START + 7200])
        assert store.query("SELECT DISTINCT slice FROM llm_costs_hourly FINAL") == [(0,)]
        assert_rollups_are_right(store)


def test_rebuilding_with_the_clock_set_back_still_wins(address: StoreAddress, row: Row) -> None:
    with open_store(address, StoreSettings(), ManualClock(START_US * 1000)) as store:
        store.migrate()
        store.book([row(1, timestamp=START_US)], [], "1")
        store.rebuild_rollups([START])
    with open_store(address, StoreSettings(), ManualClock(START_US * 1000 - 10**15)) as store:
        store.book([row(2, timestamp=START_US)], [], "2")
        store.rebuild_rollups([START])
        assert_rollups_are_right(store)


def test_what_a_crash_left_behind_is_found(store: Store, row: Row) -> None:
    hours = [START + number * 3600 for number in range(3)]
    store.book([row(number, timestamp=hour * 1_000_000) for number, hour in enumerate(hours)], [], "1")
    assert sorted(store.unrolled_hours()) == hours
    store.rebuild_rollups(store.unrolled_hours())
    assert_rollups_are_right(store)


def test_an_hour_is_never_seen_half_rebuilt(store: Store, row: Row) -> None:
    """The withdrawal of the old rows and the new ones come in one part of one insert."""
    store.book([row(number, timestamp=START_US, agent_id=f"a{number}") for number in range(50)], [], "1")
    for _ in range(3):
        store.rebuild_rollups([START])
    parts = store.query("SELECT _part, count() FROM llm_costs_hourly GROUP BY _part ORDER BY 1")
    assert all(rows >= 50 for _, rows in parts)
    versions = [version for (version,) in store.query("SELECT DISTINCT version FROM llm_costs_hourly FINAL ORDER BY 1")]
    assert all(later > earlier for earlier, later in pairwise(versions))
