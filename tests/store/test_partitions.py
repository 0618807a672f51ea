"""Which partition an agent's rows go to: bounded for any fleet, and for ever the same for a day and an agent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spanledger_core.errors import ConfigError
from spanledger_core.rows import CallRow
from spanledger_exporter.partitions import DayLabels
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store

Row = Callable[..., CallRow]
OpenStore = Callable[..., Store]
DAY_US = 86_400_000_000
START_US = 1_790_000_000_000_000
LABELS = "SELECT agent_id, agent_partition FROM llm_costs ORDER BY agent_id"


def test_a_normal_fleet_has_a_partition_for_each_agent(store: Store, row: Row) -> None:
    store.book([row(number, agent_id=f"a{number:02}") for number in range(16)], [], "1")
    assert store.query(LABELS) == [(f"a{number:02}", f"a{number:02}") for number in range(16)]


def test_ten_thousand_agents_in_one_batch_make_24_partitions(store: Store, row: Row) -> None:
    store.book([row(number, agent_id=f"agent-{number}") for number in range(10_000)], [], "1")
    assert store.query("SELECT count(), uniqExact(agent_id), uniqExact(agent_partition) FROM llm_costs") == [
        (10_000, 10_000, 24)
    ]
    assert store.query("SELECT count() FROM agent_partitions") == [(16,)]


def test_ids_that_are_new_for_every_run_stay_bounded(store: Store, row: Row) -> None:
    for batch in range(5):
        rows = [row(batch * 100 + number, agent_id=f"run-{batch}-{number}") for number in range(100)]
        store.book(rows, [], f"{batch}")
    assert store.query("SELECT uniqExact(agent_partition) FROM llm_costs") == [(24,)]


def test_labels_outlive_a_restart_and_a_change_of_settings(open_here: OpenStore, row: Row) -> None:
    rows = [row(number, agent_id=f"a{number:02}") for number in range(40)]
    open_here().book(rows, [], "1")
    before = open_here().query(LABELS)
    for settings in ({}, {"literal_agents": 40, "hash_buckets": 3}, {"partitioning": "day"}):
        again = open_here(**settings)
        again.book(rows[::-1], [], f"again {settings}")
        assert again.query("SELECT agent_id, agent_partition FROM llm_costs FINAL ORDER BY agent_id") == before
        assert again.query("SELECT count() FROM calls") == [(40,)]


def test_a_new_day_follows_the_new_setting(open_here: OpenStore, row: Row) -> None:
    open_here().book([row(1)], [], "1")
    by_day = open_here(partitioning="day")
    by_day.book([row(1), row(2, timestamp=START_US + DAY_US)], [], "2")
    assert by_day.query("SELECT DISTINCT agent_partition FROM llm_costs ORDER BY 1") == [("",), ("planner",)]


def test_partitioning_by_day_makes_one_partition_a_day(open_here: OpenStore, row: Row) -> None:
    store = open_here(partitioning="day")
    store.book([row(number, agent_id=f"a{number}") for number in range(300)], [], "1")
    assert store.query("SELECT uniqExact(_partition_id), any(agent_partition) FROM llm_costs") == [(1, "")]


def test_slots_fill_over_batches_and_keep_their_owners(store: Store, row: Row) -> None:
    store.book([row(number, agent_id=f"a{number:02}") for number in range(10)], [], "1")
    store.book([row(100 + number, agent_id=f"b{number:02}") for number in range(10)], [], "2")
    labels = dict(store.query(LABELS))
    assert [agent for agent, label in labels.items() if agent == label] == [
        *(f"a{number:02}" for number in range(10)),
        *(f"b{number:02}" for number in range(6)),
    ]
    assert all(labels[f"b{number:02}"].startswith("~") for number in range(6, 10))


@pytest.mark.parametrize("name", ["~3", "~", "~~", ""])
def test_a_name_that_looks_like_a_shared_label_owns_nothing(name: str) -> None:
    labels = DayLabels(16, 8)
    assert labels.newcomers([name, "planner"]) == ["planner"]
    assert labels.label(name) in {f"~{number}" for number in range(8)}


def test_the_hash_is_the_one_sql_can_check(store: Store) -> None:
    agents = [f"agent-{number}" for number in range(50)] + ["é🦊"]
    (buckets,) = store.query("SELECT arrayMap(name -> CRC32(name) % 8, {names:Array(String)})", {"names": agents})[0]
    assert [DayLabels(0, 8).label(agent) for agent in agents] == [f"~{bucket}" for bucket in buckets]


def test_layouts_beyond_what_an_insert_may_touch_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 90"):
        StoreSettings(literal_agents=85, hash_buckets=8)
    with pytest.raises(ConfigError) as caught:
        StoreSettings(literal_agents=-1, retention_days=0)
    assert len(caught.value.faults) == 2
