"""A span that comes again after its trace left memory is found: as a call, absorbed by one, or by its response id."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spanledger_core.clock import SystemClock
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.store import Store

Row = Callable[..., CallRow]
START_US = 1_790_000_000_000_000
VERSION = CALL_COLUMNS.index("version")


def span(number: int) -> tuple[bytes, bytes]:
    return number.to_bytes(16, "big"), number.to_bytes(8, "big")


def absorbed(number: int) -> str:
    return f"{number:032x}:{number:016x}"


def test_a_booked_span_is_found_with_its_whole_row(store: Store, row: Row) -> None:
    booked = row(7, cost_usd=3, list_cost_usd=None, units={"pages": 2}, is_streaming=True, agent_id="é")
    store.book([booked, row(8)], [], "1")
    found = store.find_booked([span(7), span(9)])
    assert set(found.by_span) == {span(7)}
    (only,) = found.by_span[span(7)]
    assert only.key == (*span(7), START_US * 1000, "é", "")
    assert (only.version, only.row) == (START_US, booked)
    assert found.by_response == {}


def test_what_was_found_can_be_booked_again_as_it_is(store: Store, row: Row) -> None:
    store.book([row(7, cost_usd=12_345, attributes={"app.x": "1"}, absorbed_spans=[absorbed(3)])], [], "1")
    (booked,) = store.find_booked([span(7)]).by_span[span(7)]
    before = store.query("SELECT * FROM calls")
    store.book([booked.row], [], "2")
    assert store.query("SELECT count() FROM llm_costs") == [(2,)]
    assert store.query("SELECT * FROM calls") == before


def test_an_absorbed_span_leads_to_the_call_that_absorbed_it(store: Store, row: Row) -> None:
    store.book([row(1, absorbed_spans=[absorbed(20), absorbed(21)]), row(2)], [], "1")
    found = store.find_booked([span(21), span(22)])
    assert [booked.key.span_id for booked in found.by_span[span(21)]] == [span(1)[1]]
    assert span(22) not in found.by_span


def test_a_response_id_leads_to_every_call_that_has_it(store: Store, row: Row) -> None:
    rows = [row(1, response_id="r'1"), row(2, response_id="r'1", agent_id="other"), row(3, response_id="r2"), row(4)]
    store.book(rows, [], "1")
    found = store.find_booked([], ["r'1", "", "nothing"])
    assert sorted(booked.key.span_id for booked in found.by_response["r'1"]) == [span(1)[1], span(2)[1]]
    assert set(found.by_response) == {"r'1"}


def test_a_withdrawn_call_is_not_found_by_any_way(store: Store, row: Row) -> None:
    """Its tombstone has neither response id nor absorbed spans: looking for those alone would find the dead row."""
    store.book([row(1, response_id="r1", absorbed_spans=[absorbed(20)], version=1)], [], "1")
    (booked,) = store.find_booked([span(1)]).by_span[span(1)]
    store.book([], [(booked.key, 2)], "2")
    assert store.find_booked([span(1), span(20)], ["r1"]) == ({}, {})


def test_only_the_newest_version_is_found(store: Store, row: Row) -> None:
    store.book([row(1, response_id="r1", version=1)], [], "1")
    store.book([row(1, response_id="r2", version=2)], [], "2")
    found = store.find_booked([span(1)], ["r1", "r2"])
    assert [booked.version for booked in found.by_span[span(1)]] == [2]
    assert set(found.by_response) == {"r2"}


def test_two_bookings_of_one_span_are_both_found(store: Store, row: Row) -> None:
    store.book([row(1, agent_id="shop"), row(1, agent_id="planner")], [], "1")
    assert {booked.key.agent_id for booked in store.find_booked([span(1)]).by_span[span(1)]} == {"shop", "planner"}


def test_a_window_bounds_the_search(store: Store, row: Row) -> None:
    store.book([row(1)], [], "1")
    assert store.find_booked([span(1)], window_us=(START_US, START_US)).by_span
    assert not store.find_booked([span(1)], window_us=(START_US + 1, START_US + 10**12)).by_span


def test_nothing_asked_nothing_found(store: Store) -> None:
    assert store.find_booked([]) == ({}, {})


def test_thousands_are_asked_for_at_once(store: Store, row: Row) -> None:
    store.book([row(number, response_id=f"resp-{number}") for number in range(1, 3000)], [], "1")
    asked = range(1000, 2600)
    found = store.find_booked([span(number) for number in asked], [f"resp-{number}" for number in asked])
    assert len(found.by_span) == len(found.by_response) == 1600


def test_filters_come_with_merges_and_at_once_where_nothing_merges(store: Store, row: Row) -> None:
    if store.address.kind != "embedded":
        pytest.skip("a server makes filters as it writes")
    today_us = SystemClock().now_ns() // 1000
    store.book([row(1, agent_id="a", timestamp=today_us)], [], "today")
    store.book([row(2, agent_id="b")], [], "old")
    assert agents_with_filters(store) == {"b"}
    assert store.find_booked([span(1), span(2)]).by_span.keys() == {span(1), span(2)}
    store.book([row(3, agent_id="a", timestamp=today_us)], [], "today, too")
    with store.lease() as client:
        client.command("OPTIMIZE TABLE llm_costs FINAL")
    assert agents_with_filters(store) == {"a", "b"}
    assert store.find_booked([span(1), span(3)]).by_span.keys() == {span(1), span(3)}


def agents_with_filters(store: Store) -> set[str]:
    """Whose parts all have filters."""
    return {
        partition.rpartition(",")[2].strip("')")
        for (partition,) in store.query(
            "SELECT partition FROM system.parts WHERE active AND table = 'llm_costs' AND database = currentDatabase()"
            " GROUP BY partition HAVING min(secondary_indices_compressed_bytes) > 0"
        )
    }


@pytest.mark.parametrize("index", ["by_trace", "by_response", "by_absorbed"])
def test_each_way_has_its_bloom_filter(store: Store, row: Row, index: str) -> None:
    for batch in range(3):
        numbers = range(batch * 100 + 1, batch * 100 + 100)
        rows = [row(n, response_id=f"r{n}", absorbed_spans=[absorbed(n + 10_000)]) for n in numbers]
        store.book(rows, [], f"{batch}")
    sql = {
        "by_trace": f"trace_id IN ['{1:032x}']",
        "by_response": "response_id IN ['r1']",
        "by_absorbed": f"hasAny(absorbed_spans, ['{absorbed(10_001)}'])",
    }[index]
    plan = "\n".join(line for (line,) in store.query(f"EXPLAIN indexes = 1 SELECT span_id FROM llm_costs WHERE {sql}"))
    assert index in plan
