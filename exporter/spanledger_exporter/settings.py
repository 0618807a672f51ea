"""What an operator can set about the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spanledger_core.errors import ConfigError

MAX_PARTITIONS_PER_INSERT = 90
"""ClickHouse refuses a block that touches more than 100 (`max_partitions_per_insert_block`)."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Layout and limits of a store. Raises `ConfigError` for values that cannot work."""

    partitioning: Literal["agent", "day"] = "agent"
    """`agent`: the first agents of a day get a partition each; `day`: one partition a day."""
    literal_agents: int = 16
    """How many agents of a day get a partition of their own."""
    hash_buckets: int = 8
    """Over how many partitions of a day the other agents are spread."""
    literal_days: int = 31
    """How long a day keeps its partitions by agent before they are folded into one."""
    retention_days: int = 400
    """How long calls are kept."""
    rollup_retention_days: int = 1095
    """How long `hourly` and `hourly_customer` are kept."""
    connect_timeout_s: float = 10.0
    query_timeout_s: float = 300.0

    def __post_init__(self) -> None:
        faults = []
        if self.literal_agents < 0 or self.hash_buckets < 1:
            faults.append("store: literal_agents must be at least 0 and hash_buckets at least 1")
        if self.literal_agents + self.hash_buckets > MAX_PARTITIONS_PER_INSERT:
            faults.append(f"store: literal_agents + hash_buckets must be at most {MAX_PARTITIONS_PER_INSERT}")
        for name in ("literal_days", "retention_days", "rollup_retention_days"):
            if not 1 <= getattr(self, name) <= 36500:
                faults.append(f"store: {name} must be between 1 and 36500")
        if faults:
            raise ConfigError(faults)
