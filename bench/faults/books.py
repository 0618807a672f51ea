"""What the books should say, from a replay of exactly the acknowledged requests, and what they do say."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.faults.doors import DoorProcess
from bench.faults.process import Victim

_CALLS: Final = (
    "SELECT trace_id, span_id, toString(timestamp) AS started, agent_id, agent_source, tenant_id, service_name, "
    "provider, model, input_tokens, output_tokens, toString(cost_usd) AS cost, cost_status, price_ids, "
    "arraySort(absorbed_spans) AS absorbed FROM calls"
)
_HOURLY: Final = (
    "SELECT toString(hour) AS hour, tenant_id, agent_id, service_name, provider, model, environment, calls, errors, "
    "unpriced_calls, input_tokens, output_tokens, toString(cost_usd) AS cost FROM hourly"
)
_SETTLE_S: Final = 180.0

Book = Counter[tuple[str, ...]]
"""Rows as tuples of text, with how often they stand there."""


class Books(NamedTuple):
    """Both tables that people read."""

    calls: Book
    hourly: Book

    @property
    def dollars(self) -> Decimal:
        """Sum over the calls, exact."""
        return sum((Decimal(_cost(row)) * count for row, count in self.calls.items()), Decimal(0))


def _cost(row: tuple[str, ...]) -> str:
    cost = row[11]
    return "0" if cost == "null" else json.loads(cost)


class Verdict(NamedTuple):
    """One line of the table."""

    fault: str
    rounds: int
    acknowledged: int
    """Calls in the acknowledged requests."""
    booked: int
    lost: int
    twice: int
    dollars: Decimal
    remark: str = ""
    """Why the fault could not be done here, or what else went wrong."""
    failed: bool = False

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nothing else wrong."""
        return not (self.lost or self.twice or self.failed)


def _book(rows: Sequence[Mapping[str, Any]]) -> Book:
    return Counter(tuple(json.dumps(value) for value in row.values()) for row in rows)


def running_books(victim: Victim) -> Books:
    """What a running collector answers."""
    return Books(_book(victim.query(_CALLS)), _book(victim.query(_HOURLY)))


def stored_books(victim: Victim) -> Books:
    """What stands in the store of a collector that has ended."""

    def ask(sql: str) -> Book:
        out = victim.run("query", sql, "--format", "JSONEachRow", "--store", f"chdb://{victim.data_dir / 'store'}")
        return _book([json.loads(line) for line in out.splitlines()])

    return Books(ask(_CALLS), ask(_HOURLY))


def served_books(door: DoorProcess) -> Books:
    """What stands in the store behind a door."""
    return Books(_book(door.query(_CALLS)), _book(door.query(_HOURLY)))


def replayed_books(requests: Sequence[bytes], folder: Path) -> Books:
    """What `spanledger replay` makes of `requests` in a store of its own."""
    files = folder / "requests"
    files.mkdir(parents=True)
    for number, body in enumerate(requests):
        (files / f"request-{number:06d}.pb").write_bytes(body)
    clerk = Victim(folder)
    clerk.run("replay", str(files), "--store", f"chdb://{clerk.data_dir / 'store'}")
    return stored_books(clerk)


def settled_books(victim: Victim, wanted: Books, door: DoorProcess | None = None) -> Books:
    """The running books once nothing waits any more and they are as wanted, or what they are after a while.

    `door`: where they are, if not in the collector itself.
    """
    deadline = time.monotonic() + _SETTLE_S
    while victim.metric("spanledger_spool_facts") != 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    while True:
        found = running_books(victim) if door is None else served_books(door)
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(1.0)


def verdict(fault: str, rounds: int, wanted: Books, found: Books, bad: Sequence[str] = ()) -> Verdict:
    """Compare row by row: a row that differs in anything is lost as it should be, and twice as it is.

    `bad` says what else went wrong.
    """
    lost, twice = wanted.calls - found.calls, found.calls - wanted.calls
    hours_off = (wanted.hourly - found.hourly).total() + (found.hourly - wanted.hourly).total()
    remarks = [*bad, f"{hours_off} rows of hourly differ"] if hours_off else list(bad)
    return Verdict(
        fault,
        rounds,
        wanted.calls.total(),
        found.calls.total(),
        lost.total(),
        twice.total(),
        found.dollars,
        "; ".join(remarks),
        failed=bool(remarks),
    )


def not_done(fault: str, why: str) -> Verdict:
    """A fault that cannot be done on this machine."""
    return Verdict(fault, 0, 0, 0, 0, 0, Decimal(0), f"not done: {why}")
