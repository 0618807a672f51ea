"""Which partition of its day an agent's rows go to.

The label is part of the sorting key, so it must never change for a day and an agent: the rule of a day is written down
when the day is first seen, and the agents that own a partition before their first row is. All others are spread by a
hash of their name under the rule of that day, which needs no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final
from zlib import crc32

from clickhouse_connect.driver.client import Client

from spanledger_exporter.connections import Connections
from spanledger_exporter.settings import StoreSettings

_EPOCH: Final = date(1970, 1, 1)
_DAYS_IN_MEMORY: Final = 512


@dataclass(slots=True)
class DayLabels:
    """The labels of one UTC day."""

    literal_agents: int
    """How many agents may own a partition."""
    hash_buckets: int
    """0: every label is empty."""
    literal: set[str] = field(default_factory=set)
    """The agents that own one."""

    def label(self, agent_id: str) -> str:
        """The partition of `agent_id`, as far as owners are registered."""
        if self.hash_buckets == 0:
            return ""
        if agent_id in self.literal:
            return agent_id
        return f"~{crc32(agent_id.encode()) % self.hash_buckets}"

    def newcomers(self, agents: Iterable[str]) -> list[str]:
        """Those of `agents` that are next to own a partition, in order, as far as there is room.

        A name that looks like a shared label (`~3`, or nothing at all) never owns one.
        """
        room = self.literal_agents - len(self.literal) if self.hash_buckets else 0
        if room <= 0:
            return []
        eligible = (agent for agent in dict.fromkeys(agents) if agent and agent[0] != "~" and agent not in self.literal)
        return [agent for agent, _ in zip(eligible, range(room), strict=False)]


class PartitionRegistry:
    """The labels of all days, remembered in the store and, for the days in use, in memory. For one writer."""

    def __init__(self, connections: Connections, settings: StoreSettings) -> None:
        self._connections = connections
        by_agent = settings.partitioning == "agent"
        self._literal_agents = settings.literal_agents if by_agent else 0
        self._hash_buckets = settings.hash_buckets if by_agent else 0
        self._days: OrderedDict[int, DayLabels] = OrderedDict()

    def labels(self, agents_by_day: Mapping[int, Iterable[str]]) -> dict[int, dict[str, str]]:
        """Day (days since 1970) -> agent -> label. New days and owners are registered before this returns."""
        self._load([day for day in agents_by_day if day not in self._days])
        newcomers = {day: self._days[day].newcomers(agents) for day, agents in agents_by_day.items()}
        self._register(newcomers)
        found = {}
        for day, agents in agents_by_day.items():
            labels = self._days[day]
            found[day] = {agent: labels.label(agent) for agent in agents}
        self._forget_old()
        return found

    def forget(self) -> None:
        """Read the registry again: somebody else may have written it."""
        self._days.clear()

    def _load(self, days: list[int]) -> None:
        if not days:
            return
        with self._connections.lease() as client:
            parameters = {"days": [_EPOCH + timedelta(days=day) for day in days]}
            rules = client.query(
                "SELECT toUInt32(day), literal_agents, hash_buckets"
                " FROM partition_days FINAL WHERE day IN {days:Array(Date)}",
                parameters,
            ).result_rows
            loaded = {day: DayLabels(literal, buckets) for day, literal, buckets in rules}
            owners = client.query(
                "SELECT toUInt32(day), agent_id FROM agent_partitions FINAL WHERE day IN {days:Array(Date)}", parameters
            ).result_rows
            for day, agent_id in owners:
                loaded[day].literal.add(agent_id)
            self._open_days(client, [day for day in days if day not in loaded])
        self._days.update(loaded)

    def _open_days(self, client: Client, days: list[int]) -> None:
        rows = [[_EPOCH + timedelta(days=day), self._literal_agents, self._hash_buckets] for day in days]
        if rows:
            client.insert("partition_days", rows, column_names=["day", "literal_agents", "hash_buckets"])
        for day in days:
            self._days[day] = DayLabels(self._literal_agents, self._hash_buckets)

    def _register(self, newcomers: Mapping[int, list[str]]) -> None:
        rows = [[_EPOCH + timedelta(days=day), agent, agent] for day, agents in newcomers.items() for agent in agents]
        if not rows:
            return
        with self._connections.lease() as client:
            client.insert("agent_partitions", rows, column_names=["day", "agent_id", "label"])
        for day, agents in newcomers.items():
            self._days[day].literal.update(agents)

    def _forget_old(self) -> None:
        while len(self._days) > _DAYS_IN_MEMORY:
            self._days.popitem(last=False)
