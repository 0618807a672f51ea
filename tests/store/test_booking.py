"""Booking: what is written stands once, whatever is sent again, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from clickhouse_connect.driver.client import Client

from spanledger_core.calls import CallKey
from spanledger_core.clock import ManualClock, SystemClock
from spanledger_core.errors import StoreRefused, StoreUnavailable
from spanledger_core.rows import CALL_COLUMNS, PHYSICAL_COLUMNS, CallRow, row_version
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.blocks import Block
from spanledger_exporter.booking import Booking, RowsUnfit
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

Row = Callable[..., CallRow]
DAY_US = 86_400_000_000
START_US = 1_790_000_000_000_000


def key_of(row: CallRow) -> CallKey:
    values = dict(zip(CALL_COLUMNS, row, strict=True))
    return CallKey(
        bytes.fromhex(values["trace_id"]),
        bytes.fromhex(values["span_id"]),
        values["timestamp"] * 1000,
        values["agent_id"],
        values["tenant_id"],
    )


def test_the_columns_of_the_table_and_of_calls_are_the_declared_ones(store: Store) -> None:
    assert tuple(name for name, *_ in store.query("DESCRIBE TABLE llm_costs")) == PHYSICAL_COLUMNS
    assert tuple(name for name, *_ in store.query("DESCRIBE TABLE calls")) == CALL_COLUMNS


def test_every_value_comes_back_as_it_was_booked(store: Store, row: Row) -> None:
    booked = row(
        time_to_first_token_ns=2**63,
        is_streaming=False,
        input_tokens=None,
        output_tokens=2**64 - 1,
        units={"web_searches": 3, "pages": 2**40},
        cost_usd=999_999_999_999_999_999,
        cache_savings_usd=-1,
        list_cost_usd=None,
        reported_cost_usd=0,
        absorbed_spans=["a:b", "c:d"],
        sampling_probability=0.1,
        attributes={"app.x": "é\n'\"\\"},
        version=row_version(START_US, generation=3),
    )
    store.book([booked, row(2)], [], "t")
    (values,) = store.query("SELECT * FROM calls WHERE span_id = '0000000000000001'")
    found = dict(zip(CALL_COLUMNS, values, strict=True))
    assert found["timestamp"].timestamp() * 1e6 == START_US
    assert found["timestamp"].utcoffset().total_seconds() == 0
    assert (found["cost_usd"], found["cache_savings_usd"]) == (
        Decimal("999999.999999999999"),
        Decimal("-0.000000000001"),
    )
    assert (found["list_cost_usd"], found["reported_cost_usd"]) == (None, 0)
    skip = {"timestamp", "settles_at", "ingested_at"} | {name for name in CALL_COLUMNS if name.endswith("_usd")}
    expected = dict(zip(CALL_COLUMNS, booked, strict=True))
    assert {k: v for k, v in found.items() if k not in skip} == {k: v for k, v in expected.items() if k not in skip}


def test_the_same_token_twice_is_one_batch(store: Store, row: Row) -> None:
    rows = [row(number, agent_id=f"a{number % 40}") for number in range(500)]
    store.book(rows, [], "batch-1")
    store.book(rows, [], "batch-1")
    assert store.query("SELECT count() FROM llm_costs") == [(500,)]


def test_a_torn_batch_is_completed_by_its_token(store: Store, row: Row) -> None:
    """Some partitions written, some not, then the same batch again."""
    rows = [row(number, agent_id=f"a{number % 10}") for number in range(100)]
    store.book(rows, [], "batch-1")
    with store.lease() as client:
        client.command("ALTER TABLE llm_costs DROP PARTITION ID {id:String}", {"id": partition_id(store, "a3")})
    assert store.query("SELECT count() FROM calls") == [(90,)]
    store.book(rows, [], "batch-1")
    assert store.query("SELECT count() FROM calls") == [(100,)]


def test_after_a_failure_the_token_is_believed_no_more(store: Store, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may have noted it for a part that is not there: what failed is written whole, and stands once."""
    send = Booking._send

    def cut_off(booking: Booking, client: Client, block: Block) -> None:
        send(booking, client, block)
        raise StoreUnavailable("cut off before the answer")

    rows = [row(number, agent_id=f"a{number % 10}") for number in range(100)]
    monkeypatch.setattr(Booking, "_send", cut_off)
    with pytest.raises(StoreUnavailable):
        store.book(rows, [], "batch-1")
    monkeypatch.undo()
    store.book(rows, [], "batch-1")
    assert store.query("SELECT count() FROM llm_costs") == [(200,)]
    assert store.query("SELECT count(), sum(cost_usd) FROM calls") == [(100, Decimal("0.325"))]
    store.book(rows, [], "batch-1")
    assert store.query("SELECT count() FROM llm_costs") == [(200,)]


def partition_id(store: Store, label: str) -> str:
    sql = "SELECT DISTINCT _partition_id FROM llm_costs WHERE agent_partition = {label:String}"
    return str(store.query(sql, {"label": label})[0][0])


def test_rows_sent_again_in_another_batch_stand_once(store: Store, row: Row) -> None:
    rows = [row(number) for number in range(100)]
    store.book(rows, [], "batch-1")
    store.book(rows[:40], [], "batch-2")
    store.book(rows[::-1], [], "batch-3")
    assert store.query("SELECT count(), sum(cost_usd) FROM calls") == [(100, Decimal("0.325"))]


def test_a_correction_moves_a_call_to_another_agent(store: Store, row: Row) -> None:
    before = row(agent_id="shop", version=10)
    after = row(agent_id="planner", version=12)
    store.book([before], [], "1")
    store.book([after], [(key_of(before), 11)], "2")
    assert store.query("SELECT agent_id, cost_usd FROM calls") == [("planner", Decimal("0.00325"))]


def test_versions_decide_not_the_order_of_arrival(store: Store, row: Row) -> None:
    old, new = row(version=10, cost_usd=1), row(version=20, cost_usd=2)
    store.book([new], [], "1")
    store.book([old], [], "2")
    store.book([], [(key_of(old), 15)], "3")
    assert store.query("SELECT cost_usd FROM calls") == [(Decimal("2e-12"),)]
    store.book([], [(key_of(old), 21)], "4")
    assert store.query("SELECT count() FROM calls") == [(0,)]
    store.book([row(version=row_version(5, generation=1))], [], "5")
    assert store.query("SELECT count() FROM calls") == [(1,)]


def test_put_and_delete_in_one_batch_go_by_version(store: Store, row: Row) -> None:
    first, second = row(1, version=10), row(2, version=30)
    store.book([first, second], [(key_of(first), 20), (key_of(second), 20)], "1")
    assert store.query("SELECT span_id FROM calls") == [("0" * 15 + "2",)]


@pytest.mark.parametrize("days_later", [0, 1, 30])
def test_versions_within_one_batch_decide_for_live_and_for_old_days(
    address: StoreAddress, row: Row, days_later: int
) -> None:
    """What is written on its own day is not collapsed as it is written."""
    now = ManualClock(START_US * 1000 + days_later * 86_400 * 10**9)
    with open_store(address, StoreSettings(retention_days=20_000), now) as store:
        store.migrate()
        rows = [row(1, version=10, cost_usd=1), row(1, version=30, cost_usd=3), row(1, version=20, cost_usd=2)]
        store.book([*rows, row(2, version=10)], [(key_of(row(2)), 20)], "1")
        store.book(rows[:1], [], "2")
        store.rebuild_rollups([START_US // 3_600_000_000 * 3600])
        assert store.query("SELECT span_id, cost_usd FROM calls") == [("0" * 15 + "1", Decimal("3e-12"))]
        assert store.query("SELECT calls, cost_usd FROM hourly") == [(1, Decimal("3e-12"))]


def test_a_tombstone_leaves_nothing_but_its_key(store: Store, row: Row) -> None:
    store.book([], [(key_of(row(user_id="somebody", version=1)), 2)], "1")
    assert store.query("SELECT user_id, cost_usd, is_deleted, version FROM llm_costs") == [("", None, 1, 2)]


def test_a_batch_over_many_days_stays_below_the_limit_of_partitions(store: Store, row: Row) -> None:
    rows = [
        row(day * 100 + agent, timestamp=START_US + day * DAY_US, agent_id=f"a{agent}")
        for day in range(5)
        for agent in range(30)
    ]
    store.book(rows, [], "1")
    store.book(rows, [], "1")
    assert store.query("SELECT count(), uniq(toDate(timestamp)) FROM llm_costs") == [(150, 5)]


HOSTILE = [
    "it's",
    'a "b"',
    "back\\slash",
    "back`tick",
    "new\nline",
    "emoji 🦊",
    "tab\t",
    "~3",
    "~",
    "{x:String}",
    "a" * 240,
]


def test_names_are_kept_as_they_are(store: Store, row: Row) -> None:
    columns = ("agent_id", "agent_name", "tenant_id", "customer_id", "model", "user_id")
    rows = [row(number, **dict.fromkeys(columns, name)) for number, name in enumerate(HOSTILE)]
    store.book(rows, [], "it's a `token`")
    store.rebuild_rollups([START_US // 3_600_000_000 * 3600])
    for name, booked in zip(HOSTILE, rows, strict=True):
        asked = {"name": name}
        sql = "SELECT agent_id, tenant_id, user_id FROM calls WHERE agent_id = {name:String}"
        assert store.query(sql, asked) == [(name, name, name)]
        assert store.query("SELECT calls FROM hourly WHERE agent_id = {name:String}", asked) == [(1,)]
        (found,) = store.find_booked([key_of(booked)[:2]]).by_span.values()
        assert found[0].key == key_of(booked)
    store.book([], [(key_of(booked), START_US + 1) for booked in rows], "withdrawn")
    assert store.query("SELECT count() FROM calls") == [(0,)]


UNFIT = [
    {"input_tokens": -1},
    {"cost_usd": 2**63},
    {"duration_ns": 1.5},
    {"agent_id": 5},
    {"user_id": "\ud800"},
    {"agent_id": "\ud800"},
    {"agent_name": "\ud800"},
    {"units": {"pages": -3}},
    {"attributes": {"a": 1}},
    {"price_ids": None},
    {"timestamp": None},
    {"timestamp": 2**70},
    {"timestamp": -1},
]


def test_a_row_that_does_not_fit_is_named_and_nothing_is_written(store: Store, row: Row) -> None:
    for number, unfit in enumerate(UNFIT):
        with pytest.raises(RowsUnfit) as caught:
            store.book([row(1), row(2, **unfit), row(3)], [], f"{number}")
        assert list(caught.value.reasons) == [1], unfit
        assert next(iter(unfit)) in caught.value.reasons[1]
    assert store.query("SELECT count() FROM llm_costs") == [(0,)]


def test_rows_of_the_wrong_length_are_named(store: Store, row: Row) -> None:
    with pytest.raises(RowsUnfit) as caught:
        store.book([row(1), row(2)[:-1]], [], "1")
    assert caught.value.reasons == {1: "64 values for 65 columns"}


def test_nothing_to_book_is_nothing(store: Store) -> None:
    store.book([], [], "1")
    assert store.query("SELECT count() FROM llm_costs") == [(0,)]


def test_what_is_booked_stands_after_reopening(address: StoreAddress, row: Row) -> None:
    with open_store(address, StoreSettings(retention_days=20_000), SystemClock()) as store:
        store.migrate()
        store.book([row(number) for number in range(10)], [], "1")
    with open_store(address, StoreSettings(retention_days=20_000), SystemClock()) as store:
        assert store.migrate() == []
        assert store.query("SELECT count() FROM calls") == [(10,)]
        store.book([row(number) for number in range(10)], [], "1")
        assert store.query("SELECT count() FROM llm_costs") == [(10,)]


def test_results_come_in_any_format(store: Store, row: Row) -> None:
    store.book([row()], [], "1")
    assert store.query("SELECT agent_id, cost_usd FROM calls", fmt="TSV") == b"planner\t0.00325\n"
    sql = "SELECT count() FROM calls WHERE agent_id = {agent:String}"
    assert store.query(sql, {"agent": "' OR 1"}, fmt="TSV") == b"0\n"


def test_errors_come_classified(store: Store) -> None:
    with pytest.raises(StoreRefused) as caught:
        store.query("SELECT nonsense FROM calls")
    assert caught.value.code == 47


def test_two_stores_in_one_process_see_the_same_rows(store: Store, address: StoreAddress, row: Row) -> None:
    store.book([row()], [], "1")
    with open_store(replace(address), StoreSettings(), SystemClock()) as reader:
        assert reader.query("SELECT count() FROM calls") == [(1,)]
