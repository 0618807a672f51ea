"""`python -m tools.dashboards.measure [CALLS] [--densest]` times every panel over thirty days of made-up calls.

Prints the CPU milliseconds of each query, all threads together, the best of two: other work on the machine does not
count. With idle cores a query takes less time than that. `--densest` fills `hourly_customer` with every agent and
customer in every hour, as large as any number of calls can make it. docs/grafana.md has figures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanledger_core.clock import ManualClock, SystemClock
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.budgets import replace_budgets
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store
from tools.dashboards.asking import Grafana, picked, targets
from tools.dashboards.fleet import BUDGETS, NOW
from tools.dashboards.sections import sections

_BLOCK: Final = 500_000
_DAYS: Final = 30
_LAST: Final = int(NOW.timestamp()) // 3600 * 3600


def main(arguments: list[str]) -> int:
    """Fill a store, ask every query, print."""
    numbers = [each for each in arguments if each != "--densest"]
    calls = int(numbers[0]) if numbers else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = StoreSettings(partitioning="day", retention_days=20_000, rollup_retention_days=20_000)
        with open_store(StoreAddress.parse("chdb", Path(folder)), settings, SystemClock()) as store:
            store.migrate()
            fill(store, calls)
            if "--densest" in arguments:
                fill_densest(store)
            settle(store)
            replace_budgets(store, BUDGETS, ManualClock())
            for line in measure(store):
                sys.stdout.write(line + "\n")
    return 0


def fill(store: Store, calls: int) -> None:
    """Insert the calls block by block, and roll them up."""
    statement = sections("measure")["calls"]
    with store.lease() as client:
        for offset in range(0, calls, _BLOCK):
            wanted = {
                "offset": offset,
                "until": int(NOW.timestamp()),
                "calls": calls,
                "rows": min(_BLOCK, calls - offset),
            }
            text = statement
            for name, value in wanted.items():
                text = text.replace(f"{{{name}}}", str(value))
            client.command(text)
    store.rebuild_rollups([_LAST - 3600 * back for back in range(_DAYS * 24 + 1)])


def fill_densest(store: Store) -> None:
    """Let every agent meet every customer in every hour."""
    statement = sections("measure")["densest"].replace("{last}", str(_LAST))
    with store.lease() as client:
        for day in range(_DAYS):
            client.command(statement.replace("{day}", str(day)))


def settle(store: Store) -> None:
    """Merge what there is."""
    with store.lease() as client:
        # as background merges leave a store that has been running for a while
        for table in ("llm_costs", "llm_costs_hourly", "llm_costs_hourly_customer"):
            client.command(f"OPTIMIZE TABLE {table} FINAL")


def measure(store: Store) -> Iterator[str]:
    """A line a query, slowest first."""
    for table in ("calls", "hourly", "hourly_customer"):
        ((rows,),) = store.query(f"SELECT count() FROM {table}")  # noqa: S608 - three names of our own
        yield f"{table}: {rows:,} rows"
    grafana = Grafana(store)
    timed = []
    for sql, name in {each.sql: f"{each.board}: {each.name}" for each in reversed(targets())}.items():
        if "last three hours" in name:
            context = picked(hours=3, interval_s=60)
        else:
            context = picked(hours=_DAYS * 24, interval_s=21600)
        taken = []
        for _ in range(2):
            begun = time.process_time()
            grafana.ask(sql, context)
            taken.append(time.process_time() - begun)
        timed.append((min(taken) * 1000, "calls" if "FROM calls" in sql else "rollups", name))
    for milliseconds, source, name in sorted(timed, reverse=True):
        yield f"{milliseconds:8.0f} ms  {source:8} {name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
