"""A year of a large fleet in one embedded store: `python -m bench.year [DAYS] [AGENTS]`.

Every day each agent makes a few calls; the day is booked as the collector books it, and the daily upkeep folds what is
older than a month. Printed are partitions and parts at the end, how long the engine takes to start on them, and what a
week of one agent costs to read. The defaults take about ten minutes.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from spanledger_core.clock import ManualClock
from spanledger_core.rows import CALL_COLUMNS, CallRow
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store

_DAY_NS = 86_400_000_000_000
_FIRST_DAY_NS = 20_089 * _DAY_NS  # 2025-01-01
_CALLS_A_DAY = 3
_COST = 1_234_567_890
_MAX_PARTITIONS = 1500
_SETTINGS = StoreSettings(retention_days=3650)
"""The engine forgets by its own clock, whatever day the rows are of."""
_WEEK_OF_AN_AGENT = """
    SELECT count(), sum(cost_usd) FROM calls
    WHERE agent_id = 'agent-0001' AND timestamp >= {since:DateTime64(6, 'UTC')}
"""
_NUMBERS = frozenset(name for name in CALL_COLUMNS if name.endswith(("_tokens", "_ns", "_at"))) | {
    "timestamp", "version", "is_aggregate",
}  # fmt: skip
_AMOUNTS = frozenset(name for name in CALL_COLUMNS if name.endswith("_usd"))


def _template() -> dict[str, object]:
    values: dict[str, object] = dict.fromkeys(CALL_COLUMNS, "")
    values |= dict.fromkeys(_NUMBERS, 0) | dict.fromkeys(_AMOUNTS, None)
    values |= {"units": {}, "attributes": {}, "price_ids": (), "absorbed_spans": (), "sampling_probability": None}
    values |= {"time_to_first_token_ns": None, "is_streaming": None, "input_tokens": 900, "output_tokens": 90}
    return values | {"cost_usd": _COST, "input_cost_usd": _COST, "cost_status": "priced", "status": "ok"}


def _day(chance: random.Random, begins_ns: int, agents: int) -> Iterator[CallRow]:
    values = _template()
    for agent in range(agents):
        for _ in range(_CALLS_A_DAY):
            at_us = begins_ns // 1000 + chance.randrange(86_400_000_000)
            name = f"agent-{agent:04d}"
            values |= {"timestamp": at_us, "version": at_us, "agent_id": name, "agent_name": name}
            values |= {"trace_id": chance.randbytes(16).hex(), "span_id": chance.randbytes(8).hex()}
            yield tuple(values[column] for column in CALL_COLUMNS)


def _fill(address: StoreAddress, clock: ManualClock, days: int, agents: int) -> None:
    chance = random.Random(1)
    with open_store(address, _SETTINGS, clock) as store:
        store.migrate()
        for day in range(days):
            rows = sorted(_day(chance, _FIRST_DAY_NS + day * _DAY_NS, agents), key=lambda row: row[0])
            store.book(rows, [], f"day {day}")
            clock.advance(86_400)
            store.maintain()
            if day % 30 == 29:
                print(f"  {day + 1} days, {_partitions(store)} partitions", file=sys.stderr, flush=True)


def _partitions(store: Store) -> int:
    return int(store.query("SELECT uniqExact(partition) FROM system.parts WHERE active AND table = 'llm_costs'")[0][0])


def main(days: int, agents: int) -> int:
    """Exit status 0 when the number of partitions is bounded and no dollar is missing."""
    clock = ManualClock(_FIRST_DAY_NS)
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        address = StoreAddress.parse(f"chdb://{folder}/store", Path(folder))
        began = time.perf_counter()
        _fill(address, clock, days, agents)
        filled = time.perf_counter()
        with open_store(address, _SETTINGS, clock) as store:
            store.ping()
            started = time.perf_counter() - filled
            partitions = _partitions(store)
            parts = store.query("SELECT count() FROM system.parts WHERE active AND table = 'llm_costs'")[0][0]
            calls, units = store.query("SELECT count(), toString(sum(cost_usd)) FROM calls")[0]
            since = {"since": clock.now_ns() // 1000 / 1e6 - 7 * 86_400}
            times = []
            for _ in range(5):
                spent = time.process_time()
                store.query(_WEEK_OF_AN_AGENT, since)
                times.append(time.process_time() - spent)
    expected = days * agents * _CALLS_A_DAY
    print(f"{agents:,} agents, {days} days, {calls:,} calls booked and folded in {filled - began:.0f} s")
    print(f"  {partitions:,} partitions in {parts:,} parts (at most {_MAX_PARTITIONS:,})")
    print(f"  engine opened in {started:.2f} s, a week of one agent read with {min(times) * 1000:.0f} ms of CPU")
    print(f"  dollars {units}")
    return int(partitions > _MAX_PARTITIONS or calls != expected)


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*(arguments + [365, 1000][len(arguments) :])))
