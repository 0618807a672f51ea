"""Two bookings of one call: the better-informed row stays, whoever came first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spanledger_core.rows import CallRow, row_version
from spanledger_exporter.store import Store
from spanledger_exporter.sweep import may_be_one_call

Row = Callable[..., CallRow]
HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000
HOUR = START_US // HOUR_US * 3600
STANDING = "SELECT agent_id FROM calls ORDER BY agent_id"


def absorbed(number: int) -> str:
    return f"{number:032x}:{number:016x}"


def standing(store: Store) -> list[str]:
    return [agent for (agent,) in store.query(STANDING)]


@pytest.mark.parametrize("newer", ["shop", "planner"])
def test_the_row_that_knows_its_agent_stays(store: Store, row: Row, newer: str) -> None:
    versions = {"shop": START_US, "planner": START_US} | {newer: START_US + 10**9}
    store.book([row(1, agent_id="shop", agent_source="resource", version=versions["shop"])], [], "one collector")
    store.book([row(1, agent_id="planner", agent_source="ancestor", version=versions["planner"])], [], "another")
    assert store.sweep([HOUR]) == {HOUR}
    assert standing(store) == ["planner"]
    assert store.sweep([HOUR]) == set()


def test_different_calls_are_left_alone(store: Store, row: Row) -> None:
    rows = [row(1, response_id="chatcmpl-1"), row(2, response_id="chatcmpl-2", agent_id="b"), row(3, agent_id="c")]
    store.book(rows, [], "1")
    assert store.sweep([HOUR]) == set()
    assert len(standing(store)) == 3


def test_a_repriced_row_stays_whatever_others_know(store: Store, row: Row) -> None:
    repriced = row(1, agent_id="shop", agent_source="resource", version=row_version(START_US, generation=1))
    store.book([repriced, row(1, agent_id="planner", agent_source="span")], [], "1")
    store.sweep([HOUR])
    assert standing(store) == ["shop"]


@pytest.mark.parametrize("other", [{"tenant_id": "evil", "agent_source": "rule"}, {"agent_source": "rule"}])
def test_nobody_withdraws_the_row_of_a_tenant(store: Store, row: Row, other: dict[str, str]) -> None:
    """Neither another tenant nor somebody without one, by the same ids, by absorbing them or by the response id."""
    mine = row(1, agent_id="mine", agent_source="resource", tenant_id="acme", response_id="chatcmpl-abcdefgh")
    same = row(1, agent_id="same", **other)
    absorber = row(2, agent_id="absorber", absorbed_spans=[absorbed(1)], response_id="chatcmpl-abcdefgh", **other)
    store.book([mine, same, absorber], [], "1")
    store.sweep([HOUR])
    assert "mine" in standing(store)


def test_a_row_without_tenant_gives_way_to_one_that_has_it(store: Store, row: Row) -> None:
    store.book([row(1, agent_id="a", agent_source="span"), row(1, agent_id="b", tenant_id="acme")], [], "1")
    store.sweep([HOUR])
    assert standing(store) == ["b"]


def test_rows_that_know_the_same_are_settled_alike_every_time(store: Store, row: Row) -> None:
    store.book([row(1, agent_id=agent) for agent in "abc"], [], "1")
    store.sweep([HOUR])
    assert standing(store) == ["c"]


def test_a_call_that_another_absorbed_is_withdrawn(store: Store, row: Row) -> None:
    alone = row(1, agent_id="a", agent_source="span", timestamp=HOUR * 1_000_000 - 1000)
    both = row(2, agent_id="b", agent_source="resource", timestamp=HOUR * 1_000_000, absorbed_spans=[absorbed(1)])
    store.book([alone, both], [], "1")
    assert store.sweep([HOUR]) == {HOUR - 3600}
    assert standing(store) == ["b"]


def test_calls_that_absorbed_each_other_leave_one(store: Store, row: Row) -> None:
    first = row(1, agent_id="a", agent_source="ancestor", absorbed_spans=[absorbed(2)])
    second = row(2, agent_id="b", agent_source="resource", absorbed_spans=[absorbed(1)])
    store.book([first, second], [], "1")
    store.sweep([HOUR])
    assert standing(store) == ["a"]


def test_calls_that_absorbed_one_outer_span_both_stay(store: Store, row: Row) -> None:
    store.book([row(n, agent_id=f"a{n}", absorbed_spans=[absorbed(9)]) for n in (1, 2)], [], "1")
    assert store.sweep([HOUR]) == set()
    assert standing(store) == ["a1", "a2"]


def test_client_and_gateway_meet_by_response_id(store: Store, row: Row) -> None:
    client = row(1, agent_id="planner", agent_source="span", response_id="chatcmpl-abcdefgh")
    gateway = row(2, agent_id="gateway", agent_source="resource", response_id="chatcmpl-abcdefgh", output_tokens=201)
    store.book([client, gateway], [], "1")
    store.sweep([HOUR])
    assert standing(store) == ["planner"]


def test_one_response_id_with_other_tokens_is_two_calls(store: Store, row: Row) -> None:
    store.book(
        [row(1, response_id="chatcmpl-abcdefgh"), row(2, response_id="chatcmpl-abcdefgh", input_tokens=7)], [], "1"
    )
    assert store.sweep([HOUR]) == set()
    assert len(standing(store)) == 2


@pytest.mark.parametrize(
    ("values", "one"),
    [
        ({}, True),
        ({"output_tokens": 201}, True),
        ({"output_tokens": 202}, False),
        ({"input_tokens": None}, True),
        ({"input_tokens": 7, "cost_status": "suspect_usage"}, True),
        ({"model": "claude", "response_model": "claude-x", "request_model": "claude"}, False),
        ({"model": "", "response_model": "", "request_model": ""}, True),
        ({"model": "gpt-5-mini", "response_model": "gpt-5-mini-1"}, True),
    ],
)
def test_what_may_be_one_call(row: Row, values: dict[str, object], one: bool) -> None:
    assert may_be_one_call(row(1), row(2, **values)) is one
    assert may_be_one_call(row(2, **values), row(1)) is one
